"""Lists in pages: filtered, sorted, and where the next page begins."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from modelcar_sandbox.kfp.predicates import check_keys, comparable, keep, parse_filter
from modelcar_sandbox.kfp.refusal import invalid, malformed
from modelcar_sandbox.kfp.store import Kind, Record

DEFAULT_SIZE: Final = 20
LARGEST_SIZE: Final = 200

_COMMON: Final = {"created_at": "created_at", "description": "description"}
FIELDS: Final[Mapping[Kind, Mapping[str, str]]] = {
    Kind.PIPELINE: {
        **_COMMON,
        "id": "pipeline_id",
        "pipeline_id": "pipeline_id",
        "name": "name",
        "display_name": "display_name",
        "namespace": "namespace",
    },
    Kind.VERSION: {
        **_COMMON,
        "id": "pipeline_version_id",
        "pipeline_version_id": "pipeline_version_id",
        "name": "name",
        "display_name": "display_name",
    },
    Kind.EXPERIMENT: {
        **_COMMON,
        "id": "experiment_id",
        "experiment_id": "experiment_id",
        "name": "display_name",
        "display_name": "display_name",
        "last_run_created_at": "last_run_created_at",
        "namespace": "namespace",
        "storage_state": "storage_state",
    },
    Kind.RUN: {
        **_COMMON,
        "id": "run_id",
        "run_id": "run_id",
        "name": "display_name",
        "display_name": "display_name",
        "finished_at": "finished_at",
        "scheduled_at": "scheduled_at",
        "storage_state": "storage_state",
        "experiment_id": "experiment_id",
        "state": "state",
        "recurring_run_id": "recurring_run_id",
    },
    Kind.RECURRING_RUN: {
        **_COMMON,
        "id": "recurring_run_id",
        "recurring_run_id": "recurring_run_id",
        "name": "display_name",
        "display_name": "display_name",
        "updated_at": "updated_at",
    },
}
"""What each kind can be filtered and sorted by, and what that is called in a document."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a page token holds: the list that it is of, and the last entry of the page before."""

    sort_by: str
    descending: bool
    filter: str
    value: Any = None
    id: str = ""


def page(kind: Kind, records: Iterable[Record], query: Mapping[str, str], member: str) -> dict[str, Any]:
    """Answer a list request.

    Args:
        kind: Of the records.
        records: All that there are.
        query: `page_size`, `page_token`, `sort_by` and `filter`; without `sort_by` the oldest come first. Among equals
            the id decides.
        member: What the list is called in the answer.

    Returns:
        The answer; without the list when nothing matches.

    Raises:
        Refusal: 400 for what cannot be read, for unknown fields, and for a token of another list.
    """
    cursor, size = _read_cursor(kind, query), _read_size(query.get("page_size", ""))
    predicates = parse_filter(cursor.filter)
    check_keys(predicates, FIELDS[kind])

    def order(record: Record) -> tuple[Any, str]:
        return comparable(cursor.sort_by, record.document), record.id

    matching = [record for record in records if keep(predicates, FIELDS[kind], record.document)]
    rest = sorted(matching, key=order, reverse=cursor.descending)
    if cursor.id:
        last = (cursor.value, cursor.id)
        rest = [record for record in rest if (order(record) < last if cursor.descending else order(record) > last)]
    answer: dict[str, Any] = {}
    if rest:
        answer[member] = [record.document for record in rest[:size]]
    if len(rest) > size:
        value, identifier = order(rest[size - 1])
        answer["next_page_token"] = _write(Cursor(cursor.sort_by, cursor.descending, cursor.filter, value, identifier))
    if matching:
        answer["total_size"] = len(matching)
    return answer


def _read_size(text: str) -> int:
    try:
        size = int(text or "0")
    except ValueError:
        raise malformed(f'parsing field "page_size": {text!r} is no number') from None
    if size < 0:
        raise invalid(f"The page size should be greater than 0. Got {size}")
    return min(size or DEFAULT_SIZE, LARGEST_SIZE)


def _read_cursor(kind: Kind, query: Mapping[str, str]) -> Cursor:
    sort_by, text = query.get("sort_by", ""), query.get("filter", "")
    asked = Cursor(*_read_order(kind, sort_by), text)
    token = query.get("page_token", "")
    if not token:
        return asked
    cursor = _read_token(token)
    other_order = sort_by and (asked.sort_by, asked.descending) != (cursor.sort_by, cursor.descending)
    if other_order or (text and text != cursor.filter):
        raise invalid("page token does not match the supplied sort by and/or filtering criteria")
    return cursor


def _read_order(kind: Kind, text: str) -> tuple[str, bool]:
    words = text.lower().split()
    if len(words) > 2 or (len(words) == 2 and words[1] not in {"asc", "desc"}):
        raise invalid(f'Received invalid sort by format "{text}". Supported format: "field_name", "field_name desc"')
    field = words[0] if words else "created_at"
    if field not in FIELDS[kind]:
        raise invalid(f'Invalid sorting field: "{field}" on listable type {kind}')
    return FIELDS[kind][field], words[1:] == ["desc"]


def _write(cursor: Cursor) -> str:
    return base64.b64encode(json.dumps(asdict(cursor)).encode()).decode()


def _read_token(token: str) -> Cursor:
    try:
        return Cursor(**json.loads(base64.b64decode(token, validate=True)))
    except (binascii.Error, ValueError, TypeError) as error:
        raise invalid(f"Invalid page token: {error}") from error
