"""Entities in one SQLite file: every change is one transaction, and the database itself refuses a second of a kind.

A killed process loses nothing that was answered: SQLite's write-ahead log is read when the file is opened again.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from modelcar_sandbox.collation import fold, resembles
from modelcar_sandbox.model_registry.entities import KINDS, Draft, Entity, Kind, Space
from modelcar_sandbox.model_registry.paging import Page, Window, write_token
from modelcar_sandbox.model_registry.refusal import Refusal, too_long

LONGEST_NAME = 255
BUSY_TIMEOUT_S = 60.0

# name_key and external_key are what the other database's collation makes of the text: unique there, unique here.
_TABLE = """
CREATE TABLE IF NOT EXISTS {space} (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    stored_name TEXT NOT NULL,
    name_key TEXT NOT NULL,
    external_id TEXT,
    external_key TEXT UNIQUE,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    fields TEXT NOT NULL,
    properties TEXT NOT NULL,
    UNIQUE (kind, name_key)
);
CREATE TABLE IF NOT EXISTS {space}_parent (
    parent INTEGER NOT NULL,
    child INTEGER NOT NULL REFERENCES {space} (id),
    PRIMARY KEY (parent, child)
);
"""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entities are wanted: all conditions hold.

    Attributes:
        kinds: Any of these, all of one space.
        parent: Id of the entity that they belong to.
        name_like: What the stored name must resemble, with SQL's wildcards.
        external_id: Equal to this.
        keep: What else must be true.
        window: Order and page.
    """

    kinds: Sequence[Kind]
    parent: int | None = None
    name_like: str | None = None
    external_id: str | None = None
    keep: Callable[[Entity], bool] | None = None
    window: Window = field(default_factory=Window)


