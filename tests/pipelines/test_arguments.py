"""What a run is given: files and pairs as parameters, and specs that reach a step as they were meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelcar.errors import InvalidInput
from modelcar.spec import format_spec, parse_spec
from modelcar.steps.fields import KEYS
from modelcar_pipelines.arguments import check_promotion, gather, protect, refuse_expansions, take_spec
from modelcar_pipelines.pipeline_file import parse_pipeline

SPEC = """\
apiVersion: modelcar.dev/v1alpha1
kind: PromotionSpec
model: {{source: "hf://acme/base"}}
image: {{repository: registry.example/acme/base}}
modelRegistry: {{url: "https://registry.example", registeredModel: base, description: {note}}}
inferenceService:
  repository: https://git.example/x.git  # costs $$ a month
  path: base.yaml
  name: base
hold: {note}
"""
PLAIN = SPEC.format(note="none").replace("$", "")
# Texts as people write them, with what Kubernetes and YAML would take for something else.
TEXTS = st.lists(
    st.sampled_from(["$", "(", ")", "HOME", "$$", "a b", "é", "\U0001f600", "'", '"', "\\", "#", ": "])
).map("".join)


def ir(*parameters: str, **types: str) -> dict[str, Any]:
    """A pipeline with these parameters, which are strings if nothing else is said."""
    given = {name: {"parameterType": "STRING", "isOptional": True} for name in parameters}
    given |= {name: {"parameterType": kind, "isOptional": True} for name, kind in types.items()}
    return {"pipelineInfo": {"name": "hello"}, "root": {"inputDefinitions": {"parameters": given}}}


def spec_with(text: str) -> str:
    return SPEC.format(note=json.dumps(f"it {text}.", ensure_ascii=False))


@given(text=TEXTS)
def test_a_protected_spec_means_the_same_and_holds_no_dollar_sign(text: str) -> None:
    written = spec_with(text)
    protected = protect(written)
    assert "$" not in protected
    refuse_expansions({"spec": protected})
    spec = parse_spec(protected, name="spec")
    assert spec == parse_spec(written, name="spec")
    assert (spec.model_registry.description, spec.hold) == (f"it {text}.", f"it {text}.")


@given(text=TEXTS)
def test_what_holds_no_dollar_sign_is_sent_as_it_was_written(text: str) -> None:
    written = spec_with(text).replace("$", "")
    assert protect(written) == written


def test_what_is_protected_once_stays_so() -> None:
    protected = protect(spec_with("$(HOME)"))
    assert protect(protected) == protected


def test_a_spec_is_the_same_however_a_program_has_it(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(PLAIN, encoding="utf-8-sig")
    spec = parse_spec(PLAIN, name="spec")
    for given_as in (path, str(path), PLAIN, spec, json.loads(json.dumps(plain()))):
        assert take_spec(given_as).spec == spec
        assert parse_spec(take_spec(given_as).text, name="spec") == spec
    assert take_spec(path).text == PLAIN
    assert take_spec(spec).text == format_spec(spec)


def plain() -> dict[str, Any]:
    """The spec as an object, without the keys that may be left out."""
    from ruamel.yaml import YAML

    value: dict[str, Any] = YAML(typ="safe", pure=True).load(PLAIN)
    return {key: part for key, part in value.items() if key not in ("apiVersion", "kind")}


def test_pairs_are_read_by_the_types_of_the_parameters(tmp_path: Path) -> None:
    known = ir("text", count="NUMBER_INTEGER", many="LIST", on="BOOLEAN")
    pairs = ["text=7=8", "count=3", 'many=["a", 1]', "on=true"]
    assert gather(known, pairs=pairs) == {"text": "7=8", "count": 3, "many": ["a", 1], "on": True}
    assert gather(known, pairs=["text="]) == {"text": ""}


def test_specs_go_where_the_pipeline_takes_them(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(PLAIN)
    assert gather(ir("spec", "source"), specs=[path]) == {"spec": PLAIN}
    assert gather(ir(specs="LIST"), specs=[path, path]) == {"specs": [PLAIN, PLAIN]}
    assert gather(ir("spec", "source"), specs=[path], pairs=["source=hf://a/b"])["source"] == "hf://a/b"


@pytest.mark.parametrize("known", [ir("spec", "source"), ir(specs="LIST")])
def test_nothing_to_promote_is_refused(known: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as raised:
        gather(known)
    assert str(raised.value) == "hello is given nothing to promote"


def test_a_model_may_be_given_by_its_source_or_by_the_pipelines_own_default() -> None:
    assert gather(ir("spec", "source"), pairs=["source=hf://a/b"]) == {"source": "hf://a/b"}
    known = ir("spec", "source")
    known["root"]["inputDefinitions"]["parameters"]["source"]["defaultValue"] = "hf://a/b"
    assert gather(known) == {}


def test_other_pipelines_may_run_without_anything() -> None:
    assert gather(ir("text", "spec")) == {}
    assert gather(parse_pipeline("pipelineInfo: {name: x}\nroot: {dag: {tasks: {}}}\n", "x").spec) == {}


OURS = {
    name: {"pipelineInfo": {"name": name}, "root": {"inputDefinitions": {"parameters": parameters}}}
    for name, parameters in {
        "promote-model": {key: {"parameterType": "STRING", "isOptional": True} for key in ("spec", *KEYS)},
        "retrain-and-promote": {key: {"parameterType": "STRING", "isOptional": True} for key in ("spec", *KEYS)},
        "promote-models": {"specs": {"parameterType": "LIST", "isOptional": True}},
    }.items()
}
HEAD = "apiVersion: modelcar.dev/v1alpha1\nkind: PromotionSpec\nmodel: {source: hf://team/llama}\n"
LEAK = "inferenceService: {repository: 'https://bob:s3cretpw@git.example/x.git'}\n"


@pytest.mark.parametrize(
    ("pipeline", "values", "message"),
    [
        (
            "promote-model",
            {"source": "hf://team/llama", "git_repository": "https://bob:s3cretpw@git.example/x.git"},
            "the parameter git_repository holds an address with credentials",
        ),
        (
            "promote-model",
            {"source": "hf://team/llama", "git_repository": "https://s3cretpw@git.example/x.git"},
            "the parameter git_repository holds an address with credentials",
        ),
        ("promote-model", {"spec": HEAD + LEAK}, "the parameter spec holds an address with credentials"),
        ("promote-models", {"specs": [HEAD, HEAD + LEAK]}, "the parameter specs holds an address with credentials"),
        ("promote-models", {"specs": [HEAD, 1]}, "specs[1] is not a string"),
        ("promote-models", {"specs": []}, "promote-models is given nothing to promote"),
        (
            "promote-model",
            {"spec": HEAD, "image_tag": "bad tag!"},
            "spec: image.tag: given beside the spec: 'bad tag!' is not a tag",
        ),
        ("promote-model", {"spec": HEAD + "modle: {}\n"}, "spec:4: modle: unknown key; did you mean model?"),
        ("promote-model", {"spec": HEAD + "#" * 100_000}, "the parameter spec has 100087 bytes"),
        ("promote-model", {"source": "hf://team/\udcff"}, "the parameter source holds a character that is none"),
        ("retrain-and-promote", {"spec": HEAD}, "the spec says nothing of a training"),
    ],
)
def test_what_a_step_would_refuse_is_refused_before_anything_is_sent(
    pipeline: str, values: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_promotion(OURS[pipeline], values)
    assert str(caught.value).startswith(message)
    assert "s3cretpw" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "values",
    [
        {"spec": HEAD},
        {"source": "hf://team/llama", "git_repository": "ssh://git@git.example/x.git"},
        {"source": "hf://team/llama", "git_repository": "git@git.example:team/x.git"},
        {"source": "hf://team/llama", "git_repository": "https://git.example/@team/x.git"},
    ],
)
def test_what_a_cluster_may_fill_in_is_not_asked_for(values: dict[str, object]) -> None:
    check_promotion(OURS["promote-model"], values)
