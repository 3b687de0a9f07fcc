"""Checks 12, 13, 16 and 39: whatever is named is there, and selectors select what they are meant to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from gitops_tree.checks.registry import check
from gitops_tree.objects import (
    Contents,
    annotations_of,
    contents,
    describe,
    labels_of,
    name_of,
    namespace_of,
    selects,
    strings,
    values_at,
)
from gitops_tree.operator_made import is_made
from gitops_tree.pods import Pod, claims, pods
from gitops_tree.tree import KUSTOMIZATION, NAMESPACE, REGISTRY_NAMESPACE, Object, Tree, read_yaml

IMAGE_REGISTRY: Final = "image-registry.openshift-image-registry.svc:5000"
_INTERNAL: Final = re.compile(rf"{re.escape(IMAGE_REGISTRY)}/([^/]+)/([^:@/]+)(?::([\w.-]+))?")
_HOST: Final = re.compile(r"([a-z0-9-]+)\.([a-z0-9-]+)\.svc(?:\.cluster\.local)?")
Named = Iterator[tuple[str, str, str, str]]
"""Who names it; its kind, namespace and name."""


@check(12, "Everything that is named is in the tree, or is on the list of what operators make")
def resolved(tree: Tree) -> Iterator[str]:
    there = {(one["kind"], namespace_of(one), name_of(one)) for one in tree.objects}
    for who, kind, namespace, name in _named(tree):
        if (kind, namespace, name) not in there and not is_made(kind, namespace, name):
            yield f"{who} names {kind} {namespace}/{name}, which is not there"
    yield from _missing_keys(tree)
    yield from _missing_tags(tree)
    yield from _missing_volumes(tree)
    yield from _specs(tree)


def _named(tree: Tree) -> Named:
    for pod in pods(tree):
        yield from _named_by_pod(pod, contents(tree, pod.spec))
    for one in tree.objects:
        for name in _NAMED.get(one["kind"], _nothing)(one):
            yield describe(one), *name
    for path, run in tree.sample_runs.items():
        yield path, "Pipeline", NAMESPACE, run["spec"]["pipelineRef"]["name"]
        for account in values_at(run["spec"], "serviceAccountName"):
            yield path, "ServiceAccount", NAMESPACE, account


def _named_by_pod(pod: Pod, inside: Contents) -> Named:
    for key in ("configMapKeyRef", "configMapRef"):
        for found in inside.values.get(key, ()):
            yield pod.owner, "ConfigMap", pod.namespace, found["name"]
    for volume in pod.spec.get("volumes", ()):
        if "configMap" in volume:
            yield pod.owner, "ConfigMap", pod.namespace, volume["configMap"]["name"]
    for claim in claims(pod.spec):
        yield pod.owner, "PersistentVolumeClaim", pod.namespace, claim
    if account := pod.spec.get("serviceAccountName"):
        yield pod.owner, "ServiceAccount", pod.namespace, account


Names = Iterator[tuple[str, str, str]]


def _nothing(_: Object) -> Names:
    yield from ()


def _of_binding(one: Object) -> Names:
    role = one["roleRef"]
    yield role["kind"], namespace_of(one) if role["kind"] == "Role" else "", role["name"]
    for subject in one["subjects"]:
        yield subject["kind"], subject.get("namespace", ""), subject["name"]


def _of_service(one: Object) -> Names:
    yield "ServingRuntime", namespace_of(one), one["spec"]["predictor"]["model"].get("runtime", "")
    yield "ModelRegistry", REGISTRY_NAMESPACE, labels_of(one).get("modelregistry.opendatahub.io/name", "")


def _of_build(one: Object) -> Names:
    yield "ImageStream", namespace_of(one), one["spec"]["output"]["to"]["name"].partition(":")[0]


def _of_notebook(one: Object) -> Names:
    chosen = annotations_of(one).get("notebooks.opendatahub.io/last-image-selection", "")
    yield "ImageStream", namespace_of(one), chosen.partition(":")[0]


def _of_registry(one: Object) -> Names:
    if "mysql" in one["spec"]:
        yield "Service", namespace_of(one), one["spec"]["mysql"]["host"]


def _of_pipelines(one: Object) -> Names:
    for storage in values_at(one["spec"], "externalStorage"):
        host = _HOST.fullmatch(storage["host"])
        if host:
            yield "Service", host[2], host[1]


def _of_tekton(one: Object) -> Names:
    for found in values_at(one["spec"], "taskRef"):
        yield "Task", namespace_of(one), found.get("name", "")


_NAMED: Final = {
    "RoleBinding": _of_binding,
    "InferenceService": _of_service,
    "BuildConfig": _of_build,
    "Notebook": _of_notebook,
    "ModelRegistry": _of_registry,
    "DataSciencePipelinesApplication": _of_pipelines,
    "Pipeline": _of_tekton,
}


def _missing_keys(tree: Tree) -> Iterator[str]:
    maps = {(namespace_of(one), name_of(one)): one.get("data") or {} for one in tree.of_kind("ConfigMap")}
    for pod in pods(tree):
        for found in contents(tree, pod.spec).values.get("configMapKeyRef", ()):
            data = maps.get((pod.namespace, found["name"]), {found["key"]: ""})
            if found["key"] not in data and not found.get("optional", False):
                yield f"{pod.owner} needs {found['key']} of ConfigMap {found['name']}, which has none"
        volumes = {one["name"]: one["configMap"]["name"] for one in pod.spec.get("volumes", ()) if "configMap" in one}
        for mount in (mount for container in pod.containers for mount in container.get("volumeMounts", ())):
            data = maps.get((pod.namespace, volumes.get(mount["name"], "")), {mount.get("subPath", ""): ""})
            if "subPath" in mount and mount["subPath"] not in data:
                yield f"{pod.owner} mounts {mount['subPath']} of ConfigMap {volumes[mount['name']]}, which has none"


def _missing_tags(tree: Tree) -> Iterator[str]:
    streams = {(namespace_of(one), name_of(one)) for one in tree.of_kind("ImageStream")}
    built = {(namespace_of(one), one["spec"]["output"]["to"]["name"]) for one in tree.of_kind("BuildConfig")}
    for one in tree.objects:
        for namespace, name, tag in (found for text in contents(tree, one).texts for found in _INTERNAL.findall(text)):
            if (namespace, name) not in streams:
                yield f"{describe(one)} names ImageStream {namespace}/{name}, which is not there"
            elif tag and (namespace, f"{name}:{tag}") not in built:
                yield f"{describe(one)} names {name}:{tag}, which no BuildConfig makes"


def _missing_volumes(tree: Tree) -> Iterator[str]:
    for pod in pods(tree):
        there = {one["name"] for one in pod.spec.get("volumes", ())}
        for container in pod.containers:
            for mount in container.get("volumeMounts", ()):
                if mount["name"] not in there:
                    yield f"{pod.owner} mounts {mount['name']}, and there is no such volume"


def _specs(tree: Tree) -> Iterator[str]:
    streams = {f"{IMAGE_REGISTRY}/{namespace_of(one)}/{name_of(one)}" for one in tree.of_kind("ImageStream")}
    for path, spec in tree.specs.items():
        service = spec["inferenceService"]
        documents = read_yaml(tree.files.get(service["path"], ""))
        if not any(one["kind"] == "InferenceService" and name_of(one) == service["name"] for one in documents):
            yield f"{path}: {service['path']} has no InferenceService {service['name']}"
        repository = spec["image"]["repository"]
        if repository.startswith(f"{IMAGE_REGISTRY}/") and repository not in streams:
            yield f"{path}: there is no ImageStream for {repository}"


@check(13, "Each Service selects the pods of one Deployment, which has the port that it leads to")
def services(tree: Tree) -> Iterator[str]:
    deployments = tree.of_kind("Deployment")
    for one in tree.of_kind("Service"):
        selector = {"matchLabels": one["spec"].get("selector") or {"": "nothing"}}
        behind = [
            each
            for each in deployments
            if namespace_of(each) == namespace_of(one)
            and selects(selector, each["spec"]["template"]["metadata"]["labels"])
        ]
        if len(behind) != 1:
            yield f"{describe(one)} selects the pods of {len(behind)} Deployments"
            continue
        ports = list(_ports(behind[0]["spec"]["template"]["spec"]))
        for port in one["spec"]["ports"]:
            if port.get("targetPort", port["port"]) not in ports:
                yield f"{describe(one)}: {describe(behind[0])} has no port {port.get('targetPort', port['port'])}"


def _ports(spec: Mapping[str, Any]) -> Iterator[Any]:
    for port in (port for container in spec["containers"] for port in container.get("ports", ())):
        yield port["containerPort"]
        if "name" in port:
            yield port["name"]


@check(16, "The address of the Model Registry that steps are given is the one that its proxy serves")
def registry_address(tree: Tree) -> Iterator[str]:
    registries = tree.of_kind("ModelRegistry")
    if len(registries) != 1:
        yield f"there are {len(registries)} ModelRegistries, not one that the steps could be given"
        return
    (registry,) = registries
    for one in tree.of_kind("ConfigMap"):
        address = (one.get("data") or {}).get("MODEL_REGISTRY_URL")
        if address is None:
            continue
        parts = urlsplit(address)
        host = _HOST.fullmatch(parts.hostname or "")
        if host is None or (host[1], host[2]) != (name_of(registry), namespace_of(registry)):
            yield f"{describe(one)}: {address} is not of {describe(registry)}"
        proxy = registry["spec"].get("kubeRBACProxy", {})
        if (parts.scheme, parts.port) != ("https", proxy.get("port", 8443)):
            yield f"{describe(one)}: {address} is not https at port {proxy.get('port', 8443)}"
    if not any("MODEL_REGISTRY_URL" in (one.get("data") or {}) for one in tree.of_kind("ConfigMap")):
        yield f"no ConfigMap says where {describe(registry)} is"


@check(39, "No selector has a label that kustomize puts on everything, and none of those goes into selectors")
def injected_labels(tree: Tree) -> Iterator[str]:
    injected: set[str] = set()
    for path, text in tree.files.items():
        if path.endswith(f"/{KUSTOMIZATION}"):
            for entry in read_yaml(text)[0].get("labels", ()):
                injected |= set(entry["pairs"])
                if entry.get("includeSelectors", False):
                    yield f"{path} puts {', '.join(sorted(entry['pairs']))} into selectors"
    for one in tree.objects:
        for selector in (found for key in _SELECTORS for found in contents(tree, one).values.get(key, ())):
            for label in sorted(injected & set(strings(selector))):
                yield f"{describe(one)} selects by {label}, which kustomize puts on everything"


_SELECTORS: Final = ("selector", "podSelector", "labelSelector")
