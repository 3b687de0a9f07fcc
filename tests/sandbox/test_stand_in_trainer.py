from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

import pytest

from modelcar.errors import TrainingError
from modelcar.recipe import Recipe
from modelcar.training import Job, Trained, train
from modelcar_sandbox import stand_in_trainer
from modelcar_sandbox.demo_model import write_demo_model


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("base")
    write_demo_model(directory)
    return directory


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train.jsonl").write_text('{"text": "hello"}\n{"text": "world"}\n')
    return tmp_path / "data"


def run(base: Path, data: Path, directory: Path, **parameters: str) -> Trained:
    """As a command, from a copy of the file that lies somewhere else."""
    program = Path(shutil.copy(str(stand_in_trainer.__file__), data.parent / "alone.py"))
    recipe = Recipe(None, (sys.executable, "-S", str(program)), None, parameters)
    return train(Job(base, data, recipe, "a" * 64), directory, tell=lambda _: None)


def digests(model: Path) -> dict[str, str]:
    files = (path for path in model.rglob("*") if path.is_file())
    return {str(path.relative_to(model)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_it_changes_the_weights_and_nothing_else(base: Path, data: Path, tmp_path: Path) -> None:
    before, trained = digests(base), run(base, data, tmp_path / "training")
    after = digests(trained.model)
    assert before.keys() == after.keys()
    changed = {path for path in after if after[path] != before[path]}
    assert changed == {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}


def test_the_same_training_gives_the_same_bytes_and_another_one_others(base: Path, data: Path, tmp_path: Path) -> None:
    models = [
        digests(run(base, data, tmp_path / name, **parameters).model)
        for name, parameters in (("one", {}), ("two", {}), ("three", {"seed": "2"}))
    ]
    (data / "train.jsonl").write_text("{}\n")
    models.append(digests(run(base, data, tmp_path / "four").model))
    assert models[0] == models[1]
    assert len({tuple(sorted(model.items())) for model in models}) == 3


def test_its_loss_falls_with_the_lines_or_is_what_it_is_told(base: Path, data: Path, tmp_path: Path) -> None:
    assert run(base, data, tmp_path / "one").metrics == {"lines": 2.0, "loss": 5.0 / 3}
    assert run(base, data, tmp_path / "two", loss="9.5").metrics == {"lines": 2.0, "loss": 9.5}


def test_it_fails_when_it_is_told_to(base: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"failed with exit code 3; .* told to fail$"):
        run(base, data, tmp_path / "training", fail="3")
