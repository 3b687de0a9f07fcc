"""What a run is given on the command line or from a notebook, as the values of its pipeline's parameters."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from modelcar.errors import InvalidInput
from modelcar.retraining import require_training
from modelcar.spec import PromotionSpec, format_spec, load_spec, parse_sections, parse_spec
from modelcar.spec.fields import API_VERSION, KIND
from modelcar.steps.fields import KEYS
from modelcar_pipelines.parameters import Parameter, parse_parameter, pipeline_parameters

SPEC, SPECS = "spec", "specs"
"""Parameters that hold whole PromotionSpecs: one as a string, or several as a list of them."""
SOURCE = "source"
"""The parameter that says what to promote where there is no spec."""
RETRAINING = "retrain-and-promote"
LONGEST_BYTES = 100_000
"""Linux takes 128 KiB for one argument, and a step's parameters are one, as JSON."""
_CREDENTIALS = re.compile(r"(?i)\bhttps?://[^/\s@\"']+@|\b[a-z][a-z0-9+.-]*://[^/\s:@\"']*:[^/\s@\"']+@")
"""Somebody before the host of an http address (a token is enough), or a password before that of any other."""
_KNOWN_THERE = {
    "MODEL_REGISTRY_URL": "https://modelcar-config.invalid",
    "MODELCAR_GIT_URL": "https://modelcar-config.invalid/repository.git",
}
"""In place of what the run's namespace knows, while a spec is checked; it goes nowhere."""
SpecLike = PromotionSpec | Mapping[str, Any] | Path | str
"""What a PromotionSpec can be given as, see `take_spec`."""


def gather(ir: Mapping[str, Any], *, specs: Sequence[SpecLike] = (), pairs: Iterable[str] = ()) -> dict[str, object]:
    """Make values of a pipeline's parameters.

    Args:
        ir: The PipelineSpec, as an object.
        specs: PromotionSpecs, mostly their files; each is read and checked as far as this machine can tell.
        pairs: `name=value`; lists, objects, numbers and true or false as JSON.

    Raises:
        InvalidInput: A pair or a file is faulty, or the pipeline does not take it.
    """
    known = pipeline_parameters(ir)
    pipeline = ir.get("pipelineInfo", {}).get("name", "the pipeline")
    values = _place(specs, known, pipeline)
    given = set[str]()
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise InvalidInput(f"--param {pair!r} is not NAME=VALUE", hint="Write --param image_tag=nightly.")
        if name not in known:
            raise InvalidInput(
                f"{pipeline} has no parameter {name}", hint=f"The pipeline takes {', '.join(known) or 'no parameters'}."
            )
        if name in (SPEC, SPECS) and specs:
            raise InvalidInput(f"--spec and --param {name}=… are both given", hint="Give one of them.")
        if name in given:
            raise InvalidInput(f"--param {name}=… is given twice", hint="Give one of them.")
        given.add(name)
        values[name] = parse_parameter(known[name], text)
    check_promotion(ir, values)
    return values


def check_promotion(ir: Mapping[str, Any], values: Mapping[str, object]) -> None:
    """Refuse, before anything is sent, what the first step would refuse in its pod, and what must not be kept.

    What is sent is kept by the server for everyone to read, so that a password in it is out, whatever a pod says then.

    Args:
        ir: The PipelineSpec, as an object; of other pipelines than promotions only secrets and sizes are looked at.
        values: Of its parameters; those that are missing have their defaults.

    Raises:
        InvalidInput: There is nothing to promote, a string holds credentials or is too long for a step.
        InvalidSpec: A spec or a field that goes before it has faults.
    """
    known = pipeline_parameters(ir)
    pipeline = ir.get("pipelineInfo", {}).get("name", "the pipeline")
    for name, value in values.items():
        for text in _strings(value):
            _check_text(name, text)
        _check_length(name, value)
    _refuse_nothing(known, values, pipeline)
    given = {name: parameter.default for name, parameter in known.items() if parameter.default} | dict(values)
    if SPECS in known:
        for number, one in enumerate(_items(given.get(SPECS))):
            parse_sections(one, beside={}, name=f"{SPECS}[{number}]")
    elif {SPEC, SOURCE} <= known.keys():
        beside = {KEYS[name]: str(value) for name, value in given.items() if name in KEYS}
        part = parse_sections(str(given.get(SPEC) or ""), "model", "training", beside=beside)
        if pipeline == RETRAINING:
            require_training(part.get("training"))


def _check_text(name: str, text: str) -> None:
    if _CREDENTIALS.search(text):
        raise InvalidInput(
            f"the parameter {name} holds an address with credentials",
            hint="Take them out: parameters are kept by the server. They come from secrets of the namespace.",
        )


