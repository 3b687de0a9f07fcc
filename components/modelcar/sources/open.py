"""Which source a URI means."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from modelcar.errors import InvalidReference
from modelcar.snapshot import Source
from modelcar.sources.hub import DATA_SCHEME, HubSource
from modelcar.sources.local import LocalSource
from modelcar.sources.objectstore import ObjectSource
from modelcar.sources.patterns import Patterns

_BUCKET_URL = re.compile(r"https?://([^/.]+)\.s3[^/]*\.amazonaws\.com/([^?#]*)")
_HUB_PAGE = "https://huggingface.co/"


def open_source(
    uri: str,
    *,
    revision: str | None = None,
    allow: Sequence[str] = (),
    ignore: Sequence[str] = (),
    allow_pickle: Sequence[str] = (),
) -> Source:
    """Make the source that a URI names; nothing is asked or read before `Source.snapshot`.

    Args:
        uri: `hf://org/name[@revision]`, `s3://bucket/prefix` or `file:///dir`.
        revision: Branch, tag or commit, when the URI names none.
        allow: Patterns of files to take; everything but the defaults of `modelcar.sources.patterns` when empty.
        ignore: Patterns of files to leave out.
        allow_pickle: Patterns of pickle files to take all the same.

    Raises:
        InvalidReference: An unknown scheme, a name that cannot be right, or a revision where there are none.
        InvalidInput: HF_ENDPOINT or what names an S3 server is not the address of one, or a variable of the
            environment cannot be what it should be.
    """
    patterns = Patterns(tuple(allow), tuple(ignore), tuple(allow_pickle))
    if uri.startswith("hf:"):
        return HubSource(uri, revision, patterns)
    if uri.startswith("s3:"):
        return _open_bucket(uri, revision, patterns)
    if not uri.startswith("file:"):
        # What follows a question mark may be a signature.
        raise InvalidReference(f"{uri.partition('?')[0]!r} is not the address of a model", hint=_suggestion(uri))
    return _open_directory(uri, revision, patterns)


def open_data(uri: str, *, revision: str | None = None) -> Source:
    """Make the source that the URI of a data set names; nothing is asked or read before `Source.snapshot`.

    Args:
        uri: `file:///dir` or `hf://datasets/org/name[@revision]`.
        revision: Branch, tag or commit, when the URI names none.

    Raises:
        InvalidReference: An unknown scheme, a name that cannot be right, or a revision where there are none.
        InvalidInput: HF_ENDPOINT is not the address of a server.
    """
    patterns = Patterns(is_model=False)
    if uri.startswith(DATA_SCHEME):
        return HubSource(uri, revision, patterns)
    if not uri.startswith("file:"):
        raise InvalidReference(
            f"{uri!r} is not the address of a data set",
            hint="Write file:///dir for a directory, or hf://datasets/org/name for a Hub.",
        )
    return _open_directory(uri, revision, patterns)


def _open_directory(uri: str, revision: str | None, patterns: Patterns) -> LocalSource:
    if revision is not None:
        raise InvalidReference(f"{uri!r} is a directory and has no revisions", hint=f"Leave {revision!r} out.")
    return LocalSource(uri, patterns)


def _open_bucket(uri: str, revision: str | None, patterns: Patterns) -> ObjectSource:
    if revision is not None:
        raise InvalidReference("a bucket has no revisions", hint=f"Leave {revision!r} out.")
    return ObjectSource(uri, patterns)


def _suggestion(uri: str) -> str:
    """What was probably meant."""
    if uri.startswith("oci:"):
        return "An image is a source of push, plan and promote; its files cannot be downloaded or trained from."
    if uri.startswith(_HUB_PAGE):
        return f"Write hf://{'/'.join(uri.removeprefix(_HUB_PAGE).split('/')[:2])}."
    if bucket := _BUCKET_URL.match(uri):
        return f"Write s3://{bucket[1]}/{bucket[2]}."
    if uri.startswith("s3a:"):
        return f"Write s3:{uri.removeprefix('s3a:')}."
    if uri.startswith("/"):
        return f"Write file://{uri} for a directory."
    if uri.startswith(("./", "../", "~")):
        return f"Write {Path(os.path.abspath(os.path.expanduser(uri))).as_uri()} for that directory."
    if "://" not in uri and uri.count("/") == 1 and not uri.startswith("."):
        return f"Write hf://{uri} for a model on a Hub, or file:// and an absolute path for a directory."
    return "Write hf://org/name for a model on a Hub, s3://bucket/prefix for a bucket, or file:///dir for a directory."
