"""Pipelines as objects of a cluster: what kfp's compiler writes, under names that carry the content."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from kfp.compiler import Compiler
from kfp.compiler.compiler_utils import KubernetesManifestOptions

from modelcar_pipelines.catalog import PIPELINES, compile_pipeline, compile_pipelines
from modelcar_pipelines.kubernetes_store import make_store_files, store_objects
from modelcar_pipelines.promote_model import define

OTHER = f"registry.example/team/steps@sha256:{'a' * 64}"


def test_the_objects_are_those_that_kfps_compiler_writes(tmp_path: Path) -> None:
    compiled = compile_pipeline("promote-model")
    version = compiled.content_name
    names = KubernetesManifestOptions(
        pipeline_name="promote-model",
        pipeline_display_name="promote-model",
        pipeline_version_name=f"promote-model-{version}",
        pipeline_version_display_name=version,
        include_pipeline_manifest=True,
    )
    path = tmp_path / "promote-model.yaml"
    Compiler().compile(define(), str(path), kubernetes_manifest_options=names, kubernetes_manifest_format=True)
    pipeline, made = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    made["spec"]["versionName"] = version  # by which the server's API calls it; kfp's compiler has no option for it
    assert store_objects(compiled) == (pipeline, made)


def test_an_object_is_named_as_the_server_names_one_that_is_uploaded() -> None:
    _, version = store_objects(compile_pipeline("promote-model"))
    assert version["metadata"]["name"] == f"{version['spec']['pipelineName']}-{version['spec']['versionName']}"


def test_another_content_is_another_object_of_the_same_pipeline() -> None:
    pipeline, version = store_objects(compile_pipeline("promote-model"))
    same, other = store_objects(compile_pipeline("promote-model", OTHER))
    assert same == pipeline
    assert other["metadata"]["name"] != version["metadata"]["name"]
    assert OTHER in str(other["spec"]["pipelineSpec"])


@pytest.mark.parametrize("name", PIPELINES)
def test_a_file_reads_back_as_its_objects(name: str) -> None:
    compiled = compile_pipeline(name)
    text = make_store_files([compiled], [name])[Path(f"{name}.yaml")]
    assert tuple(yaml.safe_load_all(text)) == store_objects(compiled)


def test_kustomize_is_told_every_pipeline_and_every_step_with_an_image() -> None:
    pipelines = compile_pipelines()
    files = make_store_files(pipelines, list(PIPELINES))
    assert yaml.safe_load(files[Path("kustomization.yaml")])["resources"] == [f"{name}.yaml" for name in PIPELINES]
    fields = {one["path"].split("/")[4] for one in yaml.safe_load(files[Path("image-fields.yaml")])["images"]}
    assert fields == {name for one in pipelines for name in one.file.spec["deploymentSpec"]["executors"]}


def test_one_of_several_pipelines_is_written_without_a_kustomization() -> None:
    assert list(make_store_files([compile_pipeline("promote-model")], list(PIPELINES))) == [Path("promote-model.yaml")]
