"""The step that brings a model into a volume, for steps that need files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from modelcar.display import LineProgress
from modelcar.quantities import format_bytes
from modelcar.retry import CONTACT_ATTEMPTS, retry
from modelcar.sources.open import open_source
from modelcar.spec import ModelSpec
from modelcar.steps.fields import read_part
from modelcar.steps.record import write_record
from modelcar.steps.running import say, step
from modelcar.workspace.download import download


class Downloaded(NamedTuple):
    """What later steps are given.

    Attributes:
        directory: `file:///…`, a source for the push.
        record: For the report.
    """

    directory: str
    record: str


@step("Download")
def download_model(spec: str, fields: dict[str, str], *, directory: str) -> Downloaded:
    """Download a model into a directory, checked against what the source published; go on where a killed one stopped.

    Args:
        spec: A PromotionSpec as YAML or JSON, of which `model` counts; blank when the fields say it.
        fields: Single fields; `revision` is the commit that the first step found.
        directory: Absolute path in a volume; holds the model and nothing else afterwards.

    Raises:
        SystemExit: See `modelcar.steps.running.step`.
    """
    started = time.monotonic()
    model: ModelSpec = read_part(spec, ("model",), fields)["model"]
    source = open_source(
        model.source,
        revision=model.revision,
        allow=model.allow,
        ignore=model.ignore,
        allow_pickle=model.allow_pickle,
    )
    snapshot = retry(source.snapshot, attempts=CONTACT_ATTEMPTS)
    say(f"downloading {len(snapshot.files)} files, {format_bytes(snapshot.size_bytes)}, to {directory}")
    done = download(
        snapshot,
        source,
        Path(directory),
        allow_pickle=model.allow_pickle,
        progress=LineProgress(snapshot.size_bytes, say, done="downloaded"),
    )
    say(f"{format_bytes(done.bytes_read)} read, {format_bytes(done.bytes_reused)} were there")
    record = write_record(started, bytes_read=done.bytes_read, bytes_reused=done.bytes_reused)
    return Downloaded(done.directory.as_uri(), record)
