"""Pipelines on a server, and their versions: what is there, and which version runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelcar.errors import InvalidInput
from modelcar_pipelines.catalog import PIPELINES
from modelcar_pipelines.connection import Server
from modelcar_pipelines.failures import NotFound

PAGE = 100


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a pipeline on a server.

    Attributes:
        pipeline_id: Of the pipeline.
        version_id: Of the version.
        name: Of the version.
        created_at: Whole seconds, by the server's clock.
    """

    pipeline_id: str
    version_id: str
    name: str
    created_at: datetime


def find_pipeline(server: Server, name: str) -> str | None:
    """The id of a pipeline; None when the server has none of that name."""
    try:
        found = server.call(server.pipelines.pipeline_service_get_pipeline_by_name, name)
    except NotFound:
        return None
    return str(found.pipeline_id)


def find_pipeline_name(server: Server, pipeline_id: str) -> str:
    """Name of a pipeline; empty when somebody has deleted it."""
    try:
        return str(server.call(server.pipelines.pipeline_service_get_pipeline, pipeline_id).display_name)
    except NotFound:
        return ""


def find_version_name(server: Server, pipeline_id: str, version_id: str) -> str:
    """Name of a version; empty when somebody has deleted it."""
    try:
        found = server.call(server.pipelines.pipeline_service_get_pipeline_version, pipeline_id, version_id)
    except NotFound:
        return ""
    return read_version(found).name


def list_versions(server: Server, pipeline_id: str) -> list[Version]:
    """All versions of a pipeline; the first is the one that runs where none is named."""
    versions, token = _read_page(server, pipeline_id, "")
    while token:
        more, token = _read_page(server, pipeline_id, token)
        versions += more
    return _newest_first(versions)


def list_pipelines(server: Server) -> list[tuple[str, Version | None]]:
    """All pipelines of the server by name, each with the version that runs where none is named."""
    found: list[tuple[str, Version | None]] = []
    token = ""
    while True:
        page = server.call(server.pipelines.pipeline_service_list_pipelines, page_token=token, page_size=PAGE)
        found += [(str(one.display_name), _find_latest(server, one.pipeline_id)) for one in page.pipelines or ()]
        token = page.next_page_token or ""
        if not token:
            return sorted(found, key=lambda entry: entry[0])


def find_version(server: Server, pipeline: str, wanted: str | None = None) -> Version:
    """The version of a pipeline that is named, or the one that runs where none is.

    Args:
        server: Where.
        pipeline: The pipeline's name there.
        wanted: The version's name or id; None for the latest.

    Raises:
        InvalidInput: There is no such pipeline, or no such version of it.
        PromotionError: The server does not answer.
    """
    pipeline_id = find_pipeline(server, pipeline)
    latest = _find_latest(server, pipeline_id) if pipeline_id is not None else None
    if pipeline_id is None or latest is None:
        raise _describe_missing(server, pipeline)
    if wanted is None:
        return latest
    for version in list_versions(server, pipeline_id):
        if wanted in (version.name, version.version_id):
            return version
    raise InvalidInput(
        f"{pipeline} has no version {wanted}",
        hint=f"The latest is {latest.name}; leave the version out to run whatever is the latest.",
    )


def _find_latest(server: Server, pipeline_id: str) -> Version | None:
    versions, _ = _read_page(server, pipeline_id, "")
    return _newest_first(versions)[0] if versions else None


def _read_page(server: Server, pipeline_id: str, token: str) -> tuple[list[Version], str]:
    """Versions, newest first but for those of one second, and what asks for more; empty when there are no more."""
    page = server.call(
        server.pipelines.pipeline_service_list_pipeline_versions,
        pipeline_id,
        page_token=token,
        page_size=PAGE,
        sort_by="created_at desc",
    )
    return [read_version(one) for one in page.pipeline_versions or ()], page.next_page_token or ""


def _newest_first(versions: list[Version]) -> list[Version]:
    """In the order in which the server prefers them: of one second, by id."""
    return sorted(versions, key=lambda one: (one.created_at, one.version_id), reverse=True)


def _describe_missing(server: Server, name: str) -> InvalidInput:
    """That the server has no such pipeline, as an error to raise: one of ours can be uploaded, another is a slip."""
    ours = f"modelcar pipeline upload {name}"
    return InvalidInput(
        f"{server.url} has no pipeline {name}",
        hint=ours
        if name in PIPELINES
        else f"modelcar pipeline list says what it has; ours are {', '.join(PIPELINES)}.",
    )


def read_spec(server: Server, version: Version) -> dict[str, Any]:
    """The PipelineSpec of a version, as an object."""
    found = server.call(server.pipelines.pipeline_service_get_pipeline_version, version.pipeline_id, version.version_id)
    spec: dict[str, Any] = found.pipeline_spec
    inner: dict[str, Any] = spec.get("pipeline_spec", spec)  # with a platform spec beside it
    return inner


def read_version(answer: Any) -> Version:
    """A version as a server's answer tells it."""
    return Version(
        str(answer.pipeline_id),
        str(answer.pipeline_version_id),
        str(answer.display_name),
        answer.created_at,
    )
