"""A small data set for the demo model: sentences of few words, made from patterns, the same everywhere.

A model of random weights can learn it in a minute on a CPU, because the sentences are much alike.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

SENTENCES = 400
_WHO = ("the team", "a person", "the server", "this image", "the registry", "each model", "one layer", "that commit")
_DOES = ("promotes", "serves", "has", "finds", "makes", "reads", "keeps", "is as good as")
_WHAT = ("the model", "an image", "each layer", "the digest", "a commit", "the other one", "what is there", "no word")


def write_demo_data(directory: Path, *, variant: int = 1) -> None:
    """Write `train.jsonl` and a `README.md` into `directory`, which is made when it is not there.

    Args:
        directory: Files of the same names are replaced.
        variant: Seeds the sentences.
    """
    directory.mkdir(parents=True, exist_ok=True)
    choice = random.Random(variant)
    lines = []
    for _ in range(SENTENCES):
        sentence = f"{choice.choice(_WHO)} {choice.choice(_DOES)} {choice.choice(_WHAT)}"
        lines.append(json.dumps({"text": f"{sentence.capitalize()}."}) + "\n")
    (directory / "train.jsonl").write_text("".join(lines), encoding="utf-8")
    (directory / "README.md").write_text(f"# demo-sentences\n\n{SENTENCES} sentences to train on.\n", encoding="utf-8")
