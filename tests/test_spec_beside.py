"""A spec given whole, by its fields, or both; and read in part by steps that need no more."""

from __future__ import annotations

import pytest

from modelcar.errors import InvalidSpec
from modelcar.spec import parse_sections, parse_spec

WHOLE = """\
apiVersion: modelcar.dev/v1alpha1
kind: PromotionSpec
model: {source: "hf://team/llama", revision: v1}
image: {repository: quay.io/team/llama}
modelRegistry: {url: "https://registry.example.com", registeredModel: llama}
inferenceService: {repository: "https://git.example.com/gitops.git", path: llama.yaml, name: llama}
"""
FIELDS = {
    "model.source": "hf://team/llama",
    "model.revision": "v1",
    "image.repository": "quay.io/team/llama",
    "modelRegistry.url": "https://registry.example.com",
    "modelRegistry.registeredModel": "llama",
    "inferenceService.repository": "https://git.example.com/gitops.git",
    "inferenceService.path": "llama.yaml",
    "inferenceService.name": "llama",
}


def test_a_spec_given_by_its_fields_is_the_spec_written_out() -> None:
    assert parse_spec("", name="spec", env={}, beside=FIELDS) == parse_spec(WHOLE, name="spec", env={})


def test_a_field_goes_before_the_spec() -> None:
    spec = parse_spec(WHOLE, name="spec", env={}, beside={"image.tag": "tuesday", "model.revision": "v2"})
    assert (spec.image.tag, spec.model.revision) == ("tuesday", "v2")


def test_an_empty_field_is_absent() -> None:
    assert parse_spec(WHOLE, name="spec", env={}, beside={"model.source": ""}) == parse_spec(WHOLE, name="s", env={})


def test_another_source_does_not_keep_the_revision_of_the_spec() -> None:
    spec = parse_spec(WHOLE, name="spec", env={}, beside={"model.source": "hf://team/other"})
    assert (spec.model.source, spec.model.revision) == ("hf://team/other", None)


def test_a_faulty_field_is_told_as_given_beside_the_spec() -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse_spec(WHOLE, name="spec", env={}, beside={"image.repository": "quay.io/team/llama:1"})
    assert str(caught.value).startswith(
        "spec: image.repository: given beside the spec: 'quay.io/team/llama:1' has a tag"
    )


def test_what_no_field_gives_is_asked_for_without_a_line() -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse_spec("", name="spec", env={}, beside={"model.source": "hf://team/llama"})
    assert "spec: image.repository: is required" in str(caught.value).splitlines()


def test_neither_spec_nor_fields_is_an_empty_file() -> None:
    with pytest.raises(InvalidSpec, match="the file is empty"):
        parse_spec(" \n", name="spec", env={}, beside={"model.source": ""})


def test_a_part_is_the_part_of_the_whole() -> None:
    whole = parse_spec(WHOLE, name="spec", env={})
    part = parse_sections(WHOLE, "model", "image", beside={}, env={})
    assert part == {"model": whole.model, "image": whole.image, "hold": None}


def test_a_part_does_not_ask_for_the_others() -> None:
    part = parse_sections("", "model", beside={"model.source": "hf://team/llama"}, env={})
    assert part["model"].source == "hf://team/llama"


def test_a_part_checks_what_is_written_elsewhere() -> None:
    with pytest.raises(InvalidSpec, match=r"image\.repository"):
        parse_sections(WHOLE.replace("team/llama}", "team/llama:1}"), "model", beside={}, env={})


def test_a_part_may_stand_beside_an_incomplete_section() -> None:
    text = WHOLE.replace(", registeredModel: llama", "")
    assert parse_sections(text, "model", beside={}, env={})["model"].source == "hf://team/llama"
