"""`oci://` on the command line: copied as it is, planned, taken from a sibling; what cannot be is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.command import Fill, Run

HUB = "hf://sandbox/demo-llama"


def done(ran: Any) -> dict[str, Any]:
    assert ran.code == 0, ran.stderr
    value: dict[str, Any] = json.loads(ran.stdout)
    return value


@pytest.fixture
def source(modelcar: Run, place: Fill) -> dict[str, Any]:
    """An image of the demo model."""
    image = place("{registry}/copy/from:v1")
    return done(modelcar("push", HUB, image, "--base-image", "scratch", "--json"))


def test_a_copy_on_its_own_base_is_the_same_image(modelcar: Run, place: Fill, source: dict[str, Any]) -> None:
    arguments = (place("oci://{registry}/copy/from:v1"), place("{registry}/copy/to:v1"), "--base-image", "same")
    plan = done(modelcar("plan", *arguments, "--json"))
    assert plan["source"] == {
        "uri": place("oci://{registry}/copy/from@") + source["digest"],
        "revision": "v1",
        "commit_hash": None,
    }
    weights = [layer for layer in plan["layers"] if layer["files"]]
    assert all(layer["reusable"] for layer in weights)
    assert plan["reused_bytes"] == sum(layer["size_bytes"] for layer in weights)
    copy = done(modelcar("push", *arguments, "--json"))
    assert (copy["digest"], copy["bytes_read"]) == (source["digest"], 0)
    assert copy["referrers"] == {"copied": [], "left": []}


def test_a_sibling_gives_layers(modelcar: Run, place: Fill, source: dict[str, Any]) -> None:
    sibling = ("--reuse-from", place("{registry}/copy/from:v1"))
    to = place("{registry}/copy/beside:v1")
    copy = done(modelcar("push", HUB, to, "--base-image", "scratch", *sibling, "--json"))
    assert (copy["digest"], copy["bytes_read"], copy["referrers"]) == (source["digest"], 0, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("oci://{registry}/copy/none:v1", "--base-image", "scratch"), "image {registry}/copy/none:v1 is not there"),
        (
            (HUB, "--base-image", "scratch", "--reuse-from", "{registry}/copy/none:v1"),
            "image {registry}/copy/none:v1 is not there",
        ),
        (
            (HUB, "--base-image", "scratch", "--reuse-from", "localhost:1/copy/none:v1"),
            "localhost:1/copy/none:v1 is in another registry than {registry}/copy/to:v1",
        ),
        ((HUB, "--base-image", "same"), HUB + " is no image, so it has no base to keep"),
        (("oci://registry", "--base-image", "scratch"), "image reference 'registry' does not name its registry"),
    ],
)
def test_what_cannot_be_copied_is_told_in_a_sentence(
    modelcar: Run, place: Fill, arguments: tuple[str, ...], message: str
) -> None:
    source, *more = (place(argument) for argument in arguments)
    ran = modelcar("push", source, place("{registry}/copy/to:v1"), *more)
    assert ran.code == 2
    assert ran.stderr.splitlines()[0] == f"Error: {place(message)}"
    assert "Traceback" not in ran.stderr
