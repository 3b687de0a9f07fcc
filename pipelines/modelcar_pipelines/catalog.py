"""The pipelines of this package by name, and their compiled form.

Compiling is a function of the source: the same source gives the same bytes, whatever the Python and the machine.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from modelcar.errors import InvalidInput
from modelcar.reference import ImageReference
from modelcar_pipelines.pipeline_file import PipelineFile, parse_pipeline

PIPELINES: Mapping[str, str] = {
    "promote-model": "modelcar_pipelines.promote_model:promote_model",
    "promote-model-workspace": "modelcar_pipelines.promote_model_workspace:promote_model_workspace",
    "promote-models": "modelcar_pipelines.promote_models:promote_models",
    "retrain-and-promote": "modelcar_pipelines.retrain_and_promote:retrain_and_promote",
}
"""Where each is defined. Names are RFC 1123 labels, which every store of KFP takes."""
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Compiled:
    """A pipeline as KFP takes it.

    Attributes:
        name: Of the pipeline.
        text: The PipelineSpec, and behind `---` the Kubernetes platform spec; YAML.
    """

    name: str
    text: str

    @property
    def content_name(self) -> str:
        """What a version with this content is called: this package's version and 12 hex digits.

        It is an RFC 1123 subdomain, which every store of KFP takes.
        """
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        return f"{version('modelcar-pipelines')}-{digest[:_DIGITS]}"

    @property
    def file(self) -> PipelineFile:
        """Parsed."""
        return parse_pipeline(self.text, self.name)


def compile_pipeline(name: str, image: str | None = None, workspace_size: str | None = None) -> Compiled:
    """Compile one pipeline.

    Args:
        name: One of `PIPELINES`.
        image: The step image instead of this release's, as `registry/repository` with a tag, a digest or both.
        workspace_size: Of the run's volume, where the pipeline has one, as Kubernetes writes it: `300Gi`.

    Raises:
        InvalidInput: There is no such pipeline, or the size is none.
        InvalidReference: The image is none.
    """
    from kfp import compiler

    from modelcar_components.step import IMAGE
    from modelcar_pipelines.platform import WORKSPACE_SIZE

    if name not in PIPELINES:
        raise InvalidInput(f"there is no pipeline {name!r}", hint=f"There are {', '.join(PIPELINES)}.")
    module, _, function = PIPELINES[name].partition(":")
    pipeline = getattr(importlib.import_module(module), function)
    with tempfile.TemporaryDirectory(prefix="modelcar-compile-") as directory:
        path = Path(directory) / f"{name}.yaml"
        compiler.Compiler().compile(pipeline, str(path))
        text = path.read_text(encoding="utf-8")
    if image is not None:
        text = text.replace(IMAGE, check_image(image))
    if workspace_size is not None:
        text = text.replace(f"        size: {WORKSPACE_SIZE}\n", f"        size: {_check_size(workspace_size)}\n")
    return Compiled(name, text)


def check_image(image: str) -> str:
    """Let through what pods can pull.

    Raises:
        InvalidReference: It is no image reference.
        InvalidInput: It names neither tag nor digest.
    """
    reference = ImageReference.parse(image)
    if reference.tag is None and reference.digest is None:
        raise InvalidInput(f"{image} names neither tag nor digest", hint=f"Write {image}:0.1.0, or better a digest.")
    return str(reference)


def _check_size(size: str) -> str:
    """Let through what a volume claim can ask for.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    if not re.fullmatch(r"[1-9][0-9]*(Gi|Ti|G|T)", size):
        raise InvalidInput(f"{size!r} is not the size of a volume", hint="Write 300Gi, for instance.")
    return size
