"""Layers on each other: what a later one hides, replaces and adds."""

from __future__ import annotations

import pytest

from modelcar.errors import UnsafeContent
from modelcar.image.archive import DIRECTORY, FILE, Member
from modelcar.image.overlay import Overlay


def seen(*layers: dict[str, str]) -> dict[str, int]:
    """The layer, counted from 0, that each path comes from."""
    overlay = Overlay[int]()
    for number, layer in enumerate(layers):
        overlay.add([(Member(name, kind, 0, 0), number) for name, kind in layer.items()], "the image")
    return {path: number for path, (_, number) in overlay.entries.items()}


@pytest.mark.parametrize("name", ["models/a", "./models/a", "/models/a", "models//./a"])
def test_names_are_read_however_they_begin(name: str) -> None:
    assert seen({name: FILE}) == {"a": 0}


def test_what_is_not_below_models_does_not_count() -> None:
    assert seen({"etc/passwd": FILE, "models2/a": FILE, "model": FILE, "x/models/a": FILE, "./": DIRECTORY}) == {}


def test_a_later_layers_file_replaces_an_earlier_one() -> None:
    assert seen({"models/a": FILE, "models/b": FILE}, {"models/a": FILE}) == {"a": 1, "b": 0}


def test_the_last_of_two_entries_of_one_name_counts() -> None:
    overlay = Overlay[str]()
    overlay.add([(Member("models/a", FILE, 1, 1), "first"), (Member("models/a", FILE, 2, 2), "last")], "the image")
    assert overlay.entries["a"][1] == "last"


def test_a_whiteout_deletes_a_file_of_a_layer_below() -> None:
    assert seen({"models/a": FILE, "models/b": FILE}, {"models/.wh.a": FILE}) == {"b": 0}


def test_a_whiteout_deletes_a_directory_with_all_that_is_in_it() -> None:
    below = {"models/d/a": FILE, "models/d/e/b": FILE, "models/da": FILE}
    assert seen(below, {"models/.wh.d": FILE}) == {"da": 0}


def test_a_whiteout_hides_nothing_of_its_own_layer_wherever_it_stands() -> None:
    assert seen({"models/a": FILE}, {"models/a": FILE, "models/.wh.a": FILE}) == {"a": 1}
    assert seen({"models/a": FILE}, {"models/.wh.a": FILE, "models/a": FILE}) == {"a": 1}


def test_an_opaque_directory_hides_all_of_it_that_lies_below() -> None:
    below = {"models/d/a": FILE, "models/d/e/b": FILE, "models/c": FILE}
    assert seen(below, {"models/d/.wh..wh..opq": FILE, "models/d/n": FILE}) == {"c": 0, "d/n": 1}


@pytest.mark.parametrize("name", [".wh.models", ".wh..wh..opq", "models/.wh..wh..opq"])
def test_the_whole_model_can_be_deleted(name: str) -> None:
    assert seen({"models/a": FILE, "models/d/b": FILE}, {name: FILE}) == {}


def test_a_file_in_the_place_of_a_directory_hides_it() -> None:
    assert seen({"models/d/a": FILE}, {"models/d": FILE}) == {"d": 1}


def test_a_directory_in_the_place_of_a_file_replaces_it() -> None:
    assert seen({"models/d": FILE}, {"models/d": DIRECTORY, "models/d/a": FILE}) == {"d/a": 1}


def test_a_directory_once_more_hides_nothing() -> None:
    assert seen({"models": DIRECTORY, "models/d/a": FILE}, {"models": DIRECTORY, "models/d": DIRECTORY}) == {"d/a": 0}


def test_what_is_deleted_can_come_again() -> None:
    assert seen({"models/a": FILE}, {"models/.wh.a": FILE}, {"models/a": FILE}) == {"a": 2}


def test_a_name_that_leads_out_is_refused() -> None:
    with pytest.raises(UnsafeContent) as caught:
        seen({"models/../etc/passwd": FILE})
    assert str(caught.value) == "the image has the name 'models/../etc/passwd', which may lead out of the image"
