"""Checks 36 to 38 and 40: what Argo CD is told to leave alone, to keep, and to think of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gitops_tree.checks.registry import check
from gitops_tree.health_samples import SAMPLES, assess
from gitops_tree.objects import annotations_of, describe, group, labels_of
from gitops_tree.tree import PARENT, REGISTRY, Object, Tree

_NOTEBOOK: Final = "/metadata/annotations/"
OWNED: Final = {
    "ServiceAccount": {"/secrets": "OpenShift", "/imagePullSecrets": "OpenShift"},
    "ImageStream": {"/spec/tags": "whoever pushes"},
    "InferenceService": {
        "/metadata/labels/modelregistry.opendatahub.io~1inference-service-id": "odh-model-controller",
        "/metadata/annotations/serving.kserve.io~1deploymentMode": "KServe, which has renamed RawDeployment",
    },
    "Notebook": {
        f"{_NOTEBOOK}kubeflow-resource-stopped": "the culler and the dashboard",
        f"{_NOTEBOOK}notebooks.opendatahub.io~1update-pending": "its controller",
        f"{_NOTEBOOK}notebooks.kubeflow.org~1last-activity": "the culler",
        f"{_NOTEBOOK}notebooks.kubeflow.org~1last_activity_check_timestamp": "the culler",
    },
}
"""By kind, the paths that a controller owns, and which."""
STATEFUL: Final = ("PersistentVolumeClaim", "ModelRegistry", "Namespace", "DataSciencePipelinesApplication")
KEPT: Final = ({"Prune=false", "Prune=confirm"}, {"Delete=false", "Delete=confirm"})
INSTANCE: Final = "argocd.argoproj.io/instance"


@check(36, "Argo CD overlooks only what a controller owns, and leaves that alone when it syncs")
def differences(tree: Tree) -> Iterator[str]:
    for name, application in tree.applications.items():
        ignored = application["spec"].get("ignoreDifferences", ())
        rendered = {(group(each), each["kind"]) for each in tree.rendered.get(name, ())}
        for one in ignored:
            yield from (f"Application {name} overlooks {problem}" for problem in _overlooked(one))
            if (one.get("group", ""), one["kind"]) not in rendered:
                yield f"Application {name} overlooks differences of {one['kind']}, and has none"
        options = application["spec"].get("syncPolicy", {}).get("syncOptions", ())
        if ignored and "RespectIgnoreDifferences=true" not in options:
            yield f"Application {name} overlooks differences, and its syncs undo them: no RespectIgnoreDifferences"


def _overlooked(one: Object) -> Iterator[str]:
    """What is wrong with an entry, as the end of a sentence."""
    for pointer in one.get("jsonPointers", ()):
        if pointer not in OWNED.get(one["kind"], {}):
            yield f"{pointer} of {one['kind']}, which no controller owns"
    for field in sorted({"jqPathExpressions", "managedFieldsManagers"} & set(one)):
        yield f"{one['kind']} by {field}, which may be anything"
    if one.get("group") == "":
        yield f"{one['kind']} of an empty group, which Argo CD takes out, so that its parent is never in sync"


@check(37, "What holds something is kept when it leaves git, and the registry's Application prunes nothing")
def kept(tree: Tree) -> Iterator[str]:
    for one in (each for objects in tree.rendered.values() for each in objects if each["kind"] in STATEFUL):
        options = set(annotations_of(one).get("argocd.argoproj.io/sync-options", "").split(","))
        for wanted in KEPT:
            if not wanted & options:
                yield f"{describe(one)} has no {sorted(wanted)[1]}"
    for name in (PARENT, REGISTRY):
        automated = tree.applications.get(name, {"spec": {}})["spec"].get("syncPolicy", {}).get("automated", {})
        if automated.get("prune", False):
            yield f"Application {name} prunes"


@check(38, "No object has Argo CD's instance label by hand")
def instance_label(tree: Tree) -> Iterator[str]:
    for one in tree.objects:
        if INSTANCE in labels_of(one):
            yield f"{describe(one)} has the label {INSTANCE}, by which Argo CD would take it for another's"
    yield from (f"{path} has {INSTANCE}" for path, text in tree.files.items() if INSTANCE in text)


@check(40, "The health checks that Argo CD is taught say of each kind and state what is so")
def health(tree: Tree) -> Iterator[str]:
    taught = {(one["group"], one["kind"]): one["check"] for one in tree.health_checks}
    for key in sorted(taught.keys() - SAMPLES.keys()):
        yield f"the health check of {key[1]} is tried on nothing"
    for key, samples in SAMPLES.items():
        if key not in taught:
            yield f"there is no health check of {key[1]} ({key[0]})"
            continue
        for sample in samples:
            said = assess(taught[key], sample)
            if said != sample.state:
                yield f"the health check of {key[1]}, {sample.title}: {said}, not {sample.state}"
