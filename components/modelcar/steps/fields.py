"""The fields of a PromotionSpec that pipelines take as parameters of their own, and the keys that they stand for."""

from __future__ import annotations

from typing import Any

from modelcar.spec import PromotionSpec, parse_sections, parse_spec
from modelcar.spec.document import look_up, read_document

KEYS = {
    "source": "model.source",
    "revision": "model.revision",
    "image_repository": "image.repository",
    "image_tag": "image.tag",
    "registered_model": "modelRegistry.registeredModel",
    "version": "modelRegistry.version",
    "git_repository": "inferenceService.repository",
    "git_branch": "inferenceService.branch",
    "manifest_path": "inferenceService.path",
    "inference_service": "inferenceService.name",
    "namespace": "inferenceService.namespace",
}


def read_whole(spec: str, fields: dict[str, str]) -> PromotionSpec:
    """The spec that a run was given.

    Args:
        spec: YAML or JSON; blank when the fields say everything.
        fields: By the names in `KEYS`; empty ones are absent.

    Raises:
        InvalidSpec: There are faults; each names its key.
    """
    return parse_spec(spec, name="spec", beside=_beside(fields))


def find_model(spec: object, fields: object) -> str:
    """What people call the model of a step: its InferenceService, else its registered model, else its source.

    Args:
        spec: As for `read_whole`; whatever cannot be read names no model.
        fields: As for `read_whole`.
    """
    given = fields if isinstance(fields, dict) else {}
    root = read_document(spec)[0] if isinstance(spec, str) and spec else None
    names = (
        given.get(name) or look_up(root, KEYS[name]) for name in ("inference_service", "registered_model", "source")
    )
    return next((str(name) for name in names if name and str(name).isprintable() and '"' not in str(name)), "")


def read_part(spec: str, sections: tuple[str, ...], fields: dict[str, str]) -> dict[str, Any]:
    """Some sections of it; see `modelcar.spec.parse_sections`."""
    return parse_sections(spec, *sections, beside=_beside(fields))


def _beside(fields: dict[str, str]) -> dict[str, str]:
    return {KEYS[name]: value for name, value in fields.items()}
