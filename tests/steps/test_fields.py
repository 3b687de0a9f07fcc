"""A spec by its fields, and records that steps hand on."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcar.errors import InvalidInput
from modelcar.spec import parse_spec
from modelcar.steps.fields import KEYS, read_part, read_whole
from modelcar.steps.record import read_record, write_record, write_skip
from modelcar.steps.running import LONGEST_OUTPUT_BYTES

FIELDS = {
    "source": "hf://acme/base",
    "revision": "v1",
    "image_repository": "registry.example/acme/base",
    "image_tag": "nightly",
    "registered_model": "base",
    "version": "7",
    "git_repository": "https://git.example/x.git",
    "git_branch": "production",
    "manifest_path": "apps/base.yaml",
    "inference_service": "base",
    "namespace": "team",
}
SPEC = """\
apiVersion: modelcar.dev/v1alpha1
kind: PromotionSpec
model: {source: "hf://acme/base", revision: v1}
image: {repository: registry.example/acme/base, tag: nightly}
modelRegistry: {url: "https://registry.example", registeredModel: base, version: "7"}
inferenceService:
  repository: https://git.example/x.git
  branch: production
  path: apps/base.yaml
  name: base
  namespace: team
"""
VALUES = st.recursive(st.text(max_size=20) | st.integers() | st.booleans(), lambda inner: st.lists(inner, max_size=4))


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_REGISTRY_URL", "https://registry.example")


def test_all_fields_together_are_a_spec() -> None:
    assert set(FIELDS) == set(KEYS)
    assert read_whole("", FIELDS) == parse_spec(SPEC, name="spec")


@pytest.mark.parametrize("field", [name for name in FIELDS if name != "source"])
def test_a_field_goes_before_what_the_spec_says_and_an_empty_one_does_not_count(field: str) -> None:
    assert read_whole(SPEC, {field: ""}) == parse_spec(SPEC, name="spec")
    other = FIELDS[field] + "x"
    assert read_whole(SPEC, {field: other}) == read_whole("", {**FIELDS, field: other})
    assert read_whole(SPEC, {field: other}) != parse_spec(SPEC, name="spec")


def test_another_source_leaves_the_revision_of_the_first_behind() -> None:
    assert read_whole(SPEC, {"source": "hf://acme/other"}).model.revision is None
    assert read_whole(SPEC, {"source": "hf://acme/other", "revision": "v2"}).model.revision == "v2"


def test_a_part_needs_no_more_than_itself() -> None:
    where = {key: FIELDS[key] for key in ("git_repository", "manifest_path", "inference_service")}
    part = read_part("", ("inferenceService",), where)
    assert set(part) == {"inference_service", "hold"}
    assert part["inference_service"].path == "apps/base.yaml"


def test_a_missing_field_is_named_by_its_key() -> None:
    with pytest.raises(InvalidInput, match=r"image\.repository: is required"):
        read_whole("", {**FIELDS, "image_repository": ""})


@given(st.dictionaries(st.from_regex("[a-z_]{1,9}", fullmatch=True).filter(lambda key: key != "started"), VALUES))
def test_a_record_is_read_as_it_was_written(values: dict[str, object]) -> None:
    written = write_record(time.monotonic(), **values)
    assert "\n" not in written
    read = read_record(written)
    assert read.pop("seconds") == 0.0
    values.pop("seconds", None)
    assert read == values


def test_a_step_that_did_not_run_told_nothing() -> None:
    assert read_record("") == {}


def test_a_record_tells_how_long_it_took() -> None:
    assert read_record(write_record(time.monotonic() - 61.26))["seconds"] == 61.3


@given(st.text(), st.integers(0, 10**15))
def test_a_reason_of_any_length_and_alphabet_can_be_handed_on(reason: str, size_bytes: int) -> None:
    for text in (reason, reason * 1000):
        record = write_skip(time.monotonic(), text, files=100_000, size_bytes=size_bytes)
        assert len(record.encode(errors="surrogatepass")) <= LONGEST_OUTPUT_BYTES
        assert text.startswith(read_record(record)["skipped"].removesuffix("…"))