def _check_length(name: str, value: object) -> None:
    """A text by itself, and all that stands in a list."""
    try:
        size = len((value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode())
    except UnicodeEncodeError as error:
        raise InvalidInput(f"the parameter {name} holds a character that is none", hint="Write it as UTF-8.") from error
    if size > LONGEST_BYTES:
        raise InvalidInput(
            f"the parameter {name} has {size} bytes; a step can be given {LONGEST_BYTES}",
            hint="Shorten the texts in the spec." if isinstance(value, str) else "Promote fewer models in one run.",
        )


def _items(value: object) -> list[str]:
    """The specs of a list; each is a text."""
    items = value if isinstance(value, list | tuple) else []
    for number, one in enumerate(items):
        if not isinstance(one, str):
            raise InvalidInput(
                f"{SPECS}[{number}] is not a string",
                hint="Each is a whole PromotionSpec as text; --spec reads one.",
            )
    return list(items)


def _refuse_nothing(known: Mapping[str, Parameter], values: Mapping[str, object], pipeline: str) -> None:
    """A promotion of nothing would succeed, or fail when its pod has been waited for."""
    telling = [SPECS] if SPECS in known else [SPEC, SOURCE] if {SPEC, SOURCE} <= known.keys() else []
    if telling and not any(values.get(name, known[name].default) for name in telling):
        raise InvalidInput(
            f"{pipeline} is given nothing to promote", hint="Give the file of a PromotionSpec with --spec FILE."
        )


def _place(specs: Sequence[SpecLike], known: Mapping[str, Any], pipeline: str) -> dict[str, object]:
    if not specs:
        return {}
    texts = [read_spec_text(one) for one in specs]
    if SPECS in known:
        return {SPECS: texts}
    if SPEC not in known:
        raise InvalidInput(f"{pipeline} takes no spec", hint=f"It takes {', '.join(known) or 'no parameters'}.")
    if len(texts) > 1:
        raise InvalidInput(f"{pipeline} promotes one model, not {len(texts)}", hint="Run promote-models instead.")
    return {SPEC: texts[0]}


def read_spec_text(given: SpecLike) -> str:
    """The text of a PromotionSpec, in a form that reaches a step unchanged.

    What the ConfigMap `modelcar-config` says where the run is, the addresses of the Model Registry and of the git
    repository, need not be known here.

    Args:
        given: As for `take_spec`.

    Raises:
        InvalidSpec: A file cannot be read, or the spec has faults.
    """
    return take_spec(given, _KNOWN_THERE | {name: value for name, value in os.environ.items() if value}).text


class GivenSpec(NamedTuple):
    """A PromotionSpec, read and checked as far as this machine can tell.

    Attributes:
        spec: With defaults, those of this machine's environment among them.
        text: As it was given, in a form that reaches a step unchanged.
    """

    spec: PromotionSpec
    text: str


def take_spec(given: SpecLike, env: Mapping[str, str] = os.environ) -> GivenSpec:
    """Read a PromotionSpec, however a program has it.

    Args:
        given: A file's path; a text, YAML or JSON, which a string is when it has more than one line or begins with a
            brace; a mapping of the same keys, in which `apiVersion` and `kind` may be left out; or a PromotionSpec.
        env: Where what it leaves out may come from.

    Raises:
        InvalidSpec: A file cannot be read, or the spec has faults.
    """
    if isinstance(given, PromotionSpec):
        return GivenSpec(given, protect(format_spec(given)))
    if isinstance(given, Mapping):
        text = json.dumps({"apiVersion": API_VERSION, "kind": KIND, **given}, ensure_ascii=False, default=str)
        return GivenSpec(parse_spec(text, name="spec", env=env), protect(text))
    if isinstance(given, str) and ("\n" in given or given.lstrip().startswith("{")):
        return GivenSpec(parse_spec(given, name="spec", env=env), protect(given))
    if not isinstance(given, str | Path):
        raise InvalidInput(
            f"{given!r} is no PromotionSpec",
            hint="Give a file's path, a text, a dictionary of its keys, or a PromotionSpec.",
        )
    path = Path(given)
    return GivenSpec(load_spec(path, env), protect(path.read_text(encoding="utf-8-sig")))


def protect(text: str) -> str:
    """A spec without dollar signs: Kubernetes replaces `$(NAME)` and `$$` in what a container is started with.

    Args:
        text: YAML or JSON that a spec was read from.

    Returns:
        The text itself when there is no dollar sign in it, else JSON with each written as an escape.
    """
    if "$" not in text:
        return text
    from ruamel.yaml import YAML

    value = YAML(typ="safe", pure=True).load(io.StringIO(text))
    return json.dumps(value, ensure_ascii=False).replace("$", "\\u0024")


def refuse_expansions(values: Mapping[str, object]) -> None:
    """Refuse what Kubernetes would change on the way to a step's container.

    Raises:
        InvalidInput: A string holds `$(NAME)` or `$$`.

    Source: https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
    """
    for name, value in values.items():
        if any(mark in text for text in _strings(value) for mark in ("$(", "$$")):
            raise InvalidInput(
                f"the parameter {name} holds $( or $$, which Kubernetes replaces on the way to the step",
                hint="Give the spec as a file (--spec), where a dollar sign may stand.",
            )


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)
