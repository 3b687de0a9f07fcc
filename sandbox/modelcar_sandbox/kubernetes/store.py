"""What is kept: all objects, the number of the last change, and the changes that watches may still ask for."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from modelcar_sandbox.atomic import write_atomically
from modelcar_sandbox.kubernetes.kinds import Kind
from modelcar_sandbox.kubernetes.objects import with_version

Object = dict[str, Any]

REMEMBERED: Final = 1000
"""Changes that can still be asked for; a real server keeps those of some minutes."""


class Key(NamedTuple):
    """Which object; in the order in which lists have them."""

    resource: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object.

    Attributes:
        version: Its number, which is the object's new resourceVersion.
        key: Of the object.
        before: The object; None when it was made.
        after: The object; None when it is gone.
    """

    version: int
    key: Key
    before: Object | None
    after: Object | None


class Store:
    """Objects by key. Objects are never changed in place: whoever was given one keeps what he was given.

    Attributes:
        version: Number of the last change.
        oldest: Changes after this one are remembered.
        closed: Whether watches are to end.
    """

    def __init__(self, directory: Path, remembered: int = REMEMBERED) -> None:
        """Open what was kept in a directory, or begin.

        Raises:
            OSError: The directory cannot be made, or not be read.
            ValueError: There is something else where the objects should be.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / "objects.json"
        self._objects: dict[Key, Object] = {}
        self.version = 1
        if self._path.exists():
            self.version, self._objects = _read(self._path)
        self.oldest = self.version
        self.closed = False
        self._changes: deque[Change] = deque(maxlen=remembered)
        self._changed = threading.Condition(threading.RLock())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else reads or changes anything meanwhile."""
        with self._changed:
            yield

    def get(self, key: Key) -> Object | None:
        """An object; None when there is none."""
        return self._objects.get(key)

    def put(self, key: Key, one: Object | None) -> Object | None:
        """Keep an object, or with None remove it; it is in the file when this returns.

        Returns:
            The object with its new resourceVersion; of one that was removed, as it was, with that of its removal.
        """
        before = self._objects.get(key)
        self.version += 1
        if one is None:
            self._objects.pop(key, None)
        else:
            one = self._objects[key] = with_version(one, self.version)
        self._write()
        if len(self._changes) == self._changes.maxlen:
            self.oldest = self._changes[0].version
        self._changes.append(Change(self.version, key, before, one))
        self._changed.notify_all()
        return one if one is not None else before and with_version(before, self.version)

    def find(self, kind: Kind, namespace: str, version: int | None = None) -> list[tuple[Key, Object]]:
        """Objects of a kind, sorted.

        Args:
            kind: Of the objects.
            namespace: Empty for all.
            version: As they were after this change, which is remembered; None for now.
        """
        objects: Mapping[Key, Object] = self._objects if version is None else self._recall(version)
        wanted = [
            (key, one)
            for key, one in objects.items()
            if key.resource == kind.resource and (not namespace or key.namespace == namespace)
        ]
        return sorted(wanted, key=lambda entry: entry[0])

    def keys_in(self, namespace: str) -> list[Key]:
        """Of all that is in a namespace."""
        return [key for key in self._objects if key.namespace == namespace]

    def _recall(self, version: int) -> dict[Key, Object]:
        objects = dict(self._objects)
        for change in reversed(self._changes):
            if change.version <= version:
                break
            if change.before is None:
                objects.pop(change.key, None)
            else:
                objects[change.key] = change.before
        return objects

    def changes_after(self, version: int) -> list[Change]:
        """Remembered changes with higher numbers, in order."""
        return [change for change in self._changes if change.version > version]

    def wait(self, until: Callable[[], bool], timeout_s: float) -> bool:
        """Wait, with nobody kept out, until something holds or the time is over."""
        return self._changed.wait_for(until, timeout_s)

    def close(self) -> None:
        """End all watches."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def _write(self) -> None:
        objects = [{"key": key, "object": one} for key, one in self._objects.items()]
        write_atomically(self._path, json.dumps({"version": self.version, "objects": objects}))


def _read(path: Path) -> tuple[int, dict[Key, Object]]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return int(kept["version"]), {Key(*one["key"]): one["object"] for one in kept["objects"]}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{path} does not hold the objects of a Kubernetes API") from error
