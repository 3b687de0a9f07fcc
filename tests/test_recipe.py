from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_files import Files
from modelcar.errors import ContentMismatch
from modelcar.recipe import Recipe, compute_recipe_key, identify
from modelcar.snapshot import ModelSnapshot
from modelcar.sources.open import open_source
from modelcar.spec import parse_spec

COMMIT = "d" * 40
RECIPE = Recipe("trainer:train", (), "quay.io/acme/trainer:1", {"epochs": "3", "rate": "1e-5"})
SPEC = """\
apiVersion: modelcar.dev/v1alpha1
kind: PromotionSpec
model: {source: hf://acme/base}
image: {repository: quay.io/acme/tiny-llama}
modelRegistry: {url: https://registry.example.com, registeredModel: tiny-llama}
inferenceService: {repository: https://git.example.com/x.git, path: a.yaml, name: tiny-llama}
training:
  data: file:///data
  image: quay.io/acme/trainer:1
  entryPoint: trainer:train
  parameters: {rate: "1e-5", epochs: "3"}
"""
TEXTS = st.text(max_size=3)
RECIPES = st.builds(
    Recipe,
    TEXTS | st.none(),
    st.lists(TEXTS, max_size=2).map(tuple),
    TEXTS | st.none(),
    st.dictionaries(TEXTS, TEXTS, max_size=2),
)
DIRECTORIES = st.dictionaries(st.sampled_from(["a", "b", "d/a"]), st.binary(max_size=2), min_size=1)


def of_directory(contents: dict[str, bytes], uri: str = "file:///data") -> str:
    source = Files(contents, published=False)
    return identify(replace(source.snapshot(), uri=uri, commit_hash=None), source)


def of_commit(commit_hash: str = COMMIT, uri: str = "hf://acme/base", *paths: str) -> str:
    source = Files(dict.fromkeys(paths or ("config.json",), b"x"))
    found = identify(ModelSnapshot(uri, "main", commit_hash, source.files), source)
    assert source.opened == []
    return found


def test_the_key_of_a_training_never_changes() -> None:
    assert compute_recipe_key(of_commit(), of_directory({"a.jsonl": b"{}"}), RECIPE) == (
        "728c1e459dac1044ec788af0eccb7c60a964d27502b8af0dc68c887aa3ba37e0"
    )


def test_a_recipe_is_what_a_spec_says_without_its_floors() -> None:
    training = parse_spec(SPEC, name="p.yaml", env={}).training
    assert training is not None
    assert Recipe.of(training) == RECIPE
    floored = parse_spec(SPEC.replace("  data:", "  floors: {x: at least 1}\n  data:"), name="p.yaml", env={}).training
    assert floored is not None
    assert Recipe.of(floored) == RECIPE


@given(RECIPES, RECIPES)
def test_two_recipes_have_one_key_exactly_when_they_are_equal(one: Recipe, other: Recipe) -> None:
    keys = [compute_recipe_key("b", "d", recipe) for recipe in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


@given(st.dictionaries(TEXTS, TEXTS), st.randoms(use_true_random=False))
def test_the_order_of_parameters_says_nothing(parameters: dict[str, str], order: random.Random) -> None:
    shuffled = {name: parameters[name] for name in order.sample(sorted(parameters), len(parameters))}
    keys = {compute_recipe_key("b", "d", replace(RECIPE, parameters=some)) for some in (parameters, shuffled)}
    assert len(keys) == 1


@given(DIRECTORIES, DIRECTORIES)
def test_two_directories_are_one_exactly_when_their_files_are(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    assert (of_directory(one) == of_directory(other)) == (one == other)


def test_the_place_of_a_directory_says_nothing() -> None:
    assert of_directory({"a": b"1"}, "file:///data") == of_directory({"a": b"1"}, "file:///mnt/data")


def test_a_commit_says_what_it_holds_without_a_look() -> None:
    others = [of_commit("e" * 40), of_commit(COMMIT, "hf://acme/other"), of_commit(COMMIT, "hf://acme/base", "other")]
    assert len({of_commit(), *others}) == 4


@given(st.text(), st.text())
def test_base_and_data_do_not_stand_for_each_other(base: str, data: str) -> None:
    keys = {compute_recipe_key(base, data, RECIPE), compute_recipe_key(data, base, RECIPE)}
    assert len(keys) == (1 if base == data else 2)


def test_a_real_directory_is_read(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/a").write_bytes(b"1")
    source = open_source(tmp_path.as_uri())
    assert identify(source.snapshot(), source) == of_directory({"d/a": b"1"})


def test_a_directory_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    source = open_source(tmp_path.as_uri())
    snapshot = source.snapshot()
    os.utime(tmp_path / "a", ns=(1, 1))
    with pytest.raises(ContentMismatch, match="changed since it was listed"):
        identify(snapshot, source)


def test_a_read_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.0)
    source = Files({"a": b"1"}, published=False)
    source.break_off("a", 1)
    assert identify(replace(source.snapshot(), commit_hash=None), source) == of_directory({"a": b"1"})
