"""A JSON Schema of the PromotionSpec, so that editors complete and explain its keys.

It says which keys there are and of what type; what a value may be in detail, `load_spec` says.
`python -m modelcar.spec.schema` prints it; it is kept in docs/reference/promotion-spec.schema.json.

Source: https://json-schema.org/draft/2020-12
"""

from __future__ import annotations

import json
from typing import Any

from modelcar.spec.fields import FIELDS, KIND, OPTIONAL_SECTIONS, Field


def schema() -> dict[str, Any]:
    """Build the schema from the table of keys."""
    root = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": KIND, **_mapping("")}
    for field in FIELDS:
        place, section = root, ""
        for name in filter(None, field.section.split(".")):
            section = f"{section}.{name}" if section else name
            if name not in place["properties"]:
                place["properties"][name] = _mapping(section)
                place["required"] += [] if section in OPTIONAL_SECTIONS else [name]
            place = place["properties"][name]
        place["properties"][field.name] = _property(field)
        if field.required and not field.variable:
            place["required"].append(field.name)
    return root


def _mapping(section: str) -> dict[str, Any]:
    kind = ["object", "null"] if section in OPTIONAL_SECTIONS else "object"
    return {"type": kind, "properties": {}, "required": [], "additionalProperties": False}


def _property(field: Field) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": f"{field.about}. Default: ${field.variable}" if field.variable else field.about
    }
    if field.only is not None:
        return {"const": field.only, **described}
    kind = {"string": "string", "list": "array", "mapping": "object"}[field.shape]
    described["type"] = kind if field.required and not field.variable else [kind, "null"]
    if field.shape == "list":
        described["items"] = {"type": "string"}
    if field.shape == "mapping":
        described["additionalProperties"] = {"type": "string"}
    if field.default is not None:
        described["default"] = field.default
    return described


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))
