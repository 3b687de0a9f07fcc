"""Experiments: the folders that runs are in."""

from __future__ import annotations

from typing import Any, Final

from modelcar_sandbox.kfp.call import Call, new_id, text, without_empty
from modelcar_sandbox.kfp.listing import page
from modelcar_sandbox.kfp.refusal import Code, Refusal, internal, invalid, not_found, taken
from modelcar_sandbox.kfp.store import Kind, Record, Store, Taken
from modelcar_sandbox.kfp.times import NEVER

DEFAULT_NAME: Final = "Default"
LONGEST_NAME: Final = 128
_MEMBERS: Final = frozenset(
    {"experiment_id", "display_name", "description", "created_at", "namespace", "storage_state", "last_run_created_at"}
)


def open_default(store: Store, now: str) -> str:
    """Id of the experiment of runs that name none; made when it is not there.

    Args:
        store: Where experiments are.
        now: When it is made.
    """
    for one in store.all(Kind.EXPERIMENT):
        if one.document["display_name"] == DEFAULT_NAME:
            return one.id
    about = "All runs created without specifying an experiment will be grouped here."
    default = _experiment(DEFAULT_NAME, about, now)
    store.add(default)
    return default.id


def create_experiment(call: Call) -> dict[str, Any]:
    """Make an experiment."""
    members = call.members(_MEMBERS)
    name = text(members, "display_name")
    if not name:
        raise internal("Failed to convert API experiment to model experiment: Experiment must have a non-empty name")
    if len(name.encode()) > LONGEST_NAME:
        raise invalid(f"Experiment.Name length cannot exceed {LONGEST_NAME}")
    made = _experiment(name, text(members, "description"), call.backend.now())
    try:
        call.backend.store.add(made)
    except Taken as error:
        raise taken("experiment", name) from error
    return made.document


def list_experiments(call: Call) -> dict[str, Any]:
    """List experiments."""
    return page(Kind.EXPERIMENT, call.backend.store.all(Kind.EXPERIMENT), call.query, "experiments")


def get_experiment(call: Call) -> dict[str, Any]:
    """Get an experiment."""
    return call.backend.there(Kind.EXPERIMENT, call.path["experiment"]).document


def delete_experiment(call: Call) -> dict[str, Any]:
    """Delete an experiment, not the default one; its runs stay."""
    identifier = call.path["experiment"]
    if identifier == call.backend.default_experiment:
        message = f"Failed to delete experiment {identifier}. The default experiment cannot be deleted"
        raise Refusal(Code.ABORTED, message)
    if not call.backend.store.remove(Kind.EXPERIMENT, identifier):
        raise not_found(Kind.EXPERIMENT, identifier)
    return {}


def archive_experiment(call: Call) -> dict[str, Any]:
    """Archive an experiment and its runs; its recurring runs are disabled. One that is not there is no error."""
    store, identifier = call.backend.store, call.path["experiment"]
    _store_as(store, Kind.EXPERIMENT, identifier, "ARCHIVED")
    for run in store.all(Kind.RUN):
        if run.document["experiment_id"] == identifier:
            _store_as(store, Kind.RUN, run.id, "ARCHIVED")
    for job in store.all(Kind.RECURRING_RUN):
        if job.document["experiment_id"] == identifier:
            store.change(Kind.RECURRING_RUN, job.id, lambda one: one.document.update(mode="DISABLE", status="DISABLED"))
    return {}


def unarchive_experiment(call: Call) -> dict[str, Any]:
    """Take an experiment back from the archive; its runs stay there."""
    _store_as(call.backend.store, Kind.EXPERIMENT, call.path["experiment"], "AVAILABLE")
    return {}


def _store_as(store: Store, kind: Kind, identifier: str, state: str) -> None:
    store.change(kind, identifier, lambda one: one.document.update(storage_state=state))


def _experiment(name: str, description: str, now: str) -> Record:
    identifier = new_id()
    document = {
        "experiment_id": identifier,
        "display_name": name,
        "description": description,
        "created_at": now,
        "storage_state": "AVAILABLE",
        "last_run_created_at": NEVER,
    }
    return Record(Kind.EXPERIMENT, identifier, without_empty(document), unique_name=name)
