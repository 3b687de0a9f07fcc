"""Why a pod cannot start, in the words of the kubelet and the scheduler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Object = Mapping[str, Any]

_ON_THE_WAY: Final = frozenset({"", "ContainerCreating", "PodInitializing"})
"""Why containers wait that will begin."""
_STARTS_THAT_HAPPEN: Final = 2
"""A server that starts before the model's link is there ends and is started again: seen each time, and no failure."""
_MOST_LETTERS: Final = 300


def find_failure(pod: Object) -> str:
    """Why a pod does not get ready and will not, on one line; empty for one that is on its way.

    What a container wrote is never part of it.

    Args:
        pod: As the cluster has it.
    """
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return show_line(f"{condition.get('reason')}: {condition.get('message') or ''}")
    for one in status.get("initContainerStatuses") or ():
        if found := _find_container_failure(one, starts=0):
            return found
    for one in status.get("containerStatuses") or ():
        if found := _find_container_failure(one, starts=_STARTS_THAT_HAPPEN):
            return found
    return ""


def _find_container_failure(one: Object, starts: int) -> str:
    """Why a container does not run.

    Args:
        one: Its status.
        starts: How often it may end badly before that counts.
    """
    state = one.get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    reason = str(waiting.get("reason") or "")
    failures = int(one.get("restartCount") or 0)
    if reason == "CrashLoopBackOff":
        last = (one.get("lastState") or {}).get("terminated") or {}
        return _describe(one, reason, _describe_end(last)) if failures >= starts else ""
    if reason not in _ON_THE_WAY:
        return _describe(one, reason, str(waiting.get("message") or ""))
    if ended.get("exitCode") and failures >= starts:
        return _describe(one, str(ended.get("reason") or "Error"), _describe_end(ended))
    return ""


def _describe_end(ended: Object) -> str:
    if not ended:
        return ""
    why = "" if ended.get("reason") in (None, "Error") else f" ({ended['reason']})"
    return f"it ended with exit code {ended.get('exitCode')}{why}"


def _describe(one: Object, reason: str, message: str) -> str:
    return show_line(f"{reason} of container {one.get('name')}{f': {message}' if message else ''}")


def show_line(text: str) -> str:
    """A text of somebody else's on one line, without what a terminal would obey, of at most 300 letters."""
    line = " ".join(text.split())
    line = "".join(letter for letter in line if letter.isprintable()).rstrip(": ")
    return line if len(line) <= _MOST_LETTERS else f"{line[: _MOST_LETTERS - 1]}…"
