"""`make train`: the demo model fine-tuned for real on this machine's CPU, by the contract that a pipeline uses."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from modelcar.errors import PromotionError
from modelcar.metrics import Floor, decide
from modelcar.recipe import Recipe, compute_recipe_key, identify
from modelcar.snapshot import Source
from modelcar.sources.open import open_data, open_source
from modelcar.training import Job, train
from modelcar_sandbox.demo_data import write_demo_data
from modelcar_sandbox.demo_model import write_demo_model

DIRECTORY = Path(".demo-training")
RECIPE = Recipe("modelcar_trainer.finetune:train", (), None, {"epochs": "4", "threads": "2"})
FLOORS = {"loss": Floor("most", 2.5)}


def main() -> None:
    """Train, show the metrics, and train again, which does nothing; exit 1 unless the loss went down."""
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    base, data = DIRECTORY.absolute() / "base", DIRECTORY.absolute() / "data"
    write_demo_model(base)
    write_demo_data(data)
    try:
        _show(base, data)
    except PromotionError as error:
        print(f"The training failed: {error}")
        sys.exit(1)


def _show(base: Path, data: Path) -> None:
    of_base, of_data = (_identify(source) for source in (open_source(base.as_uri()), open_data(data.as_uri())))
    job = Job(base, data, RECIPE, compute_recipe_key(of_base, of_data, RECIPE))
    print(f"Recipe key {job.recipe_key}")
    trained = train(job, DIRECTORY / "training")
    print(f"\nTrained in {trained.seconds:.0f} s into {trained.model}")
    for name, value in trained.metrics.items():
        print(f"  {name:<12} {value:g}")
    for result in decide(trained.metrics, FLOORS).results:
        print(f"  holds: {result}")
    again = train(job, DIRECTORY / "training")
    print(f"\nAgain: {'done already, nothing was trained' if again.was_done else 'trained again'}")
    sys.exit(0 if again.was_done and trained.metrics["loss"] < trained.metrics["loss_before"] else 1)


def _identify(source: Source) -> str:
    return identify(source.snapshot(), source)


if __name__ == "__main__":
    main()
