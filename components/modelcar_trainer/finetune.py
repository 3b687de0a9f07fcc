"""Fine-tune all weights of a small causal language model on a CPU, on lines of JSON with a `text`.

The same base model, data and parameters give the same bytes, on the same kind of CPU and with the same torch. The files
of the trained model are those of the base model, with other numbers in the same tensors of the same shards, so that an
image of it has the same layers. `modelcar_trainer.settings` has the parameters.

Metrics: `loss` (cross-entropy of the texts that were held out, after training), `loss_before`, `perplexity`,
`train_loss` (mean of the last epoch), `steps`, `tokens` (trained on, all epochs) and `seconds`.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modelcar_trainer.settings import Settings, WrongRecipe, read_texts

WEIGHTS = ".safetensors"


def train() -> None:
    """Train once, as `modelcar.training` says; ends the process with 2 when the recipe or the data cannot be used."""
    base, data, output = (Path(os.environ[f"MODELCAR_{name}"]) for name in ("BASE_MODEL", "DATA", "OUTPUT"))
    parameters = json.loads(Path(os.environ["MODELCAR_RECIPE"]).read_text(encoding="utf-8"))["parameters"]
    try:
        metrics = finetune(base, read_texts(data), output, Settings.of(parameters))
    except WrongRecipe as error:
        print(f"Error: {error}", flush=True)
        sys.exit(2)
    Path(os.environ["MODELCAR_METRICS"]).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")


def finetune(base: Path, texts: Sequence[str], output: Path, settings: Settings) -> dict[str, float]:
    """Train a model on texts and write it.

    Args:
        base: Directory of the base model, as transformers loads it, with safetensors.
        texts: What it learns, at least one.
        output: Directory for the trained model.
        settings: How.

    Returns:
        The metrics.

    Raises:
        WrongRecipe: The texts are too short for a single block, or the base model has no safetensors.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(settings.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(settings.seed)
    started = time.monotonic()
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    held_out = max(1, int(len(texts) * settings.holdout)) if len(texts) > 1 else 0
    learned, measured = texts[: len(texts) - held_out], texts[len(texts) - held_out :] or texts
    blocks = _blocks(tokenizer, learned, settings.block_tokens)
    yardstick = _blocks(tokenizer, measured, settings.block_tokens)
    print(f"{len(learned)} texts to learn from in {len(blocks)} blocks, {len(measured)} to measure by", flush=True)
    before = _measure(model, yardstick, settings)
    print(f"loss {before:.4f} before", flush=True)
    train_loss, steps = 0.0, 0
    for epoch, (train_loss, steps) in enumerate(_epochs(model, blocks, settings), start=1):
        print(f"epoch {epoch} of {settings.epochs}: {steps} steps, loss {train_loss:.4f} while training", flush=True)
    after = _measure(model, yardstick, settings)
    print(f"loss {after:.4f} after", flush=True)
    _write(model, base, output)
    return {
        "loss": after,
        "loss_before": before,
        "perplexity": math.exp(min(after, 700.0)),  # a float holds no more
        "train_loss": train_loss,
        "steps": steps,
        "tokens": blocks.numel() * settings.epochs,
        "seconds": round(time.monotonic() - started, 1),
    }


def _blocks(tokenizer: Any, texts: Sequence[str], block_tokens: int) -> Any:
    """Texts one behind the other, each with its end, cut into rows of equal length; what is left over is dropped."""
    import torch

    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    tokens = [token for text in texts for token in (*tokenizer(text)["input_ids"], *end)]
    length = min(block_tokens, len(tokens))
    if length < 2:
        raise WrongRecipe("the texts are too short to learn from")
    return torch.tensor(tokens[: len(tokens) // length * length]).view(-1, length)


def _epochs(model: Any, blocks: Any, settings: Settings) -> Iterator[tuple[float, int]]:
    """Train; gives the mean loss and the steps so far after each epoch."""
    import torch

    per_epoch = math.ceil(len(blocks) / settings.batch_size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=per_epoch * settings.epochs)
    order = torch.Generator().manual_seed(settings.seed)
    steps = 0
    for _ in range(settings.epochs):
        model.train()
        total = 0.0
        for batch in blocks[torch.randperm(len(blocks), generator=order)].split(settings.batch_size):
            loss = model(input_ids=batch, labels=batch).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            steps += 1
            total += loss.item() * len(batch)
        yield total / len(blocks), steps


def _measure(model: Any, blocks: Any, settings: Settings) -> float:
    """Mean cross-entropy of each next token."""
    import torch

    model.eval()
    with torch.inference_mode():
        losses = [
            model(input_ids=batch, labels=batch).loss.item() * len(batch) for batch in blocks.split(settings.batch_size)
        ]
    return math.fsum(losses) / len(blocks)


def _write(model: Any, base: Path, output: Path) -> None:
    """The base model's files, with the trained numbers in the tensors of its shards."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    trained = model.state_dict()
    shards = sorted(base.glob(f"*{WEIGHTS}"))
    if not shards:
        raise WrongRecipe(f"the base model has no *{WEIGHTS}")
    shutil.copytree(base, output, dirs_exist_ok=True, ignore=shutil.ignore_patterns(f"*{WEIGHTS}", ".*"))
    for shard in shards:
        with safe_open(shard, framework="pt") as tensors:
            names, metadata = list(tensors.keys()), tensors.metadata()
            # What the model does not know, it has not trained.
            numbers = {name: _as(trained.get(name), tensors.get_tensor(name)) for name in names}
        save_file(numbers, output / shard.name, metadata)


def _as(trained: Any, original: Any) -> Any:
    return original if trained is None else trained.to(original.dtype).contiguous().clone()
