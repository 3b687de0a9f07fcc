"""`modelcar download`: a model's files in a directory, and what is said about it."""

from __future__ import annotations

import json
from pathlib import Path

from cli.command import Fill, Run

HUB = "hf://sandbox/demo-llama"


def test_it_says_what_it_read_and_what_was_there(modelcar: Run, place: Fill) -> None:
    first, second = modelcar("download", HUB, "model"), modelcar("download", HUB, "model")

    assert (first.code, second.code) == (0, 0)
    assert f" MiB → {Path.cwd()}/model\n" in first.stdout
    assert " read, 0 B reused, in " in first.stdout
    assert "\n0 B read, " in second.stdout
    assert {line.split()[0] for line in first.stderr.splitlines()} == {"downloaded"}
    assert {line.split()[0] for line in second.stderr.splitlines()} == {"reused"}


def test_json_is_one_object(modelcar: Run, place: Fill) -> None:
    ran = modelcar("download", f"{HUB}@main", "model", "--allow", "*config.json", "--ignore", "tokenizer*", "--json")

    told = json.loads(ran.stdout)
    assert list(told) == ["directory", "source", "files", "size_bytes", "bytes_read", "bytes_reused", "seconds"]
    assert list(told["source"]) == ["uri", "revision", "commit_hash"]
    assert told["directory"] == str(Path.cwd() / "model")
    assert told["bytes_read"] == told["size_bytes"] == sum(file["size_bytes"] for file in told["files"])
    there = {path.name: path.stat().st_size for path in Path("model").iterdir() if path.is_file()}
    assert {file["path"]: file["size_bytes"] for file in told["files"]} == there


def test_a_failure_is_one_sentence_a_hint_and_exit_code_2(modelcar: Run, place: Fill) -> None:
    ran = modelcar("download", HUB, ".")

    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr == (
        f"Error: {Path.cwd()} is not empty, and was not made by a download\n"
        "Name an empty directory, or one that is not there yet.\n"
    )
    assert {path.name for path in Path().iterdir()} == {"chat.yaml", "promotion.yaml"}
