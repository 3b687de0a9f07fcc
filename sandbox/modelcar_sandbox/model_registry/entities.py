"""The kinds of things the registry keeps, their fields, and how they look in requests and answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from modelcar_sandbox.model_registry.properties import Property, write_properties


class Space(Enum):
    """What shares one table, and with it one sequence of ids and one namespace of external ids."""

    CONTEXT = "context"
    ARTIFACT = "artifact"
    SERVING = "serving"


class Form(Enum):
    """What a field holds."""

    TEXT = "text"
    TEXTS = "a list of texts"
    ID = "the id of another entity: text in JSON, a number in the database"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a kind, beyond those that all kinds have.

    Attributes:
        name: In JSON.
        form: What it holds.
        choices: The only values, none when any will do.
        default: Taken when a POST *or a PATCH* does not give it; the server does that to states.
        required: A POST without it is answered with 422.
        editable: A PATCH may give it.
    """

    name: str
    form: Form = Form.TEXT
    choices: tuple[str, ...] = ()
    default: str | None = None
    required: bool = False
    editable: bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of entity.

    Attributes:
        title: As in the server's sentences.
        space: Where it is stored.
        fields: By name.
        owned: Lives in another entity, whose id is part of its stored name.
        named: A POST must name it; else it gets a UUID.
        searchable: Fields that filterQuery knows by their JSON names.
        artifact_type: Of an artifact.
    """

    title: str
    space: Space
    fields: Mapping[str, Field]
    owned: bool = False
    named: bool = True
    searchable: frozenset[str] = frozenset()
    artifact_type: str | None = None


def _fields(*fields: Field | str) -> dict[str, Field]:
    given = [Field("description"), *(Field(f) if isinstance(f, str) else f for f in fields)]
    return {f.name: f for f in given}


_LIFE: Final = Field("state", choices=("LIVE", "ARCHIVED"), default="LIVE")
_ARTIFACT_STATES: Final = ("UNKNOWN", "PENDING", "LIVE", "MARKED_FOR_DELETION", "DELETED", "ABANDONED", "REFERENCE")
_EXECUTION_STATES: Final = ("UNKNOWN", "NEW", "RUNNING", "COMPLETE", "FAILED", "CACHED", "CANCELED")
_ARTIFACT_STATE: Final = Field("state", choices=_ARTIFACT_STATES)
_MODEL: Final = Field("registeredModelId", Form.ID, required=True, editable=False)
_TEXTS: Final = tuple(Field(name, Form.TEXTS) for name in ("language", "tasks"))
_CARD: Final = ("readme", "maturity", "provider", "logo", "license", "licenseLink", "libraryName")
_FORMAT: Final = ("modelFormatName", "modelFormatVersion", "storageKey", "storagePath", "serviceAccountName")
_SOURCE: Final = ("modelSourceKind", "modelSourceClass", "modelSourceGroup", "modelSourceId", "modelSourceName")

REGISTERED_MODEL: Final = Kind(
    "registered model",
    Space.CONTEXT,
    _fields(_LIFE, "owner", *_TEXTS, *_CARD),
    searchable=frozenset({"state", "owner"}),
)
MODEL_VERSION: Final = Kind(
    "model version",
    Space.CONTEXT,
    _fields(_LIFE, "author", _MODEL),
    owned=True,
    searchable=frozenset({"state", "author", "registeredModelId"}),
)
SERVING_ENVIRONMENT: Final = Kind("serving environment", Space.CONTEXT, _fields())
INFERENCE_SERVICE: Final = Kind(
    "inference service",
    Space.CONTEXT,
    _fields(
        _MODEL,
        Field("servingEnvironmentId", Form.ID, required=True, editable=False),
        Field("modelVersionId", Form.ID),
        "runtime",
        Field("desiredState", choices=("DEPLOYED", "UNDEPLOYED"), default="DEPLOYED"),
    ),
    owned=True,
    named=False,
)
MODEL_ARTIFACT: Final = Kind(
    "model artifact",
    Space.ARTIFACT,
    _fields("uri", _ARTIFACT_STATE, *_FORMAT, *_SOURCE),
    owned=True,
    named=False,
    searchable=frozenset({*_FORMAT, *_SOURCE}),
    artifact_type="model-artifact",
)
DOC_ARTIFACT: Final = Kind(
    "doc artifact",
    Space.ARTIFACT,
    _fields("uri", _ARTIFACT_STATE),
    owned=True,
    named=False,
    artifact_type="doc-artifact",
)
SERVING: Final = Kind(
    "serve model",
    Space.SERVING,
    _fields(
        Field("modelVersionId", Form.ID, required=True),
        Field("lastKnownState", choices=_EXECUTION_STATES, default="UNKNOWN"),
    ),
    owned=True,
    named=False,
)

ARTIFACTS: Final = (MODEL_ARTIFACT, DOC_ARTIFACT)
KINDS: Final = {
    kind.title: kind
    for kind in (REGISTERED_MODEL, MODEL_VERSION, SERVING_ENVIRONMENT, INFERENCE_SERVICE, *ARTIFACTS, SERVING)
}
ARTIFACT_STATE_NUMBERS: Final = {state: number for number, state in enumerate(_ARTIFACT_STATES)}


@dataclass(frozen=True, slots=True)
class Draft:
    """What a request says about an entity: what it leaves out is absent here too.

    Attributes:
        name: None when not given.
        external_id: None when not given.
        fields: By JSON name; ids as numbers.
        properties: All custom properties, or None to leave them as they are.
    """

    name: str | None = None
    external_id: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Property] | None = None


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity as stored.

    Attributes:
        kind: What it is.
        id: Unique in the kind's space.
        stored_name: The name; with the parent's id and a colon before it when the kind is owned.
        external_id: None when there is none.
        created_ms: Milliseconds since 1970.
        updated_ms: Milliseconds since 1970.
        fields: By JSON name; ids as numbers.
        properties: Custom properties by name.
    """

    kind: Kind
    id: int
    stored_name: str
    external_id: str | None
    created_ms: int
    updated_ms: int
    fields: Mapping[str, Any]
    properties: Mapping[str, Property]

    @property
    def name(self) -> str:
        """As the user gave it."""
        return self.stored_name.partition(":")[2] if self.kind.owned else self.stored_name

    def as_json(self) -> dict[str, Any]:
        """The answer's form: ids and times as text, absent fields left out."""
        texts = {
            "id": str(self.id),
            "name": self.name,
            "createTimeSinceEpoch": str(self.created_ms),
            "lastUpdateTimeSinceEpoch": str(self.updated_ms),
        }
        optional = {"externalId": self.external_id, "artifactType": self.kind.artifact_type}
        given = {name: value for name, value in optional.items() if value is not None}
        form = {name: self.kind.fields[name].form for name in self.fields}
        fields = {name: str(value) if form[name] is Form.ID else value for name, value in self.fields.items()}
        return {**texts, **given, **fields, "customProperties": write_properties(self.properties)}
