"""`--no-reuse`: every layer is read and sent, whatever is there."""

from __future__ import annotations

import json
from pathlib import Path

from cli.command import Fill, Run

HUB = "hf://sandbox/demo-llama"


def test_push_reads_and_sends_what_is_there(modelcar: Run, place: Fill) -> None:
    arguments = ("push", HUB, place("{registry}/reuse/push:v1"), "--base-image", "scratch", "--json")
    once, again = modelcar(*arguments), modelcar(*arguments, "--no-reuse")
    assert (once.code, again.code) == (0, 0)
    first, second = json.loads(once.stdout), json.loads(again.stdout)
    assert second["digest"] == first["digest"]
    assert second["bytes_read"] == first["bytes_read"] > 0
    assert not any(layer["reused"] for layer in second["layers"] if layer["files"])


def test_promote_reads_and_sends_what_is_there(modelcar: Run, place: Fill) -> None:
    spec = Path(place("promotion.yaml"))  # names of its own: other tests promote, too
    text = spec.read_text().replace("models/demo-llama", "reuse/demo")
    spec.write_text(text.replace("registeredModel: d", "registeredModel: reuse-d"))
    once, again = (modelcar("promote", str(spec), "--json", *more) for more in ((), ("--no-reuse",)))
    assert (once.code, again.code) == (0, 0)
    first, second = json.loads(once.stdout), json.loads(again.stdout)
    assert second["push"]["digest"] == first["push"]["digest"]
    assert second["push"]["bytes_read"] == first["push"]["bytes_read"] > 0
    assert second["patch"]["changed"] is False
