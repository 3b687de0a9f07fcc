"""The fields of a PromotionSpec that pipelines take as parameters of their own, and the keys that they stand for."""

from __future__ import annotations

from typing import Any

from modelcar.spec import PromotionSpec, parse_sections, parse_spec

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


def read_part(spec: str, sections: tuple[str, ...], fields: dict[str, str]) -> dict[str, Any]:
    """Some sections of it; see `modelcar.spec.parse_sections`."""
    return parse_sections(spec, *sections, beside=_beside(fields))


def _beside(fields: dict[str, str]) -> dict[str, str]:
    return {KEYS[name]: value for name, value in fields.items()}
