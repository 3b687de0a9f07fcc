"""The small trainer, by the contract, on the demo model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from modelcar.errors import TrainingError
from modelcar.recipe import Recipe
from modelcar.training import Job, Trained, train
from modelcar_sandbox.demo_data import write_demo_data
from modelcar_sandbox.demo_model import write_demo_model

pytestmark = [
    pytest.mark.heavy,
    # Libraries of this size warn about one another; that is not what is tested here.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    for package in ("torch", "transformers"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    directory = tmp_path_factory.mktemp("job")
    write_demo_model(directory / "base")
    write_demo_data(directory / "data")
    lines = (directory / "data/train.jsonl").read_text().splitlines(keepends=True)
    (directory / "data/train.jsonl").write_text("".join(lines[:120]))
    recipe = Recipe("modelcar_trainer.finetune:train", (), None, {"epochs": "2"})
    return Job(directory / "base", directory / "data", recipe, "a" * 64)


@pytest.fixture(scope="module")
def trained(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(job, tmp_path_factory.mktemp("training"))


def digests(model: Path) -> dict[str, str]:
    files = (path for path in model.rglob("*") if path.is_file())
    return {str(path.relative_to(model)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def tensors(model: Path) -> dict[str, Any]:
    """Shape and type of every tensor, by shard and name."""
    headers = {}
    for shard in sorted(model.glob("*.safetensors")):
        content = shard.read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        headers[shard.name] = {name: (entry.get("dtype"), entry.get("shape")) for name, entry in header.items()}
    return headers


def test_the_loss_goes_down(trained: Trained) -> None:
    metrics = trained.metrics
    assert 5.5 < metrics["loss_before"] < 6.5  # 384 tokens, all as likely: 5.95
    assert metrics["loss"] < metrics["loss_before"] - 1
    assert set(metrics) == {"loss", "loss_before", "perplexity", "train_loss", "steps", "tokens", "seconds"}


def test_the_same_training_gives_the_same_bytes(job: Job, trained: Trained, tmp_path: Path) -> None:
    again = train(job, tmp_path / "again")
    assert digests(again.model) == digests(trained.model)
    assert again.metrics["loss"] == trained.metrics["loss"]


def test_only_the_numbers_of_the_weights_are_others(job: Job, trained: Trained) -> None:
    before, after = digests(job.base_model), digests(trained.model)
    assert before.keys() == after.keys()
    assert {path for path in after if after[path] != before[path]} == {
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    }
    assert tensors(trained.model) == tensors(job.base_model)


def test_transformers_loads_what_was_trained(trained: Trained) -> None:
    from transformers import AutoModelForCausalLM

    _, loading = AutoModelForCausalLM.from_pretrained(trained.model, output_loading_info=True)
    assert {key: list(names) for key, names in loading.items() if names} == {}


def test_a_wrong_parameter_is_told_in_the_error(job: Job, tmp_path: Path) -> None:
    recipe = Recipe("modelcar_trainer.finetune:train", (), None, {"epochs": "many"})
    wrong = Job(job.base_model, job.data, recipe, "b" * 64)
    with pytest.raises(TrainingError, match="last line was: Error: parameter epochs is 'many', not a whole number"):
        train(wrong, tmp_path / "training")
