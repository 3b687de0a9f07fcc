"""The pages of a list, one after the other, are the list."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from modelcar_sandbox.collation import fold
from modelcar_sandbox.kfp.listing import page
from modelcar_sandbox.kfp.store import Kind, Record

NAMES = st.lists(st.text(alphabet="aAbé ", max_size=3), max_size=12)


def experiment(name: str) -> Record:
    identifier = str(uuid.uuid4())
    document = {"experiment_id": identifier, "display_name": name, "created_at": "2026-03-01T12:00:00Z"}
    return Record(Kind.EXPERIMENT, identifier, document)


@given(names=NAMES, size=st.integers(1, 5), order=st.sampled_from(["", "created_at", "name", "display_name desc"]))
def test_pages_hold_each_entry_once_and_in_order(names: list[str], size: int, order: str) -> None:
    records = [experiment(name) for name in names]
    found, token = [], ""
    while True:
        query = {"page_size": str(size), "page_token": token} if token else {"page_size": str(size), "sort_by": order}
        answer = page(Kind.EXPERIMENT, records, query, "experiments")
        found += answer.get("experiments", [])
        assert answer.get("total_size", 0) == len(records)
        token = answer.get("next_page_token", "")
        if not token:
            break
    keys = [(fold(one["display_name"]) if "name" in order else "", one["experiment_id"]) for one in found]
    assert keys == sorted(keys, reverse="desc" in order)
    assert sorted(one["experiment_id"] for one in found) == sorted(record.id for record in records)
