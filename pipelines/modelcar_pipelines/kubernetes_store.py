"""The compiled pipelines as objects of a cluster, for pipeline servers that keep theirs there instead of in a database.

A PipelineVersion cannot be changed, so its name carries its content: what is compiled anew is another object beside the
older ones, which schedules may be pinned to. Where none is named, the server runs the one that was made last.

Source: kfp 2.17's compiler (`kubernetes_manifest_format`), and Kubeflow Pipelines' admission of PipelineVersions, which
refuses another spec under the same name
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from modelcar_pipelines.catalog import Compiled
from modelcar_pipelines.tekton.manifest import write_manifest
from modelcar_pipelines.tekton.objects import make_kustomization

API_VERSION: Final = "pipelines.kubeflow.org/v2beta1"
_KUSTOMIZATION, _IMAGE_FIELDS = "kustomization.yaml", "image-fields.yaml"


def make_store_files(pipelines: Sequence[Compiled], every: Sequence[str]) -> dict[Path, str]:
    """Texts by path below the directory: `NAME.yaml` with a Pipeline and a PipelineVersion, and a kustomization.

    Args:
        pipelines: Those that are compiled.
        every: Names of all that there are; the kustomization, which lists them, is only made with all of them.
    """
    files = {Path(f"{one.name}.yaml"): "---\n".join(map(write_manifest, store_objects(one))) for one in pipelines}
    if {one.name for one in pipelines} == set(every):
        kustomization = make_kustomization(list(map(str, files)), [_IMAGE_FIELDS])
        files[Path(_KUSTOMIZATION)] = write_manifest(kustomization)
        files[Path(_IMAGE_FIELDS)] = write_manifest(_image_fields(pipelines))
    return files


def store_objects(compiled: Compiled) -> tuple[dict[str, Any], dict[str, Any]]:
    """The Pipeline and the PipelineVersion, named as the server names them when they are uploaded."""
    name, version, file = compiled.name, compiled.content_name, compiled.file
    about = {"description": file.spec["pipelineInfo"].get("description", "")}
    pipeline = _object("Pipeline", name, {"displayName": name, **about})
    spec = {
        "pipelineName": name,
        "versionName": version,
        "displayName": version,
        **about,
        "pipelineSpec": file.spec,
        "platformSpec": file.platform,
    }
    held = {key: value for key, value in spec.items() if value is not None}
    return pipeline, _object("PipelineVersion", f"{name}-{version}", held)


def _object(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _image_fields(pipelines: Sequence[Compiled]) -> dict[str, Any]:
    """Where kustomize finds images, so that an overlay's `images` sets them all; it takes no wildcard for a step."""
    executors = sorted(
        {
            executor
            for one in pipelines
            for executor, does in one.file.spec["deploymentSpec"]["executors"].items()
            if "container" in does
        }
    )
    path = "spec/pipelineSpec/deploymentSpec/executors/{}/container/image"
    return {"images": [{"path": path.format(executor), "kind": "PipelineVersion"} for executor in executors]}
