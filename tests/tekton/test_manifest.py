"""Objects are written so that every reader of YAML reads the same."""

from __future__ import annotations

import pytest
import yaml  # type: ignore[import-untyped]

from modelcar_pipelines.tekton.manifest import write_manifest


@pytest.mark.parametrize(
    "text",
    [
        "1e3",
        "12e45",
        "123e4567",
        "5e-1",
        "1E5",
        "+12e1",
        "0o17",
        "0x1f",
        "1_000",
        "1:30",
        "y",
        "N",
        "on",
        "no",
        "null",
        "-.5",
        ".1e3",
        "+.5e3",
    ],
)
def test_a_text_that_some_reader_takes_for_something_else_is_quoted(text: str) -> None:
    assert write_manifest({"value": text}) == f"{{value: '{text}'}}\n"


@pytest.mark.parametrize("text", ["100m", "8Gi", "main", "$(params.text)", "9bf26a63z", "v1.0"])
def test_other_texts_are_bare(text: str) -> None:
    assert write_manifest({"value": text}) == f"{{value: {text}}}\n"


@pytest.mark.parametrize("value", ["two\nlines\n", " blanks ", "", "it's", 3, 0.5, True, None, ["a", {"b": "1e3"}]])
def test_a_value_reads_back(value: object) -> None:
    assert yaml.safe_load(write_manifest({"value": value})) == {"value": value}
