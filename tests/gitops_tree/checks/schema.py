"""Checks 7 to 9: fields, rules of webhooks, and versions; what full schemas say is asked in test_schemas.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gitops_tree.checks.registry import check
from gitops_tree.objects import (
    describe,
    group,
    name_of,
    namespace_of,
    words,
)
from gitops_tree.tree import KUSTOMIZATION, REGISTRY_NAMESPACE, Object, Tree, read_yaml

SPEC_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    kind: words(fields)
    for kind, fields in {
        "Application": "destination ignoreDifferences info project revisionHistoryLimit source sources syncPolicy",
        "AppProject": "clusterResourceBlacklist clusterResourceWhitelist description destinations "
        "namespaceResourceBlacklist namespaceResourceWhitelist orphanedResources roles sourceRepos syncWindows",
        "BuildConfig": "completionDeadlineSeconds failedBuildsHistoryLimit nodeSelector output postCommit resources "
        "revision runPolicy serviceAccount source strategy successfulBuildsHistoryLimit triggers",
        "DataSciencePipelinesApplication": "apiServer database dspVersion mlmd objectStorage persistenceAgent "
        "podToPodTLS proxy scheduledWorkflow workflowController",
        "ImageStream": "dockerImageRepository lookupPolicy tags",
        "InferenceService": "explainer predictor transformer",
        "ModelRegistry": "kubeRBACProxy mysql oauthProxy postgres rest",
        "Notebook": "template",
        "Pipeline": "description displayName finally params results tasks workspaces",
        "PipelineRun": "managedBy params pipelineRef pipelineSpec status taskRunSpecs taskRunTemplate timeouts "
        "workspaces",
        "ServingRuntime": "affinity annotations containers disabled imagePullSecrets labels multiModel nodeSelector "
        "protocolVersions supportedModelFormats tolerations volumes workerSpec",
    }.items()
}
"""What stands directly below `spec`, by kind."""
PIPELINE_TASK: Final = words(
    "description displayName matrix name onError params pipelineRef pipelineSpec retries runAfter taskRef taskSpec "
    "timeout when workspaces"
)
TASK: Final = words("description displayName params results sidecars stepTemplate steps volumes workspaces")
STEP: Final = words(
    "args command computeResources displayName env envFrom image imagePullPolicy name onError params ref results "
    "script securityContext stderrConfig stdoutConfig timeout volumeDevices volumeMounts when workingDir workspaces"
)
VERSIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "": {"*": "v1"},
    "admissionregistration.k8s.io": {"*": "v1"},
    "apps": {"*": "v1"},
    "argoproj.io": {"Application": "v1alpha1", "AppProject": "v1alpha1"},
    "batch": {"*": "v1"},
    "build.openshift.io": {"*": "v1"},
    "datasciencepipelinesapplications.opendatahub.io": {"DataSciencePipelinesApplication": "v1"},
    "external-secrets.io": {"*": "v1"},
    "image.openshift.io": {"*": "v1"},
    "kubeflow.org": {"Notebook": "v1"},
    "modelcar.dev": {"PromotionSpec": "v1alpha1"},
    "modelregistry.opendatahub.io": {"ModelRegistry": "v1beta1"},
    "networking.k8s.io": {"NetworkPolicy": "v1"},
    "pipelines.kubeflow.org": {"Pipeline": "v2beta1", "PipelineVersion": "v2beta1"},
    "rbac.authorization.k8s.io": {"*": "v1"},
    "serving.kserve.io": {"InferenceService": "v1beta1", "ServingRuntime": "v1alpha1"},
    "tekton.dev": {"Pipeline": "v1", "PipelineRun": "v1", "Task": "v1"},
    "triggers.tekton.dev": {"*": "v1beta1"},
}
"""By group and kind, the newest version that OpenShift AI 3.4 and 3.5 serve."""


@check(7, "No custom resource has a field that its kind does not know, nor one that Tekton v1 dropped")
def fields(tree: Tree) -> Iterator[str]:
    """The cheap half of the facts' check 7: it needs no schemas, which are not in this repository."""
    for one in (*tree.objects, *tree.sample_runs.values()):
        unknown = set(one.get("spec") or ()) - SPEC_FIELDS.get(one["kind"], frozenset(one.get("spec") or ()))
        yield from (f"{describe(one)}: spec has no field {field}" for field in sorted(unknown))
        if group(one) == "tekton.dev" and one["kind"] == "Pipeline":
            yield from (f"{describe(one)}: {problem}" for problem in _unknown_in_tasks(one["spec"]))


def _unknown_in_tasks(spec: Object) -> Iterator[str]:
    for task in (*spec["tasks"], *spec.get("finally", ())):
        yield from (f"task {task['name']} has no field {one}" for one in sorted(set(task) - PIPELINE_TASK))
        inner = task.get("taskSpec", {})
        yield from (f"task {task['name']}: taskSpec has no field {one}" for one in sorted(set(inner) - TASK))
        for step in inner.get("steps", ()):
            hint = {"resources": "; in v1 it is computeResources"}
            for one in sorted(set(step) - STEP):
                yield f"task {task['name']}: step {step.get('name')} has no field {one}{hint.get(one, '')}"


@check(8, "The Model Registry passes its webhook: one database, kubeRBACProxy, the operator's namespace")
def registries(tree: Tree) -> Iterator[str]:
    for one in tree.of_kind("ModelRegistry"):
        spec = one["spec"]
        databases = [kind for kind in ("mysql", "postgres") if kind in spec]
        if len(databases) != 1:
            yield f"{describe(one)} has the databases {databases}, not one"
        if "kubeRBACProxy" not in spec or "oauthProxy" in spec:
            yield f"{describe(one)}: the webhook would replace oauthProxy by kubeRBACProxy, so git has to say that"
        if "rest" not in spec:
            yield f"{describe(one)} has no spec.rest"
        if namespace_of(one) != REGISTRY_NAMESPACE:
            yield f"{describe(one)} is not in {REGISTRY_NAMESPACE}, where the operator looks"
    names = [name_of(one) for one in tree.of_kind("ModelRegistry")]
    yield from (f"{name} is the name of two ModelRegistries" for name in set(names) if names.count(name) > 1)


@check(9, "Every apiVersion is the newest one that OpenShift AI 3.4 and 3.5 serve")
def versions(tree: Tree) -> Iterator[str]:
    for one in (*tree.objects, *tree.sample_runs.values(), *tree.specs.values()):
        yield from (f"{describe(one) if 'metadata' in one else one['kind']}{problem}" for problem in _outdated(one))
    for path, text in tree.files.items():
        if path.endswith(".yaml") and not path.endswith(f"/{KUSTOMIZATION}"):
            for one in read_yaml(text):
                yield from (f"{path}: {one['kind']}{problem}" for problem in _outdated(one))


def _outdated(one: Any) -> Iterator[str]:
    if not isinstance(one, dict) or not {"apiVersion", "kind"} <= set(one):
        return  # a patch, or KFP's own format
    kinds = VERSIONS.get(group(one))
    wanted = kinds and kinds.get(one["kind"], kinds.get("*"))
    if wanted is None:
        yield f" of {one['apiVersion']}: no version is known to be current"
    elif one["apiVersion"].rpartition("/")[2] != wanted:
        yield f" is of {one['apiVersion']}, and current is {wanted}"
