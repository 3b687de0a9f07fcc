"""Volumes and trainings of another size: what changes in a compiled pipeline, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from modelcar.errors import InvalidInput
from modelcar_pipelines.catalog import (
    PIPELINES,
    WITH_TRAINING,
    WITH_VOLUME,
    Compiled,
    compile_pipeline,
    compile_pipelines,
)
from modelcar_pipelines.sizes import TrainingSize

TRAINER = "exec-retrain-model"


def resources(compiled: Compiled) -> dict[str, dict[str, Any]]:
    """What each step asks for, by executor."""
    executors = compiled.file.spec["deploymentSpec"]["executors"]
    return {key: one["container"]["resources"] for key, one in executors.items()}


def test_a_training_can_have_more_memory_cores_and_gpus_and_no_other_step_does() -> None:
    before = resources(compile_pipeline("retrain-and-promote"))
    after = resources(compile_pipeline("retrain-and-promote", training=TrainingSize("64Gi", "12", 2)))
    changed = after.pop(TRAINER)
    del before[TRAINER]
    assert after == before
    assert (changed["resourceMemoryRequest"], changed["resourceMemoryLimit"]) == ("64Gi", "64Gi")
    assert (changed["resourceCpuRequest"], changed["resourceCpuLimit"]) == ("12", "12")
    assert changed["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert changed["accelerator"]["resourceCount"] == "2"


def test_what_is_left_out_keeps_its_default() -> None:
    default = resources(compile_pipeline("retrain-and-promote"))[TRAINER]
    assert "accelerator" not in default
    with_gpu = resources(compile_pipeline("retrain-and-promote", training=TrainingSize(gpus=1)))[TRAINER]
    assert {name: value for name, value in with_gpu.items() if name != "accelerator"} == default


def test_no_gpus_and_nothing_at_all_are_what_is_committed() -> None:
    default = compile_pipeline("retrain-and-promote")
    assert compile_pipeline("retrain-and-promote", training=TrainingSize(gpus=0)) == default
    assert compile_pipeline("retrain-and-promote", training=TrainingSize()) == default


def test_sizes_of_one_compilation_are_not_those_of_the_next() -> None:
    before = compile_pipeline("retrain-and-promote")
    compile_pipeline("retrain-and-promote", training=TrainingSize("64Gi"))
    assert compile_pipeline("retrain-and-promote") == before


def test_the_pipelines_that_have_a_volume_or_a_training_are_those_that_the_catalog_names() -> None:
    compiled = {name: compile_pipeline(name) for name in PIPELINES}
    platforms = {name: one.file.platform or {} for name, one in compiled.items()}
    with_volume = [
        name
        for name, one in platforms.items()
        if "workspace" in one["platforms"]["kubernetes"].get("pipelineConfig", {})
    ]
    assert with_volume == list(WITH_VOLUME)
    assert [name for name, one in compiled.items() if TRAINER in resources(one)] == list(WITH_TRAINING)


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"memory": "64"}, "--train-memory '64' is not an amount of memory", "Write 64Gi, for instance."),
        ({"memory": "64GB"}, "--train-memory '64GB' is not an amount of memory", "Write 64Gi, for instance."),
        ({"memory": "0Gi"}, "--train-memory '0Gi' is not an amount of memory", "Write 64Gi, for instance."),
        ({"memory": ""}, "--train-memory '' is not an amount of memory", "Write 64Gi, for instance."),
        ({"cpu": "many"}, "--train-cpu 'many' is not a number of cores", "Write 8, or 500m for half a core."),
        ({"cpu": "0"}, "--train-cpu '0' is not a number of cores", "Write 8, or 500m for half a core."),
        ({"cpu": "8\n"}, "--train-cpu '8\\n' is not a number of cores", "Write 8, or 500m for half a core."),
        ({"gpus": -1}, "--train-gpus -1 is not a number of GPUs", "Write 1, or 0 for none."),
    ],
)
def test_what_kubernetes_does_not_take_is_refused(given: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        TrainingSize(**given)
    assert (str(caught.value), caught.value.hint) == (message, hint)


def test_a_size_for_what_no_pipeline_among_the_named_has_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        compile_pipelines(["promote-model"], workspace_size="300Gi")
    assert str(caught.value) == "--workspace-size: promote-model has no volume"
    assert caught.value.hint == "Leave it out, or name promote-model-workspace or retrain-and-promote."
    with pytest.raises(InvalidInput) as caught:
        compile_pipelines(["promote-model", "promote-models"], training=TrainingSize("64Gi", gpus=1))
    assert str(caught.value) == "--train-memory, --train-gpus: promote-model and promote-models have no training"
    assert caught.value.hint == "Leave it out, or name retrain-and-promote."


def test_a_size_goes_to_those_of_several_pipelines_that_it_is_for() -> None:
    training = TrainingSize(memory="64Gi")
    assert [one.name for one in compile_pipelines()] == list(PIPELINES)
    assert compile_pipelines(workspace_size="2Ti", training=training) == [
        compile_pipeline("promote-model"),
        compile_pipeline("promote-model-workspace", workspace_size="2Ti"),
        compile_pipeline("promote-models"),
        compile_pipeline("retrain-and-promote", workspace_size="2Ti", training=training),
    ]
