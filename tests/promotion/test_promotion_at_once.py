"""Eight promotions at once: of one model to one place, and of eight to places side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelcar_sandbox.git_tree import INFERENCE_SERVICE, MANIFEST
from promotion.place import Place, assert_promoted_once

WRITERS = 8


def run_at_once(place: Place, specs: Sequence[Path]) -> list[dict[str, Any]]:
    """`modelcar promote … --json` for each spec, all at the same time; returns what they printed."""
    commands = [place.start(spec, f"command-{number}") for number, spec in enumerate(specs)]
    ended = [command.wait() for command in commands]
    assert [one.code for one in ended] == [0] * len(specs), [one.stderr for one in ended]
    return [json.loads(one.stdout) for one in ended]


def test_eight_promotions_of_one_spec_make_one_of_everything(place: Place) -> None:
    results = run_at_once(place, [place.spec_file()] * WRITERS)

    [digest] = {result["push"]["digest"] for result in results}
    assert_promoted_once(place, digest)
    assert len(place.commits()) == 2
    assert {result["patch"]["commit"] for result in results} == {place.commits()[0]}
    assert sum(result["patch"]["changed"] for result in results) == 1
    made = [entity for result in results for entity in result["register"]["created"]]
    assert sorted(made) == ["model_artifact", "model_version", "registered_model"]


def test_eight_promotions_into_one_git_repository_make_eight_commits_in_a_row(place: Place) -> None:
    original = place.manifest()
    folder = MANIFEST.rpartition("/")[0]
    names = [f"{INFERENCE_SERVICE}-{number}" for number in range(WRITERS)]
    manifests = {
        f"{folder}/{name}.yaml": original.replace(b"name: demo-llama\n", f"name: {name}\n".encode()) for name in names
    }
    place.commit_as_person(manifests)
    specs = [
        place.spec_file(
            f"{name}.yaml", name=name, path=f"{folder}/{name}.yaml", registered_model=f"{place.registered_model}-{name}"
        )
        for name in names
    ]

    results = run_at_once(place, specs)

    commits = place.commits()
    assert len(commits) == 2 + WRITERS
    assert {result["patch"]["commit"] for result in results} == set(commits[:WRITERS])
    assert place.parents() == [*([parent] for parent in commits[1:]), []]
    assert sorted(place.changed_paths(commit)[0] for commit in commits[:WRITERS]) == sorted(manifests)
    assert all(len(place.changed_paths(commit)) == 1 for commit in commits[:WRITERS])
    assert place.manifest() == original
    for path, result in zip(manifests, results, strict=True):
        assert f"@{result['push']['digest']}\n".encode() in place.manifest(path)
