"""PromotionSpec: the file in which a user writes what is promoted, and to where.

Its keys and defaults are in `modelcar.spec.fields`; people read docs/reference/promotion-spec.md.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelcar.errors import InvalidSpec
from modelcar.metrics import Floor
from modelcar.reference import Base, ImageReference, Platform
from modelcar.spec.document import Fault, read_document
from modelcar.spec.fields import API_VERSION, FIELDS, KIND
from modelcar.spec.reading import read_values


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Which model.

    Attributes:
        source: `hf://org/name`, perhaps with `@revision`, `s3://bucket/prefix`, `file:///dir`, or
            `oci://registry/repository`, perhaps with a tag or digest.
        revision: Branch, tag or commit asked for; None for the source's default, and when `source` holds one.
        allow: Patterns of files that go into the image; empty for the defaults.
        ignore: Patterns of files that stay out.
        allow_pickle: Pickle files allowed by name.
    """

    source: str
    revision: str | None = None
    allow: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_pickle: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """Which image.

    Attributes:
        repository: Without tag and digest.
        tag: The friendly tag, which moves.
        base_image: With a tag, a digest or both; None for scratch, `SAME` for that of the image which is the source.
        platforms: Stated, whatever the host is; at least one, sorted, none twice.
        max_layer_bytes: What the registry takes as one layer, where that was said.
        reuse_from: Images in other repositories that layers are taken from, each with a tag or digest.
    """

    repository: ImageReference
    tag: str
    base_image: Base
    platforms: tuple[Platform, ...]
    max_layer_bytes: int | None = None
    reuse_from: tuple[ImageReference, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelFormat:
    """What the model artifact's format is called in the Model Registry.

    Attributes:
        name: For instance `vLLM`.
        version: None when not written.
    """

    name: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRegistrySpec:
    """What is registered, and where.

    Attributes:
        url: As written, `http://` or `https://`, without credentials.
        registered_model: 1 to 255 characters, no blanks around them.
        version: 1 to 244 characters; None for the first 12 hex digits of the image digest.
        owner: Of the registered model.
        author: Of the version.
        description: Of the version, any text.
        model_format: None when not written.
        properties: Custom properties of the version; keys are plain identifiers, sorted.
    """

    url: str
    registered_model: str
    version: str | None
    owner: str | None
    author: str | None
    description: str | None
    model_format: ModelFormat | None
    properties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InferenceServiceSpec:
    """Which manifest in git.

    Attributes:
        repository: What git can clone from, without credentials.
        branch: Short name.
        path: Relative to the repository's root, `/` between parts, no `.` or `..`.
        name: `metadata.name` of the InferenceService.
        namespace: Its `metadata.namespace`; None when the name alone picks the document.
    """

    repository: str
    branch: str
    path: str
    name: str
    namespace: str | None


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """How the model is trained before it is promoted; `ModelSpec` says from which base model.

    Attributes:
        data: `file:///dir`, or `hf://datasets/org/name`, perhaps with `@revision`.
        data_revision: Branch, tag or commit asked for; None for the source's default, and when `data` holds one.
        image: What trains in; None for the image of the other steps.
        entry_point: `package.module:function`; None when there is a command.
        command: Program and arguments; empty when there is an entry point.
        parameters: What the trainer is told, sorted by name.
        floors: What metrics must hold, sorted by name.
    """

    data: str
    data_revision: str | None
    image: ImageReference | None
    entry_point: str | None
    command: tuple[str, ...]
    parameters: Mapping[str, str]
    floors: Mapping[str, Floor]


@dataclass(frozen=True, slots=True)
class PromotionSpec:
    """One promotion, as a user wrote it, with every default filled in.

    Attributes:
        model: Which model.
        image: Which image.
        model_registry: What is registered, and where.
        inference_service: Which manifest in git.
        training: How the model is trained first; None when it is promoted as it is.
        hold: Why nothing may move; None when it may.
    """

    model: ModelSpec
    image: ImageSpec
    model_registry: ModelRegistrySpec
    inference_service: InferenceServiceSpec
    training: TrainingSpec | None = None
    hold: str | None = None


def load_spec(path: Path, env: Mapping[str, str] = os.environ) -> PromotionSpec:
    """Read a PromotionSpec from a file.

    Args:
        path: A YAML or JSON file in UTF-8; errors name it as it is written here.
        env: Where the defaults that the table names by variable come from; an empty variable counts as absent.

    Raises:
        InvalidSpec: The file cannot be read, or has faults; the message has one line for each of them.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise InvalidSpec(f"{path}: no such file", hint="Name the PromotionSpec's file.") from error
    except IsADirectoryError as error:
        raise InvalidSpec(f"{path}: is a directory", hint="Name the PromotionSpec's file.") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InvalidSpec(f"{path}:{line}: not UTF-8", hint="Save the file as UTF-8.") from error
    except OSError as error:
        raise InvalidSpec(f"{path}: cannot be read ({error.strerror})", hint="Check its permissions.") from error
    return parse_spec(text, name=str(path), env=env)


def parse_spec(
    text: str, *, name: str, env: Mapping[str, str] = os.environ, beside: Mapping[str, str] | None = None
) -> PromotionSpec:
    """Read a PromotionSpec from a text.

    Args:
        text: YAML 1.2 or JSON, one document; blank when all of it is given beside.
        name: What errors call the text.
        env: As for `load_spec`.
        beside: Values of string keys, by key (`model.source`), that go before the text's; an empty one is absent.

    Raises:
        InvalidSpec: The text has faults; the message has one line for each of them, in the text's order.
    """
    return PromotionSpec(**_parse(text, name, env, beside or {}, _SECTIONS))


def parse_sections(
    text: str, *sections: str, beside: Mapping[str, str], name: str = "spec", env: Mapping[str, str] = os.environ
) -> dict[str, Any]:
    """Read some sections of a PromotionSpec, for a step that needs no more; all that is written is checked.

    Args:
        text: As for `parse_spec`.
        sections: Their keys, such as `model`.
        beside: As for `parse_spec`.
        name: What errors call the text.
        env: As for `load_spec`.

    Returns:
        Each section by the name of its attribute in `PromotionSpec`.

    Raises:
        InvalidSpec: As for `parse_spec`.
    """
    return _parse(text, name, env, beside, frozenset(sections))


def _parse(
    text: str, name: str, env: Mapping[str, str], beside: Mapping[str, str], sections: Set[str]
) -> dict[str, Any]:
    is_written = bool(text.strip()) or not any(beside.values())
    root, faults = read_document(text if is_written else _NOTHING_WRITTEN)
    values: dict[str, Any] = {}
    if root is not None:
        values, more = read_values(root, env, beside, sections)
        faults = tuple(sorted(faults + more, key=lambda fault: fault.line or sys.maxsize))
    if not is_written:
        faults = tuple(replace(fault, line=None) for fault in faults)
    if faults:
        raise InvalidSpec(
            "\n".join(_describe(fault, name) for fault in faults),
            hint="docs/reference/promotion-spec.md lists every key and default.",
        )
    return _build(values, sections)


def _describe(fault: Fault, name: str) -> str:
    """`promotion.yaml:7: image.repository: what is wrong`."""
    place = name if fault.line is None else f"{name}:{fault.line}"
    key = fault.key if fault.key.isprintable() else repr(fault.key)
    return ": ".join(filter(None, (place, key, fault.message)))


def _build(values: Mapping[str, Any], wanted: Set[str]) -> dict[str, Any]:
    """Sort the values into the dataclasses of their sections; `modelRegistry.registeredModel` is `registered_model`."""
    sections: dict[str, dict[str, Any]] = {}
    for field in FIELDS:
        if field.key in values and field.only is None:
            sections.setdefault(field.section, {})[attribute_of(field.name)] = values[field.key]
    model_format = sections.pop("modelRegistry.modelFormat", None)
    if "modelRegistry" in sections:
        sections["modelRegistry"]["model_format"] = ModelFormat(**model_format) if model_format else None
    if "image" in wanted & sections.keys():
        image = sections["image"]
        alone, several = image.pop("platform"), image.pop("platforms")
        image["max_layer_bytes"] = image.pop("max_layer_size")
        image["platforms"] = tuple(sorted(set(several), key=str)) or (alone,)
    root = sections.pop("", {})
    return {attribute_of(key): _TYPES[key](**section) for key, section in sections.items() if key in wanted} | root


def attribute_of(name: str) -> str:
    """What a key is called in the dataclasses: `registeredModel` is `registered_model`."""
    return re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


_TYPES: Mapping[str, Callable[..., Any]] = {
    "model": ModelSpec,
    "image": ImageSpec,
    "modelRegistry": ModelRegistrySpec,
    "inferenceService": InferenceServiceSpec,
    "training": TrainingSpec,
}
_SECTIONS = frozenset(_TYPES)
_NOTHING_WRITTEN = f"apiVersion: {API_VERSION}\nkind: {KIND}\n"
