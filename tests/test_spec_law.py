from __future__ import annotations

import io
import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from modelcar.spec import PromotionSpec, format_spec, parse_spec

VISIBLE = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=20)
NAMES = VISIBLE.filter(lambda text: text.isprintable() and text.strip() == text and "\\" not in text)
# Flow style is quoted: ruamel.yaml writes a plain `{x: :0}`, which is YAML, but does not read it.
STYLES = st.sampled_from([(False, None), (False, "'"), (True, "'"), (True, '"')])
PATTERNS = st.lists(NAMES, max_size=3)
LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
SPECS = st.fixed_dictionaries(
    {
        "apiVersion": st.just("modelcar.dev/v1alpha1"),
        "kind": st.just("PromotionSpec"),
        "model": st.fixed_dictionaries(
            {"source": NAMES.map("file:///{}".format)},
            optional={"allow": PATTERNS, "ignore": PATTERNS, "allowPickle": PATTERNS},
        ),
        "image": st.fixed_dictionaries(
            {"repository": LABELS.map("quay.io/{}".format)},
            optional={
                "tag": st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True),
                "baseImage": st.sampled_from(["scratch", "same", "quay.io/base:1"]),
                "reuseFrom": st.lists(st.sampled_from(["quay.io/one:1", "quay.io/two@sha256:" + "0" * 64]), max_size=2),
                "platforms": st.lists(st.sampled_from(["linux/amd64", "linux/arm64/v8", "linux/s390x"]), max_size=4),
            },
        ),
        "modelRegistry": st.fixed_dictionaries(
            {"url": st.just("http://127.0.0.1:1"), "registeredModel": NAMES},
            optional={
                "version": NAMES,
                "owner": NAMES,
                "description": st.lists(NAMES, min_size=1).map("\n".join),
                "modelFormat": st.fixed_dictionaries({"name": NAMES}, optional={"version": NAMES}),
                "properties": st.dictionaries(st.from_regex(r"x[A-Za-z0-9_]{0,9}", fullmatch=True), NAMES),
            },
        ),
        "inferenceService": st.fixed_dictionaries(
            {"repository": st.just("git@host:x.git"), "path": LABELS.map("a/{}.yaml".format), "name": LABELS},
            optional={"branch": LABELS, "namespace": LABELS},
        ),
    },
    optional={
        "training": st.fixed_dictionaries(
            {"data": NAMES.map("file:///{}".format), "command": st.lists(NAMES, min_size=1, max_size=3)},
            optional={
                "image": st.just("quay.io/trainer:1"),
                "parameters": st.dictionaries(st.from_regex(r"x[A-Za-z0-9_./-]{0,9}", fullmatch=True), NAMES),
                "floors": st.dictionaries(LABELS, st.sampled_from(["at least 0.5", "at most -2e3"])),
            },
        ),
        "hold": NAMES.map("because {}".format),
    },
)


def shuffled(value: Any, order: random.Random) -> Any:
    """The same mappings with their keys in another order."""
    if not isinstance(value, dict):
        return value
    return {key: shuffled(value[key], order) for key in order.sample(sorted(value), len(value))}


def dumped(value: Any, *, flow: bool, quotes: str | None) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = flow
    yaml.default_style = quotes  # type: ignore[assignment]
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


def parse(text: str) -> PromotionSpec:
    return parse_spec(text, name="p.yaml", env={})


@settings(deadline=None)
@given(SPECS)
def test_a_written_spec_reads_as_the_same_whatever_the_environment_says(value: Any) -> None:
    elsewhere = {
        "MODELCAR_BASE_IMAGE": "quay.io/other:2",
        "MODEL_REGISTRY_URL": "http://other",
        "MODELCAR_GIT_URL": "x",
    }
    spec = parse(json.dumps(value))

    assert parse_spec(format_spec(spec), name="again", env=elsewhere) == spec


@settings(deadline=None)
@given(SPECS, st.randoms(use_true_random=False), STYLES)
def test_order_style_and_line_ends_of_a_file_say_nothing(
    value: Any, order: random.Random, style: tuple[bool, str | None]
) -> None:
    expected = parse(json.dumps(value))
    text = dumped(shuffled(value, order), flow=style[0], quotes=style[1])
    assert parse(text) == expected
    assert parse(text.replace("\n", "\r\n")) == expected
    assert expected.model.source == value["model"]["source"]
    assert expected.model_registry.registered_model == value["modelRegistry"]["registeredModel"]
    assert expected.model_registry.description == value["modelRegistry"].get("description")
    assert dict(expected.model_registry.properties) == value["modelRegistry"].get("properties", {})
