"""What an InferenceService asks for, and how it starts vLLM: read from its manifest.

Source: https://github.com/kserve/kserve/blob/master/docs/apis/README.md (a predictor's arguments are added to the
ServingRuntime's), https://docs.vllm.ai/en/latest/cli/serve.html (arguments), and for the labels of nodes
https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/gpu-operator-mig.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from modelcar.errors import InvalidInput, ManifestShapeError
from modelcar.quantities import parse_bytes

MIB, GIB = 1 << 20, 1 << 30
_GPU = "nvidia.com/gpu"
_SLICE = re.compile(r"nvidia\.com/mig-\dg\.(\d+)gb(?:\.me)?")
_PRODUCT_SIZE = re.compile(r"(\d+)GB")
_PRODUCT_MIB = {
    "NVIDIA-L4": 23034,
    "NVIDIA-L40": 46068,
    "NVIDIA-L40S": 46068,
    "NVIDIA-A10": 23028,
    "NVIDIA-A10G": 23028,
    "NVIDIA-H200": 143771,
    "Tesla-T4": 15360,
}
"""What nvidia-smi reports of products whose names do not say their memory; some hundred MiB less than is printed on the
box, for error correction. That differs a little between drivers."""
_SHORT = {"tp": "tensor-parallel-size", "pp": "pipeline-parallel-size", "dp": "data-parallel-size"}
"""Arguments of one dash that count here."""
_NEGATIVE = re.compile(r"-\d*\.?\d+")
_LONG = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kKmMgG]?)")


@dataclass(frozen=True, slots=True)
class Server:
    """An InferenceService's vLLM.

    Attributes:
        name: Of the InferenceService.
        gpus: That one pod asks for, MIG slices included.
        gpu_memory_bytes: Of one of them; None where the manifest does not tell.
        gpu_memory_from: What told, for people; empty for None.
        arguments: vLLM's by name without dashes in front, later ones over earlier ones; "" for a switch.
    """

    name: str
    gpus: int
    gpu_memory_bytes: int | None
    gpu_memory_from: str
    arguments: Mapping[str, str]

    def number(self, name: str, default: int) -> int:
        """An argument that is a whole number, `8192` or `8k`.

        Raises:
            InvalidInput: It is there and is none.
        """
        text = self.arguments.get(name)
        if text is None:
            return default
        found = _LONG.fullmatch(text)
        if found is None:
            raise InvalidInput(f"--{name}={text} of {self.name} is not a number", hint="Write it as 8192 or 8k.")
        power = " KMG".index(found[2].upper() or " ")
        return int(float(found[1]) * (1024 if found[2].isupper() else 1000) ** power)

    def fraction(self, name: str, default: float) -> float:
        """An argument between 0 and 1.

        Raises:
            InvalidInput: It is there and is none.
        """
        text = self.arguments.get(name)
        try:
            value = default if text is None else float(text)
        except ValueError:
            value = 0.0
        if not 0 < value <= 1:
            raise InvalidInput(f"--{name}={text} of {self.name} is not between 0 and 1", hint="Write it as 0.9.")
        return value


def read_server(texts: Iterable[str], *, name: str | None, namespace: str | None = None) -> Server:
    """Find an InferenceService in some manifests, and its ServingRuntime where it is among them.

    Args:
        texts: YAML; the InferenceService's own first. Those of other files may be no YAML, and are left out then.
        name: Its `metadata.name`; None for the only one.
        namespace: Its `metadata.namespace`, or None for any.

    Raises:
        ManifestShapeError: There is no such InferenceService, or several, or its shape is not one.
        InvalidInput: A size in it is none.
    """
    first, *others = texts
    own = list(_objects(first, strict=True))
    services = [one for one in own if one.get("kind") == "InferenceService" and _is(one, name, namespace)]
    if len(services) != 1:
        wanted = f"InferenceService {name}" if name is not None else "single InferenceService"
        raise ManifestShapeError(f"the manifest has no {wanted}", hint="Name the file that has it.")
    predictor = _mapping(_mapping(services[0].get("spec")).get("predictor"))
    model = _mapping(predictor.get("model")) or _mapping(next(iter(_list(predictor.get("containers"))), None))
    runtimes = [*own, *(one for text in others for one in _objects(text, strict=False))]
    runtime = next((one for one in runtimes if _is_runtime(one, model.get("runtime"))), {})
    gpus, slice_bytes = _count_gpus(model)
    told_bytes, told_by = _memory(predictor, services[0])
    return Server(
        str(_mapping(services[0].get("metadata")).get("name")),
        gpus,
        slice_bytes or told_bytes,
        "the MIG slice that it asks for" if slice_bytes else told_by,
        parse_arguments([*_runtime_arguments(runtime), *_list(model.get("args"))]),
    )


def parse_arguments(arguments: Iterable[Any]) -> dict[str, str]:
    """The arguments of vLLM by their long names: `--a=b`, `--a b` and `--switch`; underscores count as dashes.

    A word that begins with a dash is no value, unless it is a number: `-tp=4` and `-tp 4` are `--tensor-parallel-size`.
    """
    parsed: dict[str, str] = {}
    waiting = ""
    for argument in map(str, arguments):
        if argument.startswith("-") and not _NEGATIVE.fullmatch(argument):
            name, equals, value = argument.partition("=")
            name = name.removeprefix("-").removeprefix("-").replace("_", "-")
            name = name if argument.startswith("--") else _SHORT.get(name, name)
            parsed[name] = value
            waiting = "" if equals else name
        elif waiting:
            parsed[waiting] = argument
            waiting = ""
    return parsed


def _objects(text: str, *, strict: bool) -> Iterator[Mapping[str, Any]]:
    try:
        for document in list(YAML(typ="safe", pure=True).load_all(text)):
            if isinstance(document, dict):
                yield document
    except (YAMLError, RecursionError) as error:
        if strict:
            raise ManifestShapeError(
                "the manifest is not YAML", hint="Name the manifest that Argo CD applies."
            ) from error


def _is(service: Mapping[str, Any], name: str | None, namespace: str | None) -> bool:
    metadata = _mapping(service.get("metadata"))
    here = metadata.get("namespace")
    return name in (None, metadata.get("name")) and (namespace is None or here in (None, namespace))


def _is_runtime(one: Mapping[str, Any], name: object) -> bool:
    kinds = ("ServingRuntime", "ClusterServingRuntime")
    return name is not None and one.get("kind") in kinds and _mapping(one.get("metadata")).get("name") == name


def _runtime_arguments(runtime: Mapping[str, Any]) -> list[Any]:
    containers = [_mapping(one) for one in _list(_mapping(runtime.get("spec")).get("containers"))]
    return next((_list(one.get("args")) for one in containers if one.get("name") == "kserve-container"), [])


def _count_gpus(model: Mapping[str, Any]) -> tuple[int, int | None]:
    """How many, and the memory of a MIG slice in bytes where they are such."""
    resources = _mapping(model.get("resources"))
    asked = {**_mapping(resources.get("requests")), **_mapping(resources.get("limits"))}
    for key, value in asked.items():
        if (found := _SLICE.fullmatch(str(key))) is not None and str(value).isdigit() and int(value):
            return int(value), int(found[1]) * GIB
    count = str(asked.get(_GPU, 0))
    return (int(count) if count.isdigit() else 0), None


def _memory(predictor: Mapping[str, Any], service: Mapping[str, Any]) -> tuple[int | None, str]:
    """Of one GPU, from what says on which node the pod runs."""
    labels = {**_affinity_labels(predictor), **_mapping(predictor.get("nodeSelector"))}
    labels |= {
        key: value
        for key, value in _mapping(_mapping(service.get("metadata")).get("annotations")).items()
        if str(key).startswith("nvidia.com/gpu.")
    }
    if (stated := str(labels.get("nvidia.com/gpu.memory", ""))).isdigit():
        return int(stated) * MIB, "nvidia.com/gpu.memory"
    if stated:
        return parse_bytes(stated), "nvidia.com/gpu.memory"
    product = str(labels.get("nvidia.com/gpu.product", ""))
    known = _PRODUCT_MIB.get(product.removesuffix("-SHARED"))
    if known is not None:
        return known * MIB, product
    sized = _PRODUCT_SIZE.search(product)
    return (int(sized[1]) * GIB, product) if sized is not None else (None, "")


def _affinity_labels(predictor: Mapping[str, Any]) -> dict[str, Any]:
    """Labels that a required node affinity asks for by one value each."""
    node = _mapping(_mapping(predictor.get("affinity")).get("nodeAffinity"))
    terms = _list(_mapping(node.get("requiredDuringSchedulingIgnoredDuringExecution")).get("nodeSelectorTerms"))
    wanted = [_mapping(one) for term in terms for one in _list(_mapping(term).get("matchExpressions"))]
    return {
        str(one.get("key")): _list(one.get("values"))[0]
        for one in wanted
        if one.get("operator") == "In" and len(_list(one.get("values"))) == 1
    }


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
