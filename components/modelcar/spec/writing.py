"""From a PromotionSpec back to a text that is read as the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from modelcar.metrics import Floor
from modelcar.reference import SCRATCH
from modelcar.spec.fields import FIELDS
from modelcar.spec.promotion_spec import PromotionSpec, attribute_of


def format_spec(spec: PromotionSpec) -> str:
    """Every value of a spec as JSON, defaults too, so that no environment says anything about it any more.

    Args:
        spec: As `parse_spec` gives it, perhaps with some values replaced.

    Returns:
        A text of which `parse_spec` makes the same spec, whatever the environment is.
    """
    root: dict[str, Any] = {}
    for field in FIELDS:
        value = field.only or _value(spec, field.key)
        if value is None or (field.shape != "string" and not value):
            continue
        place = root
        for name in field.key.split(".")[:-1]:
            place = place.setdefault(name, {})
        place[field.name] = _plain(value)
    return json.dumps(root, ensure_ascii=False)


def _value(spec: PromotionSpec, key: str) -> Any:
    """What a key says, where a dataclass has it in another form; None for what is not to be written."""
    platforms = spec.image.platforms
    match key:
        case "image.platform":
            return platforms[0] if len(platforms) == 1 else None
        case "image.platforms":
            return platforms if len(platforms) > 1 else None
        case "image.maxLayerSize":
            return spec.image.max_layer_bytes
        case "image.baseImage" if spec.image.base_image is None:
            return SCRATCH
    return _find(spec, key)


def _find(spec: PromotionSpec, key: str) -> Any:
    value: Any = spec
    for name in key.split("."):
        value = getattr(value, attribute_of(name)) if value is not None else None
    return value


def _plain(value: Any) -> object:
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Floor):
        return f"at {value.side} {value.bound!r}"  # str() of it is rounded, for people
    return str(value)
