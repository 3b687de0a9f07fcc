"""What is written about the PromotionSpec is held to the table that reads it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from modelcar.cli import cli
from modelcar.spec import parse_spec
from modelcar.spec.fields import BY_KEY, FIELDS, OPTIONAL_SECTIONS, SECTIONS, Field
from modelcar.spec.schema import schema

REFERENCE = Path(__file__).parents[1] / "docs/reference"
PAGE = (REFERENCE / "promotion-spec.md").read_text(encoding="utf-8")


def default_cell(field: Field) -> str:
    """What the page says when the key is not written."""
    if field.required:
        optional = f" with `{field.section.rpartition('.')[2]}`" if field.section in OPTIONAL_SECTIONS else ""
        return f"required, or `${field.variable}`" if field.variable else f"required{optional}"
    plain = {"string": field.default, "list": "[]", "mapping": "{}"}[field.shape]
    cell = f"`{plain}`" if plain else "none"
    return f"`${field.variable}`, else {cell}" if field.variable else cell


def test_the_page_has_every_key_with_its_default_and_no_other() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (.*?) \| .+ \|$", PAGE, flags=re.MULTILINE)
    assert len(rows) == len(FIELDS)
    assert dict(rows) == {field.key: default_cell(field) for field in FIELDS}


@pytest.mark.parametrize(("page", "count"), [("docs/reference/promotion-spec.md", 2), ("README.md", 1)])
def test_the_specs_on_a_page_are_right(page: str, count: int) -> None:
    text = (REFERENCE.parents[1] / page).read_text(encoding="utf-8")
    blocks = [block for block in re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL) if "kind:" in block]
    assert len(blocks) == count
    for block in blocks:
        parse_spec(block, name=page, env={})


def test_the_longest_spec_on_the_page_has_every_key_but_the_one_that_another_shuts_out() -> None:
    block = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)[1]
    names = set(re.findall(r"^ *(\w+):", block, flags=re.MULTILINE))
    assert names >= {key.rpartition(".")[2] for key in (*BY_KEY, *SECTIONS)} - {"command", "platforms"}


def test_the_training_by_a_program_on_the_page_is_right() -> None:
    shortest, _, command, *_ = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    training = parse_spec(shortest + command, name="page", env={}).training
    assert training is not None
    assert training.command == ("/opt/trainer/finetune", "--precision", "bf16")


def test_the_command_has_the_same_defaults() -> None:
    defaults = {one.name: one.default for one in cli.commands["push"].params}
    assert defaults["base_image"] == BY_KEY["image.baseImage"].default
    assert defaults["platforms"] == (BY_KEY["image.platform"].default,)


def test_the_schema_in_the_docs_is_that_of_the_table() -> None:
    stored = (REFERENCE / "promotion-spec.schema.json").read_text(encoding="utf-8")
    message = "run: python -m modelcar.spec.schema > docs/reference/promotion-spec.schema.json"
    assert stored == json.dumps(schema(), indent=2) + "\n", message


def test_the_schema_asks_for_what_has_no_default() -> None:
    root = schema()
    assert root["required"] == ["apiVersion", "kind", "model", "image", "modelRegistry", "inferenceService"]
    sections = root["properties"]
    assert sections["modelRegistry"]["required"] == ["registeredModel"]
    assert sections["modelRegistry"]["properties"]["modelFormat"]["required"] == ["name"]
    assert sections["inferenceService"]["required"] == ["path", "name"]
    assert sections["model"]["additionalProperties"] is False
    assert sections["image"]["properties"]["tag"] == {
        "description": "The friendly tag; it moves with every promotion",
        "type": ["string", "null"],
        "default": "latest",
    }
