"""What a Hub says of a repository: which commit a revision is, and which files a commit has.

Asked by the same session as the bytes, not by huggingface_hub: one rule for tokens and redirects, one set of trusted
certificates, and no side requests whose answers huggingface_hub would keep on a disk that may be read-only.

Mirrors (HF_ENDPOINT) differ, so nothing but the JSON is needed: their addresses may have a path before `/api`, their
`Link` headers may still name the Hub that they copy, and the files that they list may lack whatever is newer.

Source: https://huggingface.co/docs/hub/api
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from modelcar.reference import Digest
from modelcar.snapshot import ModelFile
from modelcar.sources.download import read_document
from modelcar.sources.refusal import Request

_SHA1 = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubRepository:
    """A repository on a Hub, and how it is asked.

    Attributes:
        endpoint: The Hub's address, without a slash at the end; may have a path.
        kind: "model" or "dataset".
        name: `org/name`.
        headers: To send: user agent and, perhaps, a token.
        request: For messages.
    """

    endpoint: str
    kind: str
    name: str
    headers: Mapping[str, str]
    request: Request

    def resolve(self, session: requests.Session, revision: str) -> tuple[str, bool]:
        """Which commit the revision is.

        Returns:
            The commit's hash, 40 hex digits, and whether the repository is gated.

        Raises:
            SourceError: No such repository or revision, no access, or no answer (retryable where that may help).
            ValueError: The answer makes no sense; AttributeError, too.
        """
        document, _ = self._ask(session, f"{self._api}/revision/{quote(revision, safe='')}")
        commit_hash = document.get("sha")
        if not isinstance(commit_hash, str) or not _SHA1.fullmatch(commit_hash):
            raise ValueError(commit_hash)
        return commit_hash, bool(document.get("gated"))

    def list_files(self, session: requests.Session, commit_hash: str) -> Iterator[ModelFile]:
        """All files of a commit, page by page.

        Raises:
            SourceError: As in `resolve`.
            ValueError: An entry makes no sense, or the pages go in a circle; KeyError and TypeError, too.
        """
        tree = f"{self._api}/tree/{commit_hash}"
        query, asked = "recursive=True&expand=False", set[str]()
        while query:
            asked.add(query)
            page, following = self._ask(session, f"{tree}?{query}")
            yield from filter(None, map(_parse_entry, page))
            # Only the cursor: whoever is named before it, a mirror's original for one, is not who is to be asked.
            query = urlsplit(following or "").query
            if query in asked:
                raise ValueError(query)

    def file_url(self, path: str, commit_hash: str) -> str:
        """Where the file's bytes are asked for."""
        prefix = "" if self.kind == "model" else f"{self.kind}s/"
        return f"{self.endpoint}/{prefix}{self.name}/resolve/{commit_hash}/{quote(path)}"

    @property
    def _api(self) -> str:
        return f"{self.endpoint}/api/{self.kind}s/{self.name}"

    def _ask(self, session: requests.Session, url: str) -> tuple[Any, str | None]:
        return read_document(session, url, self.headers, self.request)


def _parse_entry(entry: Any) -> ModelFile | None:
    """One line of a listing; None for a directory.

    Raises:
        ValueError: It makes no sense; KeyError and TypeError, too.
    """
    if entry["type"] != "file":
        return None
    path, size, lfs = entry["path"], entry["size"], entry.get("lfs")
    if not isinstance(path, str) or type(size) is not int or size < 0:
        raise ValueError(path)
    if lfs is not None:
        # The git id of an LFS file is that of its pointer, not of the content; so it is where Xet keeps the content.
        return ModelFile(path, size, sha256=Digest.parse(f"sha256:{lfs['oid']}"))
    if not _SHA1.fullmatch(entry["oid"]):
        raise ValueError(path)
    return ModelFile(path, size, git_blob_id=entry["oid"])
