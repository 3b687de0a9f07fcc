"""Checks 34 and 35: what is compiled comes from its source, and what a promotion edits is all that it may."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from gitops_tree.checks.registry import check
from gitops_tree.objects import strings
from gitops_tree.tree import Tree, read_yaml
from modelcar.delivery.inference_service import Edit, apply
from modelcar.errors import PromotionError
from modelcar.lineage import MODEL_LABEL, VERSION_LABEL

COMPILED: Final = "compiled/"
KFP: Final = f"{COMPILED}kfp/"
SECRET: Final = re.compile(r"(?i)secret|password|passwd|token|credential|api_?key")
EDITED: Final = ("storageUri", MODEL_LABEL, VERSION_LABEL, "serving.kserve.io/stop")
"""Keys of the lines that a promotion may change."""


@check(34, "Compiled pipelines are what their source compiles to, take no secret and read none but by the platform")
def compiled(tree: Tree) -> Iterator[str]:
    files = _compile()
    for path, text in files.items():
        if tree.files.get(path) != text:
            yield f"{path} is not what its source compiles to; modelcar pipeline compile writes it"
    for path in tree.files:
        if path.startswith(COMPILED) and path not in files:
            yield f"{path} is compiled from nothing"
        if path.startswith(KFP):
            yield from (f"{path}: {problem}" for problem in _secrets(tree.files[path]))


@cache
def _compile() -> Mapping[str, str]:
    """Texts by path: two seconds, so once."""
    from modelcar_pipelines.catalog import compile_pipelines
    from modelcar_pipelines.compiled_files import list_files

    return {f"{COMPILED}{path.as_posix()}": text for path, text in list_files(compile_pipelines()).items()}


@cache
def _secrets(text: str) -> tuple[str, ...]:
    spec = read_yaml(text)[0]
    parameters = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    named = [f"its parameter {name} would be kept with every run" for name in parameters if SECRET.search(name)]
    read = {one for one in strings(spec) if one in ("secretKeyRef", "secretAsEnv", "secretAsVolume")}
    return (*named, *(f"{one} stands outside its platform spec, where it is dropped" for one in sorted(read)))


@check(35, "A promotion edits the image and its links of one model, nothing else, and a second one nothing at all")
def edits(tree: Tree) -> Iterator[str]:
    for path, spec in tree.specs.items():
        where = spec["inferenceService"]["path"]
        before = tree.files.get(where, "")
        storage_uri = f"oci://{spec['image']['repository']}@sha256:{'a1' * 32}"
        problems = _edited(before, spec["inferenceService"]["name"], storage_uri)
        yield from (f"{path}: {problem} in {where}" for problem in problems)


@cache
def _promote(text: str, name: str, storage_uri: str) -> str:
    return apply(text, Edit(name, storage_uri, labels={MODEL_LABEL: "12", VERSION_LABEL: "34"}))


def _edited(before: str, name: str, storage_uri: str) -> Iterator[str]:
    try:
        after = _promote(before, name, storage_uri)
        again = _promote(after, name, storage_uri)
    except PromotionError as error:
        yield f"a promotion fails ({error})"
        return
    if again != after:
        yield "a second promotion of the same image changes something"
    lines = list(zip(before.splitlines(), after.splitlines(), strict=False))
    changed = [(old, new) for old, new in lines if old != new]
    if before.count("\n") != after.count("\n"):
        yield "a promotion adds lines"
    for old, new in changed:
        if old.split(":")[0].strip() not in EDITED or _comment(old) != _comment(new):
            yield f"a promotion changes {old.strip()} to {new.strip()}"
    if f"{storage_uri}\n" not in after:
        yield "a promotion leaves the image as it was"


def _comment(line: str) -> str:
    return line.partition(" #")[2]
