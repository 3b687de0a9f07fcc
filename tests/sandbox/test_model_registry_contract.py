"""The sandbox's Model Registry answers as the real one was recorded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contracts_replay import Replay, differences
from modelcar_sandbox.model_registry import create_app
from modelcar_sandbox.service import Service

CONTRACT = "model-registry.jsonl"


@pytest.mark.parametrize("version", ["v1", "v1alpha3"])
def test_every_recorded_step_holds_under_both_bases(tmp_path: Path, version: str) -> None:
    with Service(create_app(tmp_path)) as service:
        replay = Replay(f"{service.url}/api/model_registry/{version}")
        assert replay.run(CONTRACT) == (98, [])


def test_it_holds_a_second_time_in_the_same_registry(tmp_path: Path) -> None:
    with Service(create_app(tmp_path)) as service:
        base = f"{service.url}/api/model_registry/v1"
        assert [Replay(base).run(CONTRACT) for _ in range(2)] == [(98, [])] * 2


@pytest.fixture
def real_url() -> str:
    url = os.environ.get("REAL_MODEL_REGISTRY_URL")
    if not url:
        pytest.skip("REAL_MODEL_REGISTRY_URL is not set")
    return url


@pytest.mark.real
def test_the_real_server_still_answers_as_recorded(real_url: str) -> None:
    assert Replay(f"{real_url}/api/model_registry/v1alpha3").run(CONTRACT) == (98, [])


@pytest.mark.parametrize(
    ("want", "got", "sentences"),
    [
        ({"a": "<any>"}, {"a": None, "b": 1}, []),
        ({"a": "<any>"}, {}, ["$.a is not there"]),
        ({"a": "<absent>"}, {}, []),
        ({"a": "<absent>"}, {"a": 1}, ["$.a is there: 1"]),
        (["<time>"], ["1795466281372"], []),
        (["<time>"], ["soon"], ["$[0] is 'soon', not <time>"]),
        (["<token>"], [""], ["$[0] is '', not <token>"]),
        ([1], [1, 2], ["$ is [1, 2], not [1]"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, ["$.a[0].b is 2, not 1"]),
        ({"a": 1}, [], ["$ is [], not {'a': 1}"]),
        ("<uuid>", "78dafd88-6d1c-41d3-827b-bee52694b50c", []),
        ("<uuid>", "78dafd88", ["$ is '78dafd88', not <uuid>"]),
    ],
)
def test_a_difference_is_named_with_its_place(want: object, got: object, sentences: list[str]) -> None:
    assert list(differences(want, got)) == sentences
