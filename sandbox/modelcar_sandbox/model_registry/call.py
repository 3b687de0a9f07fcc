"""One request on its way to an answer, and the forms that answers have."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from modelcar_sandbox.model_registry.entities import Draft, Entity, Kind
from modelcar_sandbox.model_registry.properties import integer
from modelcar_sandbox.model_registry.refusal import not_found
from modelcar_sandbox.model_registry.request_body import parse_object
from modelcar_sandbox.model_registry.store import Store


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        store: Where things are kept.
        id: From the path; empty where there is none.
        query: The URL's parameters.
        body: As it came.
    """

    store: Store
    id: str
    query: Mapping[str, str]
    body: bytes

    def members(self) -> dict[str, Any]:
        """The body's JSON object."""
        return parse_object(self.body)

    def number(self, what: str) -> int:
        """The id in the path, `what` says of what."""
        return integer(self.id, f"{what} ID")


Answer = tuple[HTTPStatus, dict[str, Any]]
Handler = Callable[[Call], Answer]


def ok(entity: Entity) -> Answer:
    """Answer with an entity that was there."""
    return HTTPStatus.OK, entity.as_json()


def created(entity: Entity) -> Answer:
    """Answer with an entity that was made."""
    return HTTPStatus.CREATED, entity.as_json()


def there(entity: Entity | None, title: str, identifier: object) -> Entity:
    """The entity itself.

    Raises:
        Refusal: 404, there is none.
    """
    if entity is None:
        raise not_found(f"no {title} found for id {identifier}: not found")
    return entity


def stored_name(kind: Kind, draft: Draft, parent: int | None = None) -> str:
    """What the database keeps as the name.

    Args:
        kind: Of the entity.
        draft: Its name, or none for a UUID.
        parent: The owner's id. An owned entity without an owner gets a UUID in its place, so its name is never taken.

    Returns:
        The name, after the owner and a colon if the kind is owned.
    """
    name = draft.name if draft.name is not None else str(uuid.uuid4())
    return f"{uuid.uuid4() if parent is None else parent}:{name}" if kind.owned else name
