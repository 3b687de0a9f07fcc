"""Checks 1 to 6 and 32: what is built, from where, to where, and that the AppProjects let it through."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from gitops_tree.checks.registry import check
from gitops_tree.objects import (
    annotations_of,
    describe,
    group,
    name_of,
    namespace_of,
    values_at,
    words,
)
from gitops_tree.tree import (
    APPLICATION,
    ARGOCD_NAMESPACE,
    KUSTOMIZATION,
    NAMESPACE,
    PARENT,
    PARENTS_PROJECT,
    PROJECT,
    REGISTRY,
    REGISTRY_NAMESPACE,
    Object,
    Tree,
    read_yaml,
)

WAVE: Final = "argocd.argoproj.io/sync-wave"
APPLICATIONS: Final = {
    PARENT: ("gitops-apps/stage01", ARGOCD_NAMESPACE, "1"),
    REGISTRY: ("gitops/stage01-model-serving/model-registry-app", REGISTRY_NAMESPACE, "2"),
    APPLICATION: ("gitops/stage01-model-serving/application", NAMESPACE, "3"),
}
"""By name: path, namespace, wave; the specification has exactly these."""
APPLICATION_KIND: Final = {"group": "argoproj.io", "kind": "Application"}
DEPRECATED: Final = ("bases", "commonLabels", "imageTags", "patchesJson6902", "patchesStrategicMerge", "vars")
CLUSTER_SCOPED: Final = words(
    "Namespace ClusterRole ClusterRoleBinding CustomResourceDefinition PersistentVolume PriorityClass Project "
    "SecurityContextConstraints StorageClass ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding "
    "ValidatingWebhookConfiguration MutatingWebhookConfiguration ClusterPolicy"
)


@check(1, "Kustomize builds every directory without a word, and none uses a deprecated field")
def builds(tree: Tree) -> Iterator[str]:
    yield from (f"{directory}: {complaint}" for directory, complaint in tree.complaints.items() if complaint)
    for path, text in tree.files.items():
        if posixpath.basename(path) == KUSTOMIZATION:
            there = read_yaml(text)[0]
            yield from (f"{path} uses {field}, which kustomize deprecates" for field in DEPRECATED if field in there)


@check(2, "Every Application's path is here and builds, and all that name a repository name one, at a branch")
def sources(tree: Tree) -> Iterator[str]:
    for name, application in tree.applications.items():
        source = application["spec"]["source"]
        if f"{source['path']}/{KUSTOMIZATION}" not in tree.files:
            yield f"Application {name}: there is no {source['path']}/{KUSTOMIZATION}"
        elif tree.complaints.get(source["path"], "it was not built"):
            yield f"Application {name}: {source['path']} does not build"
        if source.get("targetRevision", "HEAD") == "HEAD":
            yield f"Application {name} follows HEAD, not a branch"
    yield from _several("repository", dict(_repositories(tree)))
    revisions = {name: one["spec"]["source"].get("targetRevision") for name, one in tree.applications.items()}
    yield from _several("revision", revisions)


def _repositories(tree: Tree) -> Iterator[tuple[str, str]]:
    for name, one in tree.applications.items():
        yield f"Application {name}", one["spec"]["source"]["repoURL"]
    for name, project in tree.projects.items():
        for number, url in enumerate(project["spec"]["sourceRepos"]):
            yield f"AppProject {name}, sourceRepos {number}", url
    for one in tree.of_kind("BuildConfig"):
        yield describe(one), one["spec"]["source"]["git"]["uri"]
    for one in tree.of_kind("ConfigMap"):
        if "MODELCAR_GIT_URL" in (one.get("data") or {}):
            yield describe(one), one["data"]["MODELCAR_GIT_URL"]


def _several(what: str, named: dict[str, Any]) -> Iterator[str]:
    expected = next(iter(named.values()))
    for who, value in named.items():
        if value != expected:
            yield f"{who} has the {what} {value}, and {next(iter(named))} has {expected}"


@check(3, "There are the specification's three Applications, with its names, paths, namespaces and waves 1, 2 and 3")
def applications(tree: Tree) -> Iterator[str]:
    there = tree.applications
    yield from (f"there is no Application {name}" for name in APPLICATIONS if name not in there)
    yield from (f"Application {name} is none of the specification's" for name in there if name not in APPLICATIONS)
    for name, wanted in APPLICATIONS.items():
        if name in there:
            spec = there[name]["spec"]
            found = (spec["source"]["path"], spec["destination"]["namespace"], annotations_of(there[name]).get(WAVE))
            if found != wanted:
                yield f"Application {name} has path, namespace and wave {found}, not {wanted}"
            if namespace_of(there[name]) != ARGOCD_NAMESPACE:
                yield f"Application {name} is in namespace {namespace_of(there[name])}, not {ARGOCD_NAMESPACE}"


@check(4, "Every object is in the namespace of its Application, or is that Namespace")
def namespaces(tree: Tree) -> Iterator[str]:
    for name, objects in tree.rendered.items():
        destination = tree.applications[name]["spec"]["destination"]["namespace"]
        for one in objects:
            where = name_of(one) if one["kind"] == "Namespace" else namespace_of(one)
            if where != destination:
                yield f"{describe(one)} of {name} is not in {destination}"


@check(5, "No object is made by two Applications, or twice by one")
def shared(tree: Tree) -> Iterator[str]:
    counted = Counter((group(one), one["kind"], describe(one)) for objects in tree.rendered.values() for one in objects)
    yield from (f"{described} is made {times} times" for (_, _, described), times in counted.items() if times > 1)


@check(
    6, "The AppProjects name every kind, namespace and repository, nothing by a wildcard, and keep Applications apart"
)
def projects(tree: Tree) -> Iterator[str]:
    for name, project in tree.projects.items():
        for field in ("sourceRepos", "destinations", "clusterResourceWhitelist", "namespaceResourceWhitelist"):
            if any("*" in str(one) for one in project["spec"].get(field, ["*"])):
                yield f"AppProject {name}: {field} has a wildcard"
    yield from _mixed(tree)
    for name, application in tree.applications.items():
        wanted = PARENTS_PROJECT if name == PARENT else PROJECT
        if application["spec"]["project"] != wanted:
            yield f"Application {name} is in project {application['spec']['project']}, not {wanted}"
        else:
            yield from _kept_out(application, tree.projects[wanted])
    for name, objects in tree.rendered.items():
        wanted = PARENTS_PROJECT if name == PARENT else PROJECT
        for one in objects:
            yield from _refused(one, tree.projects[wanted]["spec"], wanted)


def _mixed(tree: Tree) -> Iterator[str]:
    allowed = tree.projects[PARENTS_PROJECT]["spec"]
    if [*allowed["clusterResourceWhitelist"], *allowed["namespaceResourceWhitelist"]] != [APPLICATION_KIND]:
        yield f"AppProject {PARENTS_PROJECT} allows other kinds than Application"
    if [one["namespace"] for one in allowed["destinations"]] != [ARGOCD_NAMESPACE]:
        yield f"AppProject {PARENTS_PROJECT} allows other namespaces than {ARGOCD_NAMESPACE}"
    allowed = tree.projects[PROJECT]["spec"]
    if "argoproj.io" in [one["group"] for one in allowed["namespaceResourceWhitelist"]]:
        yield f"AppProject {PROJECT} lets a child make objects of Argo CD"
    if ARGOCD_NAMESPACE in [one["namespace"] for one in allowed["destinations"]]:
        yield f"AppProject {PROJECT} lets a child into {ARGOCD_NAMESPACE}"


def _kept_out(application: Object, project: Object) -> Iterator[str]:
    spec, who, name = application["spec"], f"Application {name_of(application)}", name_of(project)
    destinations = [(one["server"], one["namespace"]) for one in project["spec"]["destinations"]]
    if (spec["destination"].get("server"), spec["destination"]["namespace"]) not in destinations:
        yield f"{who}: AppProject {name} does not let it into {spec['destination']['namespace']}"
    if spec["source"]["repoURL"] not in project["spec"]["sourceRepos"]:
        yield f"{who}: AppProject {name} does not let it take {spec['source']['repoURL']}"


def _refused(one: Object, spec: Object, name: str) -> Iterator[str]:
    in_cluster = one["kind"] in CLUSTER_SCOPED
    allowed = spec["clusterResourceWhitelist" if in_cluster else "namespaceResourceWhitelist"]
    if {"group": group(one), "kind": one["kind"]} not in allowed:
        yield f"{describe(one)}: AppProject {name} does not allow {one['kind']} of group {group(one) or 'core'}"
    if not in_cluster and namespace_of(one) not in [there["namespace"] for there in spec["destinations"]]:
        yield f"{describe(one)}: AppProject {name} does not let it into its namespace"


@check(32, "Nothing that is synced is a run or named by the cluster; sample runs give what their Pipeline takes")
def runs(tree: Tree) -> Iterator[str]:
    for one in tree.objects:
        if one["kind"] in ("PipelineRun", "TaskRun"):
            yield f"{describe(one)} is a run, and Argo CD would start it again and again"
        if "generateName" in one["metadata"]:
            yield f"{describe(one)} has generateName, which no kustomization can hold"
    for path, run in tree.sample_runs.items():
        name = run["spec"]["pipelineRef"]["name"]
        pipelines = [one for one in tree.of_kind("Pipeline") if name_of(one) == name]
        if not pipelines:
            yield f"{path}: there is no Pipeline {name}"
        else:
            yield from (f"{path}: {problem}" for problem in _unlike(run["spec"], pipelines[0]["spec"], name))


def _unlike(run: Object, pipeline: Object, name: str) -> Iterator[str]:
    for field in ("params", "workspaces"):
        what = field.removesuffix("s")
        given = {one["name"] for one in run.get(field, ())}
        taken = {one["name"]: one for one in pipeline.get(field, ())}
        yield from (f"Pipeline {name} has no {what} {one}" for one in sorted(given - set(taken)))
        for one, declared in taken.items():
            if one not in given and "default" not in declared and not declared.get("optional", False):
                yield f"Pipeline {name} needs the {what} {one}"
    for template in values_at(run.get("workspaces"), "volumeClaimTemplate"):
        if "spec" not in template:
            yield f"Pipeline {name}: a volumeClaimTemplate without spec"
