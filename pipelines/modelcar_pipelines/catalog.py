"""The pipelines of this package by name, and their compiled form.

Compiling is a function of the source: the same source gives the same bytes, whatever the Python and the machine.
"""

from __future__ import annotations

import hashlib
import importlib
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from modelcar.errors import InvalidInput
from modelcar_pipelines.pipeline_file import PipelineFile, parse_pipeline
from modelcar_pipelines.sizes import TrainingSize, check_volume_size
from modelcar_pipelines.step_image import resolve_image

PIPELINES: Mapping[str, str] = {
    "promote-model": "modelcar_pipelines.promote_model",
    "promote-model-workspace": "modelcar_pipelines.promote_model_workspace",
    "promote-models": "modelcar_pipelines.promote_models",
    "retrain-and-promote": "modelcar_pipelines.retrain_and_promote",
}
"""The module that defines each. Names are RFC 1123 labels, which every store of KFP takes."""
WITH_VOLUME = ("promote-model-workspace", "retrain-and-promote")
WITH_TRAINING = ("retrain-and-promote",)
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


def compile_pipelines(
    names: Sequence[str] = (),
    image: str | None = None,
    workspace_size: str | None = None,
    training: TrainingSize | None = None,
) -> list[Compiled]:
    """Compile the pipelines that are named, or all when none is.

    Sizes are for the pipelines among them that have a volume or a training; see `compile_pipeline`.

    Raises:
        InvalidInput: There is no such pipeline or image, a size is none, or one is given that no pipeline among them
            has.
        InvalidReference: The image is none.
        PromotionError: The cluster cannot be asked for the image's digest.
    """
    chosen = tuple(names) or tuple(PIPELINES)
    image = resolve_image(image) if image is not None else None  # once, so that all of them name the same
    compiled = [compile_pipeline(name, image, workspace_size, training) for name in chosen]
    if workspace_size is not None:
        _check_has("volume", ["--workspace-size"], chosen, WITH_VOLUME)
    if training is not None and training.options:
        _check_has("training", training.options, chosen, WITH_TRAINING)
    return compiled


def compile_pipeline(
    name: str, image: str | None = None, workspace_size: str | None = None, training: TrainingSize | None = None
) -> Compiled:
    """Compile one pipeline.

    Args:
        name: One of `PIPELINES`.
        image: The step image instead of this release's, as `registry/repository` with a tag, a digest or both; see
            `resolve_image` for a tag of the cluster's own registry.
        workspace_size: Of the run's volume, where the pipeline has one, as Kubernetes writes it: `300Gi`.
        training: Of the step that trains, where the pipeline has one.

    Raises:
        InvalidInput: There is no such pipeline, the size is none, or there is no such image.
        InvalidReference: The image is none.
        PromotionError: The cluster cannot be asked for the image's digest.
    """
    from kfp import compiler

    from modelcar_components.step import IMAGE
    from modelcar_pipelines.platform import WORKSPACE_SIZE

    pipeline = _define_in_thread(name, training)
    with tempfile.TemporaryDirectory(prefix="modelcar-compile-") as directory:
        path = Path(directory) / f"{name}.yaml"
        compiler.Compiler().compile(pipeline, str(path))
        text = path.read_text(encoding="utf-8")
    if image is not None:
        text = text.replace(IMAGE, resolve_image(image))
    if workspace_size is not None:
        size = check_volume_size(workspace_size)
        text = text.replace(f"        size: {WORKSPACE_SIZE}\n", f"        size: {size}\n")
    return Compiled(name, text)


def _define_in_thread(name: str, training: TrainingSize | None) -> Any:
    """As `_define`, with hardly anything on the stack.

    kfp inspects the whole call stack for each setting of a task: 3 s instead of 0.1 s below an importer, a notebook's
    kernel or a test runner.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_define, name, training).result()


def _define(name: str, training: TrainingSize | None) -> Any:
    """The pipeline as kfp's compiler takes it."""
    if name not in PIPELINES:
        raise InvalidInput(f"there is no pipeline {name!r}", hint=f"There are {', '.join(PIPELINES)}.")
    module = importlib.import_module(PIPELINES[name])
    return module.define(training or TrainingSize()) if name in WITH_TRAINING else module.define()


def _check_has(what: str, options: Sequence[str], chosen: Sequence[str], having: Sequence[str]) -> None:
    """See that an option does something for one of the pipelines.

    Raises:
        InvalidInput: None of those that are compiled has what it is for.
    """
    if not set(chosen) & set(having):
        raise InvalidInput(
            f"{', '.join(options)}: {' and '.join(chosen)} {'has' if len(chosen) == 1 else 'have'} no {what}",
            hint=f"Leave it out, or name {' or '.join(having)}.",
        )
