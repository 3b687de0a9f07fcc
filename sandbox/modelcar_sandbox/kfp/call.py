"""One request on its way to an answer, and what answers are made from."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelcar_sandbox.kfp.clock import Clock
from modelcar_sandbox.kfp.refusal import malformed, not_found
from modelcar_sandbox.kfp.runner import Runner
from modelcar_sandbox.kfp.store import Kind, Record, Store
from modelcar_sandbox.kfp.times import write_time
from modelcar_sandbox.kfp.timetable import RecurringRuns

if TYPE_CHECKING:
    from werkzeug.datastructures import FileStorage


@dataclass(frozen=True, slots=True)
class Backend:
    """What all calls work on.

    Attributes:
        store: What there is.
        runner: Runs under way.
        timetable: Recurring runs.
        clock: What time it is.
        namespace: Where the real server would make its objects.
        default_experiment: Id of the experiment of runs that name none.
    """

    store: Store
    runner: Runner
    timetable: RecurringRuns
    clock: Clock
    namespace: str
    default_experiment: str

    def now(self) -> str:
        """The time as documents have it."""
        return write_time(self.clock.now())

    def there(self, kind: Kind, identifier: str) -> Record:
        """A record.

        Raises:
            Refusal: 404, there is none.
        """
        record = self.store.get(kind, identifier)
        if record is None:
            raise not_found(kind, identifier)
        return record


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        backend: What it works on.
        path: What the path's placeholders stand for.
        query: The URL's parameters.
        body: As it came; empty for a form.
        file: What a form uploads.
    """

    backend: Backend
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes = b""
    file: FileStorage | None = None

    def members(self, known: frozenset[str]) -> dict[str, Any]:
        """The body's JSON object, without members that are null.

        Raises:
            Refusal: 400, it is no JSON object, or has a member that is not known.
        """
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise malformed(str(error)) from error
        if not isinstance(value, dict):
            raise malformed("proto: syntax error (line 1:1): unexpected token")
        for name in value:
            if name not in known:
                raise malformed(f'proto: (line 1:2): unknown field "{name}"')
        return {name: member for name, member in value.items() if member is not None}


Handler = Callable[[Call], dict[str, Any]]


def new_id() -> str:
    """An id that nothing else has."""
    return str(uuid.uuid4())


def without_empty(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the server writes: nothing where there is nothing to say."""
    return {name: value for name, value in document.items() if value not in ("", None, {}, [], False)}


def text(members: Mapping[str, Any], name: str) -> str:
    """A member that is text; empty when it is not there.

    Raises:
        Refusal: 400, it is something else.
    """
    value = members.get(name, "")
    if not isinstance(value, str):
        raise malformed(f"proto: invalid value for string field {name}: {value!r}")
    return value


def message(members: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A member that is an object; empty when it is not there.

    Raises:
        Refusal: 400, it is something else.
    """
    value = members.get(name, {})
    if not isinstance(value, dict):
        raise malformed(f"proto: syntax error: unexpected token {json.dumps(value)} in {name}")
    return value
