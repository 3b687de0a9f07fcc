"""What a report tells: plain values, made from whatever ran (a pipeline, a command, a notebook)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

State = Literal["SUCCEEDED", "FAILED", "SKIPPED", "RUNNING", "PENDING", "CANCELED"]

HUGGING_FACE = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step of the run.

    Attributes:
        name: For people.
        state: How it ended, or where it is.
        seconds: It took; None when it did not run, or nobody knows.
        note: A few words, for instance why it was skipped.
    """

    name: str
    state: State
    seconds: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class SourceReport:
    """The model as it was published.

    Attributes:
        uri: `hf://org/name`, `s3://bucket/prefix` or `file:///dir`.
        commit_hash: None where the source has none.
        files: How many.
        size_bytes: Sum of their sizes.
        hub: The Hub's address; pages of huggingface.co are linked, those of a mirror are not known.
    """

    uri: str
    commit_hash: str | None
    files: int
    size_bytes: int
    hub: str = HUGGING_FACE


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One layer of the image.

    Attributes:
        title: A few words.
        size_bytes: As stored.
        reused: Whether no byte of it was sent.
    """

    title: str
    size_bytes: int
    reused: bool


@dataclass(frozen=True, slots=True)
class ImageReport:
    """The image as it was pushed.

    Attributes:
        reference: `registry/repository@sha256:…`.
        tags: That name it.
        layers: Bottom first.
        bytes_read: Taken from the source.
        bytes_uploaded: Sent to the registry.
        bytes_reused: Were there.
    """

    reference: str
    tags: tuple[str, ...] = ()
    layers: tuple[LayerReport, ...] = ()
    bytes_read: int = 0
    bytes_uploaded: int = 0
    bytes_reused: int = 0


@dataclass(frozen=True, slots=True)
class VersionReport:
    """The image in the Model Registry.

    Attributes:
        registered_model: Name.
        version: Name.
        ids: What the Model Registry calls them, by `registered_model`, `model_version`, `model_artifact`.
        created: Which of these this run made.
    """

    registered_model: str
    version: str
    ids: Mapping[str, str] = field(default_factory=dict)
    created: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PatchReport:
    """The manifest in git.

    Attributes:
        path: Of the manifest.
        branch: That Argo CD watches.
        repository: Its address; a user and password in it are never shown.
        commit: That carries the image; None when the manifest had it without a commit of ours.
        changed: Whether this run pushed that commit.
        diff: Unified diff of it; empty when nothing was changed.
    """

    path: str
    branch: str
    repository: str
    commit: str | None = None
    changed: bool = False
    diff: str = ""


@dataclass(frozen=True, slots=True)
class FailureReport:
    """Why the run failed.

    Attributes:
        step: That failed.
        message: What happened, one sentence or more lines.
        hint: What to do; None when nobody knows.
        exit_code: 2 when the input is at fault, 1 for anything else, None when it is not known.
    """

    step: str
    message: str
    hint: str | None = None
    exit_code: int | None = None


class MetricReport(NamedTuple):
    """A number that a training measured.

    Attributes:
        value: Measured.
        floor: It must not be below; None where the spec sets none.
        ok: Whether it is not.
    """

    value: float
    floor: float | None = None
    ok: bool = True


@dataclass(frozen=True, slots=True)
class Report:
    """A run, as far as it came; what was not reached or is not known is None or empty.

    Attributes:
        title: Of the page.
        state: How it ended.
        sentence: What happened, one line; for SKIPPED the reason.
        steps: In the order in which they ran.
        source: The model.
        image: The image.
        version: In the Model Registry.
        patch: In git.
        failure: Of a run that FAILED.
        metrics: Of a retraining, by name.
        links: More places to go: label and http(s) address.
    """

    title: str
    state: State
    sentence: str
    steps: tuple[StepReport, ...] = ()
    source: SourceReport | None = None
    image: ImageReport | None = None
    version: VersionReport | None = None
    patch: PatchReport | None = None
    failure: FailureReport | None = None
    metrics: Mapping[str, MetricReport] = field(default_factory=dict)
    links: tuple[tuple[str, str], ...] = ()
