from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelcar.errors import InvalidSpec
from modelcar.metrics import Floor
from modelcar.spec import TrainingSpec, parse_spec
from modelcar.spec.promotion_spec import parse_sections

HEAD = """\
apiVersion: modelcar.dev/v1alpha1
kind: PromotionSpec
model: {source: hf://acme/tiny-llama}
image: {repository: quay.io/acme/tiny-llama}
modelRegistry: {url: https://registry.example.com, registeredModel: tiny-llama}
inferenceService: {repository: https://git.example.com/x.git, path: a.yaml, name: tiny-llama}
"""
SHORTEST = {"data": "file:///data/answers", "entryPoint": "trainer:train"}


def parse(training: object) -> TrainingSpec | None:
    return parse_spec(f"{HEAD}training: {json.dumps(training)}\n", name="p.yaml", env={}).training


def faults(training: object) -> list[str]:
    with pytest.raises(InvalidSpec) as caught:
        parse(training)
    return [line.removeprefix("p.yaml:7: ") for line in str(caught.value).splitlines()]


def test_a_training_is_data_and_an_entry_point_at_least() -> None:
    assert parse(SHORTEST) == TrainingSpec(
        data="file:///data/answers",
        data_revision=None,
        image=None,
        entry_point="trainer:train",
        command=(),
        parameters={},
        floors={},
    )


@pytest.mark.parametrize("written", ["", "training: null\n", "training:\n"])
def test_without_the_section_nothing_is_trained(written: str) -> None:
    assert parse_spec(HEAD + written, name="p.yaml", env={}).training is None


def test_a_command_keeps_its_arguments_as_they_are() -> None:
    training = parse({"data": "file:///data", "command": ["/bin/sh", "-c", "train\nit ", ""]})
    assert training is not None
    assert training.command == ("/bin/sh", "-c", "train\nit ", "")
    assert training.entry_point is None


def test_floors_are_written_without_quotes() -> None:
    floors = "  floors:\n    b/loss: at most 2.5\n    a: at least -1\n"
    text = f"{HEAD}training:\n  data: file:///data\n  entryPoint: trainer:train\n{floors}"
    training = parse_spec(text, name="p.yaml", env={}).training
    assert training is not None
    assert list(training.floors.items()) == [("a", Floor("least", -1.0)), ("b/loss", Floor("most", 2.5))]


def test_a_step_reads_the_section_alone() -> None:
    text = f"apiVersion: modelcar.dev/v1alpha1\nkind: PromotionSpec\ntraining: {json.dumps(SHORTEST)}\n"
    assert parse_sections(text, "training", beside={}, env={}) == {"training": parse(SHORTEST), "hold": None}


def test_data_given_beside_a_spec_goes_before_that_in_it() -> None:
    spec = parse_spec(
        f"{HEAD}training: {json.dumps(SHORTEST)}\n", name="p.yaml", env={}, beside={"training.data": "file:///other"}
    )
    assert spec.training is not None
    assert spec.training.data == "file:///other"


def test_a_training_given_beside_a_spec_is_whole_or_refused() -> None:
    whole = {"training.data": "file:///other", "training.entryPoint": "trainer:train"}
    spec = parse_spec(HEAD, name="p.yaml", env={}, beside=whole)
    assert spec.training is not None
    assert spec.training.entry_point == "trainer:train"
    with pytest.raises(InvalidSpec) as caught:
        parse_spec(HEAD, name="p.yaml", env={}, beside={"training.data": "file:///other"})
    assert str(caught.value) == "p.yaml: training: says nothing that trains; write entryPoint or command"


NO_DATA = "is not a data source. Write file:///dir for a directory, or hf://datasets/org/name for a Hub."
NO_FLOOR = "is not a floor. Write at least 0.8, or at most 0.8."


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"data": None}, "data: is required"),
        ({"data": "hf://acme/answers"}, f"data: 'hf://acme/answers' {NO_DATA}"),
        ({"data": "hf://datasets/"}, f"data: 'hf://datasets/' {NO_DATA}"),
        ({"dataRevision": "main"}, "dataRevision: a directory has no revisions; leave the key out"),
        (
            {"data": "hf://datasets/acme/answers@v1", "dataRevision": "v1"},
            "dataRevision: training.data names a revision too, behind @; keep one of them",
        ),
        ({"command": ["t"]}, "command: training.entryPoint says what trains, too; keep one of them"),
        ({"entryPoint": None, "command": []}, "command: names no program; write [program, argument]"),
        ({"entryPoint": None, "command": "t"}, "command: is a string, where a list belongs: [first, second]"),
        ({"entryPoint": None, "command": [3]}, 'command[0]: YAML takes 3 for a number; put it in quotes: "3"'),
        ({"entryPoint": None, "command": ["a\0b"]}, "command[0]: holds a null character, which no argument can"),
        ({"entryPoint": "a.b"}, "entryPoint: 'a.b' is not an entry point. Write package.module:function."),
        ({"entryPoint": "a/b.py"}, "entryPoint: 'a/b.py' is not an entry point. Write package.module:function."),
        (
            {"image": "quay.io/t"},
            "image: 'quay.io/t' has neither tag nor digest. Write quay.io/t:latest, or better a digest.",
        ),
        (
            {"image": "https://user:hunter2@quay.io/t"},
            "image: holds credentials. Logins come from an auth file, never from a spec.",
        ),
        ({"parameters": {"epochs": 3}}, 'parameters.epochs: YAML takes 3 for a number; put it in quotes: "3"'),
        (
            {"parameters": {"a b": "1"}},
            "parameters.a b: is not a plain name (letters, digits, _ . / and -, at most 255)",
        ),
        (
            {"parameters": {"hf_token": "hunter2"}},
            "parameters.hf_token: secrets do not belong in a spec, which lives in git: "
            "take it out and give it by environment variable or file",
        ),
        ({"floors": {"acc": 0.8}}, f"floors.acc: '0.8' {NO_FLOOR}"),
        ({"floors": {"acc": ">= 0.8"}}, f"floors.acc: '>= 0.8' {NO_FLOOR}"),
        ({"floors": {"acc": "high"}}, f"floors.acc: 'high' {NO_FLOOR}"),
        ({"floors": {"acc": "at least nan"}}, f"floors.acc: 'at least nan' {NO_FLOOR}"),
        ({"floors": {"acc": "at least 1e999"}}, f"floors.acc: 'at least 1e999' {NO_FLOOR}"),
        ({"floor": {}}, "floor: unknown key; did you mean floors?"),
        ({"entrypoint": "t:t"}, "entrypoint: unknown key; did you mean entryPoint?"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_wrong_training_is_answered_with_what_is_wrong_and_what_to_write(
    changes: dict[str, object], expected: str
) -> None:
    assert faults({**SHORTEST, **changes}) == [f"training.{expected}"]


def test_a_training_says_what_trains() -> None:
    assert faults({"data": "file:///data"}) == ["training: says nothing that trains; write entryPoint or command"]


def test_a_password_in_the_address_of_the_data_is_not_repeated() -> None:
    assert "hunter2" not in "".join(faults({**SHORTEST, "data": "https://user:hunter2@example.com/data"}))


@pytest.mark.parametrize("value", ["here", [1]])
def test_a_training_is_a_mapping(value: object) -> None:
    assert faults(value)[0].endswith("where keys belong")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["data", "command", "entryPoint", "floors", "image"]), st.text() | st.none()))
def test_any_training_is_read_or_refused_and_nothing_else_happens(training: dict[str, object]) -> None:
    with contextlib.suppress(InvalidSpec):
        parse(training)
