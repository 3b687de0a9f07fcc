"""`modelcar pipeline compile` and `upload` with sizes: what is written, and what is refused before anything is."""

from __future__ import annotations

from pathlib import Path

import pytest

from bare_machine import few_certificates, home
from cli.command import Run, modelcar
from modelcar_pipelines.catalog import compile_pipeline
from modelcar_pipelines.sizes import TrainingSize

__all__ = ["few_certificates", "home", "modelcar"]

SIZES = ("--train-memory", "64Gi", "--train-cpu", "12", "--train-gpus", "2", "--workspace-size", "2Ti")


def test_compile_writes_the_sizes(modelcar: Run, tmp_path: Path) -> None:
    assert modelcar("pipeline", "compile", "retrain-and-promote", "--dir", str(tmp_path), *SIZES).code == 0
    expected = compile_pipeline("retrain-and-promote", None, "2Ti", TrainingSize("64Gi", "12", 2))
    assert (tmp_path / "kfp" / "retrain-and-promote.yaml").read_text() == expected.text


@pytest.mark.parametrize("command", ["compile", "upload"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("promote-model", "--train-gpus", "1"), "--train-gpus: promote-model has no training"),
        (("promote-model", "--workspace-size", "2Ti"), "--workspace-size: promote-model has no volume"),
        (("--train-memory", "lots"), "--train-memory 'lots' is not an amount of memory"),
    ],
)
def test_a_size_that_cannot_be_had_is_refused_and_nothing_is_written(
    command: str,
    arguments: tuple[str, ...],
    message: str,
    modelcar: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = modelcar("pipeline", command, *arguments)
    assert done.code == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []
