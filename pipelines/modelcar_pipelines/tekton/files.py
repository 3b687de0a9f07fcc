"""What is compiled to Tekton, as files: a Pipeline and a sample run each, and what starts runs by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from modelcar.errors import InvalidInput
from modelcar_pipelines.catalog import Compiled
from modelcar_pipelines.tekton.manifest import write_manifest
from modelcar_pipelines.tekton.objects import PIPELINE, SAMPLE, make_kustomization, schedule_objects, trigger_objects
from modelcar_pipelines.tekton.pipeline import make_pipeline
from modelcar_pipelines.tekton.pipeline_run import make_run

PIPELINES: Final = ("promote-model", "promote-model-workspace")
"""Those that are compiled to Tekton; the others have loops, or an image that is known only when they run."""
RESULTS: Final = {
    "model_version_id": ("register-model", "model_version_id"),
    "commit": ("patch-inference-service", "commit"),
    "skipped": ("report-skipped", "skipped"),
}
"""What a run gives as a whole, beside the image: by name, the task and what that gives."""
IMAGE_FIELDS: Final = {
    "images": [{"path": f"spec/{tasks}/taskSpec/steps/image", "kind": "Pipeline"} for tasks in ("tasks", "finally")]
}
"""Where kustomize finds images in a Pipeline, so that an overlay's `images` sets them all."""


def check_compiled(name: str) -> None:
    """Let through the name of a pipeline that is compiled to Tekton.

    Raises:
        InvalidInput: It is none of them.
    """
    if name not in PIPELINES:
        raise InvalidInput(
            f"{name} is not compiled to Tekton",
            hint=f"There are {' and '.join(PIPELINES)}; others run without --tekton.",
        )


def make_files(pipelines: Iterable[Compiled]) -> dict[Path, str]:
    """Texts by path below the directory for Tekton; none for pipelines that are not compiled to it.

    Raises:
        InvalidInput: A pipeline has something that is not compiled.
    """
    found = {compiled.name: compiled.file for compiled in pipelines if compiled.name in PIPELINES}
    objects: dict[Path, Mapping[str, Any]] = {}
    for name, file in found.items():
        objects[Path(f"{name}.yaml")] = make_pipeline(file, RESULTS)
        objects[Path(f"samples/{name}-run.yaml")] = make_run(file, {"spec": SAMPLE})
    if set(found) == set(PIPELINES):
        objects[Path("kustomization.yaml")] = make_kustomization(
            [f"{name}.yaml" for name in PIPELINES], ["image-fields.yaml"]
        )
        objects[Path("image-fields.yaml")] = IMAGE_FIELDS
        for directory, made in (
            ("schedule", schedule_objects(_image(found[PIPELINE].spec))),
            ("trigger", trigger_objects(found[PIPELINE])),
        ):
            objects |= made
            objects[Path(directory, "kustomization.yaml")] = make_kustomization([path.name for path in made])
    return {path: write_manifest(one) for path, one in objects.items()}


def _image(spec: Mapping[str, Any]) -> str:
    """That all steps run in."""
    executors = spec["deploymentSpec"]["executors"].values()
    return str(next(one["container"]["image"] for one in executors if "container" in one))
