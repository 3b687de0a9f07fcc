"""Checks 27 to 29 and 31: served models, the dashboard, and the workbench."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gitops_tree.checks.registry import check
from gitops_tree.objects import annotations_of, contents, describe, labels_of, name_of, namespace_of, strings
from gitops_tree.tree import NAMESPACE, Object, Tree

GPU: Final = "nvidia.com/gpu"
DASHBOARD: Final = "opendatahub.io/dashboard"
SHOWN: Final = (
    "Namespace",
    "InferenceService",
    "ServingRuntime",
    "Notebook",
    "DataSciencePipelinesApplication",
    "PersistentVolumeClaim",
)
"""What the dashboard lists."""
OBSOLETE: Final = re.compile(r"(?i)\b(knative|istio|serverless|maistra)\b")


@check(27, "A served model has its runtime, a format of that, arguments of its own, and as many shards as GPUs")
def served(tree: Tree) -> Iterator[str]:
    runtimes = {(namespace_of(one), name_of(one)): one["spec"] for one in tree.of_kind("ServingRuntime")}
    for one in tree.of_kind("InferenceService"):
        model = one["spec"]["predictor"]["model"]
        runtime = runtimes.get((namespace_of(one), model.get("runtime", "")))
        if runtime is None:
            yield f"{describe(one)}: there is no ServingRuntime {model.get('runtime')}"
        else:
            yield from (f"{describe(one)}: {problem}" for problem in _unlike(model, runtime, model.get("runtime", "")))
        yield from (f"{describe(one)}: {problem}" for problem in _gpus(model))


def _unlike(model: Object, runtime: Object, name: str) -> Iterator[str]:
    formats = [each["name"] for each in runtime["supportedModelFormats"]]
    if model["modelFormat"]["name"] not in formats:
        yield f"ServingRuntime {name} has the formats {', '.join(formats)}, not {model['modelFormat']['name']}"
    theirs = {_option(word) for container in runtime["containers"] for word in container.get("args", ())}
    for word in model.get("args", ()):
        if _option(word) in theirs:
            yield f"{word} is an argument of ServingRuntime {name} already"


def _option(argument: str) -> str:
    return argument.partition("=")[0]


def _gpus(model: Object) -> Iterator[str]:
    resources = model.get("resources", {})
    asked, allowed = (int(resources.get(kind, {}).get(GPU, "0")) for kind in ("requests", "limits"))
    if asked != allowed:
        yield f"it asks for {asked} GPUs and may use {allowed}"
    given = [word.partition("=")[2] for word in model.get("args", ()) if _option(word) == "--tensor-parallel-size"]
    shards = int(given[-1]) if given else 1
    if shards != max(allowed, 1):
        yield f"vLLM shards it over {shards}, and it has {allowed} GPUs"


@check(28, "Every served model is a plain Deployment, and nothing is left of Knative, Istio or Serverless")
def deployment_mode(tree: Tree) -> Iterator[str]:
    for one in tree.of_kind("InferenceService"):
        mode = annotations_of(one).get("serving.kserve.io/deploymentMode")
        if mode not in ("RawDeployment", "Standard"):
            yield f"{describe(one)} has the deployment mode {mode}"
    for one in tree.objects:
        for where in (found for key in ("annotations", "labels") for found in contents(tree, one).values.get(key, ())):
            for text in strings(where):
                if OBSOLETE.search(text.replace("-", " ").replace("_", " ")):
                    yield f"{describe(one)} has {text}, which OpenShift AI 3 does not know"


@check(29, "Whatever the dashboard lists has its label and a name for people")
def dashboard(tree: Tree) -> Iterator[str]:
    for one in tree.of_kind(*SHOWN):
        if NAMESPACE not in (namespace_of(one), name_of(one)):
            continue
        if labels_of(one).get(DASHBOARD) != "true":
            yield f'{describe(one)} has no label {DASHBOARD}: "true"'
        if not annotations_of(one).get("openshift.io/display-name"):
            yield f"{describe(one)} has no openshift.io/display-name"


@check(31, "The workbench is as its controller expects: names, paths, port, and auth as OpenShift AI 3 has it")
def workbench(tree: Tree) -> Iterator[str]:
    for one in tree.of_kind("Notebook"):
        yield from (f"{describe(one)}: {problem}" for problem in _unexpected(one))


def _unexpected(one: Object) -> Iterator[str]:
    name, spec = name_of(one), one["spec"]["template"]["spec"]
    path = f"/notebook/{namespace_of(one)}/{name}"
    container = next((each for each in spec["containers"] if each["name"] == name), None)
    if container is None:
        yield f"no container is called {name}"
        return
    if spec.get("serviceAccountName") != name:
        yield f"it runs as {spec.get('serviceAccountName')}, not as {name}"
    arguments = next((each.get("value", "") for each in container["env"] if each["name"] == "NOTEBOOK_ARGS"), "")
    if f"--ServerApp.base_url={path}" not in arguments.split():
        yield f"NOTEBOOK_ARGS do not say --ServerApp.base_url={path}"
    for probe in ("livenessProbe", "readinessProbe"):
        if _probed(container, probe) != (f"{path}/api", "notebook-port"):
            yield f"its {probe} does not ask {path}/api at notebook-port"
    ports = [(port.get("name"), port["containerPort"]) for port in container.get("ports", ())]
    if ("notebook-port", 8888) not in ports:
        yield "it has no port notebook-port 8888"
    yield from _unasked(annotations_of(one))


def _unasked(annotations: Mapping[str, str]) -> Iterator[str]:
    if annotations.get("notebooks.opendatahub.io/inject-auth") != "true":
        yield "it lets in whoever reaches it: no notebooks.opendatahub.io/inject-auth"
    if "notebooks.opendatahub.io/inject-oauth" in annotations:
        yield "it has inject-oauth, which OpenShift AI 3 does not read"


def _probed(container: Object, probe: str) -> tuple[Any, Any]:
    asked = container.get(probe, {}).get("httpGet", {})
    return asked.get("path"), asked.get("port")
