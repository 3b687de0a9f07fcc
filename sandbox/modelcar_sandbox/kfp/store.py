"""What the server knows, in one SQLite file: every change is one transaction, and the database keeps names unique.

A killed process loses nothing that was answered. One server at a time uses a directory.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from modelcar_sandbox.collation import fold

BUSY_TIMEOUT_S = 60.0

# unique_key is what the other database's collation makes of the name: unique there, unique here.
_TABLE = """
CREATE TABLE IF NOT EXISTS record (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    parent TEXT NOT NULL,
    unique_key TEXT UNIQUE,
    document TEXT NOT NULL,
    inner TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS record_of ON record (kind, parent);
"""


class Kind(StrEnum):
    """What there can be, in the words of error messages."""

    PIPELINE = "Pipeline"
    VERSION = "PipelineVersion"
    EXPERIMENT = "Experiment"
    RUN = "Run"
    RECURRING_RUN = "Job"


@dataclass(frozen=True)
class Record:
    """One of them.

    Attributes:
        kind: What it is.
        id: A UUID.
        document: What a GET answers.
        parent: Id of the pipeline of a version, and of the recurring run that made a run; else empty.
        unique_name: Nothing else of this kind and parent may have it; None when names are free.
        inner: What the server keeps for itself.
    """

    kind: Kind
    id: str
    document: dict[str, Any]
    parent: str = ""
    unique_name: str | None = None
    inner: dict[str, Any] = field(default_factory=dict)


class Taken(Exception):
    """A record was to be added whose name another one has."""


class Store:
    """All records. Safe for threads."""

    def __init__(self, directory: Path) -> None:
        """Open or make the database.

        Args:
            directory: Exists.

        Raises:
            sqlite3.Error: The file is no database, or cannot be written.
        """
        self._file = directory / "kfp.sqlite"
        self._writing = threading.Lock()
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_TABLE)

    def add(self, *records: Record) -> None:
        """Add all of these or none.

        Raises:
            Taken: One of the names is another record's.
        """
        with self._change() as connection:
            for record in records:
                name = record.unique_name
                key = None if name is None else f"{record.kind}/{record.parent}/{fold(name)}"
                row = (record.id, record.kind, record.parent, key, json.dumps(record.document))
                try:
                    connection.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", (*row, json.dumps(record.inner)))
                except sqlite3.IntegrityError as error:
                    raise Taken(name) from error

    def get(self, kind: Kind, identifier: str) -> Record | None:
        """The record of this kind and id, or None."""
        with closing(self._connect()) as connection:
            return _get(connection, kind, identifier)

    def all(self, kind: Kind, parent: str | None = None) -> list[Record]:
        """All records of a kind, or those of one parent, in no order."""
        where, arguments = (
            ("kind = ?", (kind.value,)) if parent is None else ("kind = ? AND parent = ?", (kind, parent))
        )
        with closing(self._connect()) as connection:
            rows = connection.execute(f"SELECT * FROM record WHERE {where}", arguments).fetchall()  # noqa: S608
        return [_record(row) for row in rows]

    def change(self, kind: Kind, identifier: str, edit: Callable[[Record], None]) -> Record | None:
        """Let `edit` change a record's document and inner part in place; nobody else changes it meanwhile.

        What `edit` raises leaves the record as it was.

        Returns:
            The record as it is now, or None if there is none.
        """
        with self._change() as connection:
            record = _get(connection, kind, identifier)
            if record is not None:
                edit(record)
                values = (json.dumps(record.document), json.dumps(record.inner), identifier)
                connection.execute("UPDATE record SET document = ?, inner = ? WHERE id = ?", values)
            return record

    def remove(self, kind: Kind, identifier: str) -> bool:
        """Delete a record; whether it was there."""
        with self._change() as connection:
            deleted = connection.execute("DELETE FROM record WHERE kind = ? AND id = ?", (kind, identifier))
            return deleted.rowcount == 1

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        connection.row_factory = sqlite3.Row
        return connection

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction. Threads queue at a lock: SQLite itself would have them poll."""
        with self._writing, closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")


def _get(connection: sqlite3.Connection, kind: Kind, identifier: str) -> Record | None:
    row = connection.execute("SELECT * FROM record WHERE kind = ? AND id = ?", (kind, identifier)).fetchone()
    return None if row is None else _record(row)


def _record(row: sqlite3.Row) -> Record:
    return Record(
        kind=Kind(row["kind"]),
        id=row["id"],
        parent=row["parent"],
        document=json.loads(row["document"]),
        inner=json.loads(row["inner"]),
    )
