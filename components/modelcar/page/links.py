"""Pages that people can open, as far as the addresses tell them."""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import quote, urlsplit

from modelcar.page.report import HUGGING_FACE, ImageReport, PatchReport, SourceReport

_escape = partial(quote, errors="replace")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_FORGES = (
    (re.compile(r"(^|\.)github(\.|$)"), "/commit/"),
    (re.compile(r"(^|\.)gitlab(\.|$)"), "/-/commit/"),
    (re.compile(r"(^|\.)(gitea|forgejo|codeberg)(\.|$)"), "/commit/"),
)
"""Host names, and how each kind of forge names the page of a commit below that of a repository."""


def hub_page(source: SourceReport) -> str | None:
    """The commit's page on huggingface.co; None for other sources."""
    repository = source.uri.removeprefix("hf://")
    if repository == source.uri or source.hub.rstrip("/") != HUGGING_FACE:
        return None
    page = f"{HUGGING_FACE}/{_escape(repository)}"
    return f"{page}/commit/{source.commit_hash}" if _is_commit(source.commit_hash) else page


def image_page(image: ImageReport) -> str | None:
    """The image's page, for quay.io; other registries' are not known."""
    name, _, digest = image.reference.partition("@")
    if not name.startswith("quay.io/") or not digest:
        return None
    return f"https://quay.io/repository/{_escape(name.removeprefix('quay.io/'))}/manifest/{_escape(digest, safe=':')}"


def commit_page(patch: PatchReport) -> str | None:
    """The commit's page where an HTTP remote tells which forge it is: GitHub, GitLab or Gitea."""
    try:
        parts = urlsplit(patch.repository)
        host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not _is_commit(patch.commit):
        return None
    for pattern, infix in _FORGES:
        if pattern.search(host):
            path = _escape(parts.path.rstrip("/").removesuffix(".git"), safe="/%")
            return f"{parts.scheme}://{host}{port}{path}{infix}{patch.commit}"
    return None


def open_address(address: str) -> str | None:
    """The address, if a browser opens it as a page; None for anything else, such as code."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return address if parts.scheme in ("http", "https") and parts.hostname else None


def without_login(address: str) -> str:
    """An address to show, without a password, and for HTTP without a user, that may be in it."""
    return re.sub(r"^(\w+://[^/@:]*):[^/@]*@", r"\1@", re.sub(r"^(https?://)[^/@]*@", r"\1", address))


def _is_commit(commit: str | None) -> bool:
    return commit is not None and _COMMIT.fullmatch(commit) is not None
