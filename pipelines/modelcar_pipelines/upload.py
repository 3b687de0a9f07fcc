"""Bring a compiled pipeline to a server: made once, versions named by content.

Which version runs where none is named is decided by the server, by time of creation in whole seconds (of one second, by
an id that is random). So the newest version is made to be the one that was uploaded last, and alone in its second: who
finds another content beside his own waits until the second is over and looks again; the first to do so uploads anew,
and the others see that. Nothing is ever deleted: schedules may be pinned to a version.
"""

from __future__ import annotations

import logging
import random
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modelcar.errors import PromotionError
from modelcar_pipelines.catalog import Compiled
from modelcar_pipelines.connection import Server
from modelcar_pipelines.failures import Conflict
from modelcar_pipelines.versions import Version, find_pipeline, list_versions, read_version

ATTEMPTS = 10
LONGEST_LAG_S = 30.0
"""How far a server's clock may be behind its own newest version, as with several servers on one database."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What became of an upload.

    Attributes:
        version: That has the content; it runs where none is named, unless somebody uploaded another one after it.
        created: Whether this call made it.
    """

    version: Version
    created: bool


def upload(server: Server, compiled: Compiled, wait: Callable[[float], None] = time.sleep) -> Uploaded:
    """Make a compiled pipeline the latest version on a server; nothing is sent when it is that already.

    Content that an older version has is put up again, under its name with a counter. Two that upload the same content
    at once end with one version; of different contents uploaded at once, one ends as the latest.

    Args:
        server: Where to.
        compiled: What.
        wait: Given seconds, waits.

    Raises:
        PromotionError: The server refuses it; its clock is far behind its newest version; or others were faster every
            time.
    """
    pipeline_id = _ensure_pipeline(server, compiled)
    made: Version | None = None
    before: list[Version] = []  # what was there when we uploaded last
    waited_for: list[Version] = []
    for _ in range(ATTEMPTS):
        versions = list_versions(server, pipeline_id)
        newest = [one for one in versions if one.created_at == versions[0].created_at]
        ours = [one for one in newest if _has_content(one, compiled)]
        if newest and ours == newest:
            return Uploaded(ours[0], created=made is not None)
        if made is not None and not ours and not set(newest) <= set(before):
            return Uploaded(made, created=True)  # somebody uploaded another content after us: that is the latest now
        if (ours or made is not None) and newest != waited_for:
            wait(_until_later(newest[0], made))
            waited_for = newest
            continue
        before = versions
        made = _upload_version(server, compiled, pipeline_id, _free_name(compiled, versions)) or made
    raise PromotionError(
        f"{compiled.name} could not be made the latest version in {ATTEMPTS} attempts",
        hint="Somebody else uploads it all the time; run it again later.",
    )


def _until_later(newest: Version, made: Version | None) -> float:
    """Seconds until the server's clock is past its newest version; the jitter parts two that wait for one second.

    Raises:
        PromotionError: That is far away.
    """
    lag_s = (newest.created_at - made.created_at).total_seconds() if made is not None else 0.0
    if lag_s > LONGEST_LAG_S:
        raise PromotionError(
            f"the server's clock is {lag_s:.0f} s behind version {newest.name}, which stays the latest until then",
            hint="Set the clock, or delete that version if no schedule needs it, and upload again.",
        )
    return lag_s + 1 + random.random()  # noqa: S311 - jitter, not cryptography


def _ensure_pipeline(server: Server, compiled: Compiled) -> str:
    found = find_pipeline(server, compiled.name)
    if found is not None:
        return found
    info = compiled.file.spec["pipelineInfo"]
    body = {"display_name": compiled.name, "name": compiled.name, "description": info.get("description", "")}
    try:
        made = server.call(server.pipelines.pipeline_service_create_pipeline, body)
    except Conflict:
        found = find_pipeline(server, compiled.name)
        if found is None:
            raise
        return found
    return str(made.pipeline_id)


def _upload_version(server: Server, compiled: Compiled, pipeline_id: str, name: str) -> Version | None:
    """The new version; None when somebody was faster with that name."""
    with tempfile.TemporaryDirectory(prefix="modelcar-upload-") as directory:
        path = Path(directory) / f"{compiled.name}.yaml"
        path.write_text(compiled.text, encoding="utf-8")
        try:
            made = server.call(
                server.uploads.upload_pipeline_version, str(path), name=name, display_name=name, pipelineid=pipeline_id
            )
        except Conflict:
            log.debug("%s of %s was uploaded by somebody else", name, compiled.name)
            return None
    return read_version(made)


def _has_content(version: Version, compiled: Compiled) -> bool:
    return re.fullmatch(rf"{re.escape(compiled.content_name)}(-[0-9]+)?", version.name) is not None


def _free_name(compiled: Compiled, versions: list[Version]) -> str:
    """The content's name, with a counter when an older version has it."""
    taken = {one.name for one in versions}
    name, count = compiled.content_name, 1
    while name in taken:
        count += 1
        name = f"{compiled.content_name}-{count}"
    return name
