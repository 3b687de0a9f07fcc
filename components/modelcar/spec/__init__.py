"""The PromotionSpec: the file in which a user writes what is promoted, and to where.

`promotion_spec` has the types and `load_spec`; `fields` is the table of keys; `document` reads YAML with line
numbers, `reading` goes through it by the table, `values` says what each value may be; `writing` goes the other way,
and `schema` is the table for editors.
"""

from modelcar.spec.promotion_spec import (
    ImageSpec,
    InferenceServiceSpec,
    ModelFormat,
    ModelRegistrySpec,
    ModelSpec,
    PromotionSpec,
    TrainingSpec,
    load_spec,
    parse_sections,
    parse_spec,
)
from modelcar.spec.writing import format_spec

__all__ = [
    "ImageSpec",
    "InferenceServiceSpec",
    "ModelFormat",
    "ModelRegistrySpec",
    "ModelSpec",
    "PromotionSpec",
    "TrainingSpec",
    "format_spec",
    "load_spec",
    "parse_sections",
    "parse_spec",
]
