"""Watches: what happens to objects, told while it happens, a JSON object a line."""

from __future__ import annotations

import json
import select as system_select
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from modelcar_sandbox.kubernetes.call import Call, Object
from modelcar_sandbox.kubernetes.objects import with_version
from modelcar_sandbox.kubernetes.refusal import Refusal, expired
from modelcar_sandbox.kubernetes.selectors import Matches, select
from modelcar_sandbox.kubernetes.store import Change

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

LONGEST_S: Final = 1800.0
BOOKMARK_S: Final = 60.0
LOOK_EVERY_S: Final = 0.5
"""How long it takes to see that nobody listens any more."""


def watch(call: Call, environ: WSGIEnvironment) -> Iterator[bytes]:
    """The lines of a watch, without end until its time is over, its listener gone, or the store closed.

    Args:
        call: With a resourceVersion, what happens after it; else first all that is there, as if it were just made.
        environ: Of the request.

    Raises:
        Refusal: The selectors or the resourceVersion cannot be understood.
    """
    matches = select(call.kind, call.query)
    text = call.query.get("resourceVersion") or "0"
    if not text.isdecimal():
        why = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise Refusal(500, why)
    seconds = call.number("timeoutSeconds") or LONGEST_S
    return _tell(call, matches, int(text), time.monotonic() + min(seconds, LONGEST_S), environ)


def _tell(call: Call, matches: Matches, since: int, end: float, environ: WSGIEnvironment) -> Iterator[bytes]:
    # The headers go out at once, also when nothing happens for long; clients skip empty lines.
    yield b"\n"
    with call.store.alone():
        begun = since or call.store.version
        there = [] if since else call.store.find(call.kind, call.namespace)
        forgotten = begun < call.store.oldest
        oldest = call.store.oldest
    if forgotten:
        yield _line("ERROR", expired(f"too old resource version: {since} ({oldest})").as_json())
        return
    for _, one in there:
        if matches(one):
            yield _line("ADDED", one)
    bookmarks = call.flag("allowWatchBookmarks")
    marked = time.monotonic()
    while not call.store.closed and time.monotonic() < end and not _hung_up(environ):
        changes = _wait_for_changes(call, begun, min(LOOK_EVERY_S, end - time.monotonic()))
        for change in changes:
            begun = change.version
            if (line := _describe(call, change, matches)) is not None:
                yield line
        if bookmarks and time.monotonic() - marked >= BOOKMARK_S:
            marked = time.monotonic()
            metadata = {"resourceVersion": str(begun), "creationTimestamp": None}
            head = {"kind": call.kind.name, "apiVersion": call.kind.api_version}
            yield _line("BOOKMARK", {**head, "metadata": metadata})


def _wait_for_changes(call: Call, since: int, timeout_s: float) -> list[Change]:
    with call.store.alone():
        call.store.wait(lambda: call.store.version > since or call.store.closed, max(0.0, timeout_s))
        return call.store.changes_after(since)


def _describe(call: Call, change: Change, matches: Matches) -> bytes | None:
    """The line for a change; for who selects, an object that begins to fit is made, and one that ceases is gone."""
    key = change.key
    if key.resource != call.kind.resource or (call.namespace and key.namespace != call.namespace):
        return None
    fitted = change.before is not None and matches(change.before)
    fits = change.after is not None and matches(change.after)
    if fits:
        return _line("MODIFIED" if fitted else "ADDED", change.after)
    if fitted:
        last = change.after if change.after is not None else change.before
        return _line("DELETED", with_version(last or {}, change.version))
    return None


def _line(kind: str, one: Object | None) -> bytes:
    return json.dumps({"type": kind, "object": one}).encode() + b"\n"


def _hung_up(environ: WSGIEnvironment) -> bool:
    """Whether the client is gone; what it sends while it watches can only be the end."""
    stream: Any = getattr(environ["wsgi.input"], "rfile", None)
    if stream is None:
        return False
    poll = system_select.poll()
    try:
        poll.register(stream.fileno(), system_select.POLLIN)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return True
