"""Pipelines and their versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import PurePath
from typing import Any, Final

from modelcar_sandbox.collation import fold
from modelcar_sandbox.kfp.call import Backend, Call, new_id, text, without_empty
from modelcar_sandbox.kfp.listing import page
from modelcar_sandbox.kfp.pipeline_spec import can_be_pipeline, read_spec
from modelcar_sandbox.kfp.refusal import Code, Refusal, UploadRefusal, internal, invalid, not_found, taken
from modelcar_sandbox.kfp.store import Kind, Record, Taken

LONGEST_PIPELINE_NAME: Final = 128
LONGEST_VERSION_NAME: Final = 127
FAILED_PIPELINE: Final = "Failed to create a pipeline and a pipeline version"
FAILED_VERSION: Final = "Failed to create a pipeline version"


def upload_pipeline(call: Call) -> dict[str, Any]:
    """Make a pipeline and its first version, which has the same name: both or none."""
    content = _uploaded(call, "Failed to read pipeline from file", "Failed to read a pipeline spec file")
    name = _name(call)
    _check_length("Pipeline", name, LONGEST_PIPELINE_NAME)
    display_name = call.query.get("display_name") or name
    pipeline = _pipeline(call, name, display_name, call.query.get("description", ""))
    with _refused_as_upload(FAILED_PIPELINE):
        version = _version(call, pipeline.id, name, display_name, read_spec(content))
        if len(name.encode()) > LONGEST_VERSION_NAME:
            raise UploadRefusal(HTTPStatus.INTERNAL_SERVER_ERROR, FAILED_PIPELINE)
        call.backend.store.add(pipeline, version)
    return pipeline.document


def create_pipeline(call: Call) -> dict[str, Any]:
    """Make a pipeline without versions."""
    members = call.members(frozenset({"display_name", "name", "description", "namespace"}))
    display_name = text(members, "display_name") or text(members, "name")
    name = text(members, "name") or display_name
    if not name:
        raise invalid("Failed to create a pipeline due to server error: Invalid input error: name is required")
    if len(name.encode()) > LONGEST_PIPELINE_NAME:
        raise internal(f"Invalid input error: Pipeline.Name length cannot exceed {LONGEST_PIPELINE_NAME}")
    pipeline = _pipeline(call, name, display_name, text(members, "description"))
    try:
        call.backend.store.add(pipeline)
    except Taken as error:
        raise taken("pipeline", name) from error
    return pipeline.document


def upload_version(call: Call) -> dict[str, Any]:
    """Make one more version of a pipeline that is there; every mistake but a taken name is 400."""
    content = _uploaded(call, FAILED_VERSION, FAILED_VERSION)
    pipeline_id = call.query.get("pipelineid", "")
    name = _name(call)
    _check_length("PipelineVersion", name, LONGEST_VERSION_NAME)
    if call.backend.store.get(Kind.PIPELINE, pipeline_id) is None:
        raise UploadRefusal(HTTPStatus.BAD_REQUEST, FAILED_VERSION)
    with _refused_as_upload(FAILED_VERSION):
        version = _version(call, pipeline_id, name, call.query.get("display_name") or name, read_spec(content))
        call.backend.store.add(version)
    return version.document


def list_pipelines(call: Call) -> dict[str, Any]:
    """List pipelines."""
    return page(Kind.PIPELINE, call.backend.store.all(Kind.PIPELINE), call.query, "pipelines")


def get_pipeline(call: Call) -> dict[str, Any]:
    """Get a pipeline."""
    return call.backend.there(Kind.PIPELINE, call.path["pipeline"]).document


def find_pipeline(call: Call) -> dict[str, Any]:
    """Get a pipeline by its name, as the database compares names."""
    wanted = fold(call.path["name"])
    for pipeline in call.backend.store.all(Kind.PIPELINE):
        if fold(pipeline.document["name"]) == wanted:
            return pipeline.document
    raise not_found(Kind.PIPELINE, call.path["name"])


def delete_pipeline(call: Call) -> dict[str, Any]:
    """Delete a pipeline without versions, or with `cascade=true` one with all of them."""
    store, pipeline_id = call.backend.store, call.path["pipeline"]
    call.backend.there(Kind.PIPELINE, pipeline_id)
    versions = store.all(Kind.VERSION, pipeline_id)
    if versions and call.query.get("cascade") != "true":
        raise invalid(
            f"Failed to delete pipeline with id {pipeline_id} as it has existing pipeline versions "
            f"(e.g. {versions[0].id}). Set cascade=true to delete all versions"
        )
    for version in versions:
        store.remove(Kind.VERSION, version.id)
    store.remove(Kind.PIPELINE, pipeline_id)
    return {}


def list_versions(call: Call) -> dict[str, Any]:
    """List the versions of a pipeline."""
    pipeline = call.backend.there(Kind.PIPELINE, call.path["pipeline"])
    versions = call.backend.store.all(Kind.VERSION, pipeline.id)
    return page(Kind.VERSION, versions, call.query, "pipeline_versions")


def get_version(call: Call) -> dict[str, Any]:
    """Get a version; the pipeline in the path is not looked at."""
    return call.backend.there(Kind.VERSION, call.path["version"]).document


def delete_version(call: Call) -> dict[str, Any]:
    """Delete a version, also one that recurring runs name: they keep what they were made with."""
    if not call.backend.store.remove(Kind.VERSION, call.path["version"]):
        raise not_found(Kind.VERSION, call.path["version"])
    return {}


def latest_version(backend: Backend, pipeline_id: str) -> Record:
    """The version that a run without version takes: of those of the last second the one with the highest id.

    Raises:
        Refusal: 404, there is no such pipeline, or it has no version.
    """
    backend.there(Kind.PIPELINE, pipeline_id)
    versions = backend.store.all(Kind.VERSION, pipeline_id)
    if not versions:
        raise not_found(Kind.VERSION, pipeline_id)
    return max(versions, key=lambda version: (version.document["created_at"], version.id))


def _uploaded(call: Call, missing: str, unusable: str) -> bytes:
    if call.file is None:
        raise UploadRefusal(HTTPStatus.BAD_REQUEST, missing)
    if not can_be_pipeline(call.file.filename or ""):
        raise UploadRefusal(HTTPStatus.BAD_REQUEST, unusable)
    content: bytes = call.file.read()
    return content


def _name(call: Call) -> str:
    file_name = (call.file.filename if call.file else None) or ""
    return call.query.get("name") or call.query.get("display_name") or PurePath(file_name).stem


def _check_length(what: str, name: str, longest: int) -> None:
    if len(name.encode()) > longest:
        message = f"Invalid input error: {what}.Name length cannot exceed {longest}\n"
        raise UploadRefusal(HTTPStatus.BAD_REQUEST, message, plain=True)


def _pipeline(call: Call, name: str, display_name: str, description: str) -> Record:
    identifier = new_id()
    document = {
        "pipeline_id": identifier,
        "display_name": display_name,
        "name": name,
        "description": description,
        "created_at": call.backend.now(),
    }
    return Record(Kind.PIPELINE, identifier, without_empty(document), unique_name=name)


def _version(call: Call, pipeline_id: str, name: str, display_name: str, spec: dict[str, Any]) -> Record:
    identifier = new_id()
    document = {
        "pipeline_id": pipeline_id,
        "pipeline_version_id": identifier,
        "display_name": display_name,
        "name": name,
        "description": call.query.get("description", ""),
        "created_at": call.backend.now(),
        "pipeline_spec": spec,
    }
    return Record(Kind.VERSION, identifier, without_empty(document), parent=pipeline_id, unique_name=name)


@contextmanager
def _refused_as_upload(failed: str) -> Iterator[None]:
    try:
        yield
    except Taken as error:
        raise UploadRefusal(HTTPStatus.CONFLICT, failed) from error
    except Refusal as error:
        if error.code != Code.INVALID_ARGUMENT:
            raise
        raise UploadRefusal(HTTPStatus.BAD_REQUEST, error.message) from error