class Store:
    """What the registry knows. Safe for threads, and for a second process on the same directory."""

    def __init__(self, directory: Path) -> None:
        """Open or make the database.

        Args:
            directory: Made if it is not there; the database is in it and nothing else.

        Raises:
            OSError: The directory cannot be made.
            sqlite3.Error: The file is no database, or cannot be written.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self._file = directory / "model-registry.sqlite"
        self._writing = threading.Lock()
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            for space in Space:
                connection.executescript(_TABLE.format(space=space.value))

    def create(self, kind: Kind, draft: Draft, *, stored_name: str, parent: int | None = None) -> Entity:
        """Add an entity.

        Args:
            kind: What it is.
            draft: What it holds.
            stored_name: Its name, with what comes before it.
            parent: The entity that it belongs to.

        Returns:
            The entity as stored.

        Raises:
            Refusal: 409, the name or the external id is taken; 500, the name is over 255 characters.
        """
        if len(stored_name) > LONGEST_NAME:
            raise too_long("name")
        now = _now_ms()
        external = draft.external_id
        row = {
            "kind": kind.title,
            "stored_name": stored_name,
            "name_key": fold(stored_name),
            "external_id": external,
            "external_key": None if external is None else fold(external),
            "created_ms": now,
            "updated_ms": now,
            "fields": json.dumps(dict(draft.fields)),
            "properties": json.dumps(draft.properties or {}),
        }
        with self._change(kind, draft.name or stored_name) as connection:
            places = ", ".join(f":{column}" for column in row)
            insert = f"INSERT INTO {kind.space.value} ({', '.join(row)}) VALUES ({places})"  # noqa: S608
            made = connection.execute(insert, row).lastrowid or 0
            _attach(connection, kind, parent, made)
            entity = _get(connection, (kind,), made)
        if entity is None:
            raise LookupError(f"The {kind.title} {made} was written and is not there")
        return entity

    def update(self, kind: Kind, identifier: int, draft: Draft, *, parent: int | None = None) -> Entity | None:
        """Change an entity: what the draft does not give stays; properties are replaced as a whole.

        Args:
            kind: What it is.
            identifier: Its id.
            draft: What is to change; the name never does.
            parent: One more entity that it belongs to from now on.

        Returns:
            The entity as stored now, or None if there is none.

        Raises:
            Refusal: 409, the external id is taken.
        """
        with self._change(kind, draft.name or str(identifier)) as connection:
            before = _get(connection, (kind,), identifier)
            if before is None:
                return None
            external = before.external_id if draft.external_id is None else draft.external_id
            properties = before.properties if draft.properties is None else draft.properties
            connection.execute(
                f"UPDATE {kind.space.value} SET external_id = ?, external_key = ?, updated_ms = ?, fields = ?,"  # noqa: S608
                " properties = ? WHERE id = ?",
                (
                    external,
                    None if external is None else fold(external),
                    max(_now_ms(), before.updated_ms),
                    json.dumps({**before.fields, **draft.fields}),
                    json.dumps(properties),
                    identifier,
                ),
            )
            _attach(connection, kind, parent, identifier)
            return _get(connection, (kind,), identifier)

    def get(self, kinds: Sequence[Kind], identifier: int) -> Entity | None:
        """The entity of one of these kinds with this id, or None."""
        with closing(self._connect()) as connection:
            return _get(connection, kinds, identifier)

    def select(self, selection: Selection) -> Page:
        """The entities that meet all conditions, in order, one page of them."""
        window = selection.window
        items: list[Entity] = []
        more = False
        with closing(self._connect()) as connection:
            for row in connection.execute(*_select(selection)):
                entity = _entity(row)
                if selection.keep is None or selection.keep(entity):
                    more = 0 < window.size == len(items)
                    if more:
                        break
                    items.append(entity)
        token = write_token(items[-1], window.column) if more else ""
        return Page(tuple(items), token, window.size)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.create_function("resembles", 2, resembles, deterministic=True)
        return connection

    @contextmanager
    def _change(self, kind: Kind, name: str) -> Iterator[sqlite3.Connection]:
        """One transaction. Threads queue at a lock: SQLite itself would have them poll."""
        with self._writing, closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except sqlite3.IntegrityError as error:
                message = f"{kind.title} with name {name} already exists: conflict"
                raise Refusal(HTTPStatus.CONFLICT, message) from error
            connection.execute("COMMIT")


def _attach(connection: sqlite3.Connection, kind: Kind, parent: int | None, child: int) -> None:
    if parent is not None:
        table = f"{kind.space.value}_parent"
        connection.execute(f"INSERT OR IGNORE INTO {table} VALUES (?, ?)", (parent, child))  # noqa: S608


def _get(connection: sqlite3.Connection, kinds: Sequence[Kind], identifier: int) -> Entity | None:
    table = kinds[0].space.value
    row = connection.execute(f"SELECT * FROM {table} WHERE id = ?", (identifier,)).fetchone()  # noqa: S608
    entity = None if row is None else _entity(row)
    return entity if entity and entity.kind in kinds else None


def _select(selection: Selection) -> tuple[str, list[Any]]:
    """The statement and its arguments. Only names of tables and columns of ours are in its text."""
    table, window = selection.kinds[0].space.value, selection.window
    where = [f"kind IN ({', '.join('?' for _ in selection.kinds)})"]
    arguments: list[Any] = [kind.title for kind in selection.kinds]
    if selection.parent is not None:
        where.append(f"id IN (SELECT child FROM {table}_parent WHERE parent = ?)")  # noqa: S608
        arguments.append(selection.parent)
    if selection.name_like is not None:
        where.append("resembles(stored_name, ?)")
        arguments.append(selection.name_like)
    if selection.external_id is not None:
        where.append("external_key = ?")
        arguments.append(fold(selection.external_id))
    if window.after is not None:
        where.append(f"({window.column}, id) {'<' if window.descending else '>'} (?, ?)")
        arguments.extend(window.after)
    way = "DESC" if window.descending else "ASC"
    order = f"{window.column} {way}, id {way}"
    return f"SELECT * FROM {table} WHERE {' AND '.join(where)} ORDER BY {order}", arguments  # noqa: S608


def _entity(row: sqlite3.Row) -> Entity:
    fields: Mapping[str, Any] = json.loads(row["fields"])
    return Entity(
        kind=KINDS[row["kind"]],
        id=row["id"],
        stored_name=row["stored_name"],
        external_id=row["external_id"],
        created_ms=row["created_ms"],
        updated_ms=row["updated_ms"],
        fields=fields,
        properties=json.loads(row["properties"]),
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
