"""Models on a Hugging Face Hub: `hf://org/name[@revision]`; and data sets, `hf://datasets/org/name[@revision]`.

huggingface_hub finds the token (HF_TOKEN, HF_TOKEN_PATH, or a stored login) and knows which names a repository can
have; everything else is asked by requests. So nothing is written to disk, whatever the Hub would answer:
huggingface_hub keeps what its side requests bring. The one exception is its own, a browser's login that it renews.

Files that the Hub keeps in Xet come through its HTTP bridge, as any other. hf_xet would fetch the parts of one file
side by side, but it holds Python's lock while it waits and keeps a cache on disk. Nor are several ranges of one file
read at once here: a registry takes a file as one stream, in order, so what came early of its end would have to wait in
memory. Several files are read at once instead, one for each layer that is on its way, and small ones ahead.

Source: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables,
https://huggingface.co/docs/hub/xet/legacy-git-lfs (the bridge)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import cast
from urllib.parse import urlsplit

from modelcar.errors import InvalidInput, InvalidReference, SourceAccessDenied, SourceError
from modelcar.snapshot import ModelFile, ModelSnapshot
from modelcar.sources.ahead import ReadAhead
from modelcar.sources.download import BRIDGE_LIMIT_BYTES, RemoteFile, check_access, new_session, read
from modelcar.sources.listing import HubRepository
from modelcar.sources.patterns import Patterns
from modelcar.sources.refusal import ENDPOINT_HINT, Request

SCHEME = "hf://"
DATA_SCHEME = "hf://datasets/"
DEFAULT_ENDPOINT = "https://huggingface.co"
DEFAULT_REVISION = "main"
USER_AGENT = "modelcar"

_OTHER_KINDS = ("datasets", "spaces", "kernels", "buckets")


class HubSource:
    """One repository of a model or a data set at one revision; the commit is resolved by `snapshot`."""

    def __init__(self, uri: str, revision: str | None, patterns: Patterns) -> None:
        """Read the URI; the Hub is not asked before `snapshot`.

        Args:
            uri: `hf://org/name`, with `@revision` only when `revision` is None.
            revision: Branch, tag or commit; `main` when there is none in the URI either.
            patterns: Which files to take; of a data set when they say so.

        Raises:
            InvalidReference: No repository can have this name, it is of another kind, or there are two revisions.
            InvalidInput: HF_ENDPOINT is not the address of a server.
        """
        self._kind, self._noun = ("model", "model") if patterns.is_model else ("dataset", "data set")
        scheme = SCHEME if patterns.is_model else DATA_SCHEME
        self._repository, written = _parse(uri, scheme)
        if written is not None and revision is not None and written != revision:
            raise InvalidReference(
                f"{uri!r} names a revision, and so does revision {revision!r}", hint="Keep one of them."
            )
        self._uri = scheme + self._repository
        self._revision = written or revision or DEFAULT_REVISION
        self._patterns = patterns
        self._endpoint = _endpoint()
        self._host = urlsplit(self._endpoint).netloc
        self._commit_hash: str | None = None
        self._session = new_session()
        self._ahead = ReadAhead(self._read)

    def snapshot(self) -> ModelSnapshot:
        """Resolve the revision and list the files of that commit; asks once whether a gated model may be read.

        Raises:
            SourceNotFound: No such repository or revision, or no file is left after the patterns.
            SourceAccessDenied: Gated without access, or a wrong token.
            UnsafeContent: A name that no image can hold, or a pickle.
            SourceError: The Hub cannot be reached or makes no sense.
        """
        remote = self._remote()
        with self._sense():
            commit_hash, gated = remote.resolve(self._session, self._revision)
            found = list(remote.list_files(self._session, commit_hash))
        self._commit_hash = commit_hash
        files, left_out = self._patterns.select(found, self._uri)
        self._ahead.close()
        self._ahead = ReadAhead(self._read, files)
        largest = max(files, key=lambda file: file.size_bytes)
        if gated:
            check_access(self._session, self._file(files[0], remote))
        if largest.size_bytes > BRIDGE_LIMIT_BYTES:  # told now, and not after hours of the other files
            with read(self._session, self._file(largest, remote), 0):
                pass
        return ModelSnapshot(self._uri, self._revision, commit_hash, files, left_out)

    def open(self, file: ModelFile, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        """Read a file from `offset` to its end; see `modelcar.snapshot.Source`."""
        if self._commit_hash is None:
            self.snapshot()
        return self._ahead.open(file, offset)

    @property
    def can_be_sampled(self) -> bool:
        """Not every mirror gives parts of files; see `modelcar.snapshot.Source`."""
        return False

    def close(self) -> None:
        """Fetch nothing ahead any more; see `modelcar.snapshot.Source`."""
        self._ahead.close()

    def _read(self, file: ModelFile, offset: int) -> AbstractContextManager[Iterator[bytes]]:
        return read(self._session, self._file(file, self._remote()), offset)

    def _remote(self) -> HubRepository:
        headers = self._headers()
        request = Request(self._host, self._repository, self._revision, "authorization" in headers, None, self._noun)
        return HubRepository(self._endpoint, self._kind, self._repository, headers, request)

    def _file(self, file: ModelFile, remote: HubRepository) -> RemoteFile:
        url = remote.file_url(file.path, cast(str, self._commit_hash))
        return RemoteFile(url, remote.headers, file.size_bytes, replace(remote.request, path=file.path))

    def _headers(self) -> dict[str, str]:
        """User agent and token, as huggingface_hub finds it at this moment.

        Raises:
            SourceError: HF_HUB_OFFLINE is set.
            SourceAccessDenied: The token cannot be read, or no token looks like it.
        """
        from huggingface_hub import constants
        from huggingface_hub.errors import OIDCError
        from huggingface_hub.utils import get_token_to_send  # type: ignore[attr-defined]  # public, by its documentation

        if constants.is_offline_mode():
            raise SourceError(f"HF_HUB_OFFLINE is set, and a {self._noun} on a Hub was asked for", hint="Unset it.")
        try:
            token = get_token_to_send(None)
        except (OSError, OIDCError, UnicodeDecodeError) as error:
            raise SourceAccessDenied(
                f"the Hugging Face token cannot be read: {error}", hint="Look at HF_TOKEN_PATH and HF_OIDC_RESOURCE."
            ) from error
        if token is None:
            return {"user-agent": USER_AGENT}
        if not (token.isascii() and token.isprintable()) or " " in token:
            # The HTTP libraries would put it into the text of their error.
            raise SourceAccessDenied(
                "the Hugging Face token has characters that no token has", hint="Look at HF_TOKEN and HF_TOKEN_PATH."
            )
        return {"user-agent": USER_AGENT, "authorization": f"Bearer {token}"}

    @contextmanager
    def _sense(self) -> Iterator[None]:
        """Turn what an answer without sense raises into our error."""
        try:
            yield
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidReference) as error:
            raise SourceError(f"{self._host} does not answer as a Hugging Face Hub does", hint=ENDPOINT_HINT) from error


def _parse(uri: str, scheme: str) -> tuple[str, str | None]:
    """Repository and revision of an `hf://` URI."""
    what = "model" if scheme == SCHEME else "data set"
    hint = f"Write {scheme}org/name, or {scheme}org/name@revision."
    repository, at, revision = uri.removeprefix(scheme).partition("@")
    if not uri.startswith(scheme) or (at and not revision):
        raise InvalidReference(f"{uri!r} does not name a {what}", hint=hint)
    kind, _, rest = repository.partition("/")
    if kind == "models":
        raise InvalidReference(f"{uri!r} is not how a model is named", hint=f"Write hf://{rest}.")
    if kind in _OTHER_KINDS:
        raise InvalidReference(
            f"{uri!r} names one of the Hub's {kind}", hint="Only models can be served: hf://org/name."
        )
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # as above

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise InvalidReference(f"{repository!r} in {uri!r} is not the name of a {what}", hint=hint) from error
    return repository, revision or None


def _endpoint() -> str:
    """HF_ENDPOINT as it is now; huggingface_hub alone would keep what it was when it was imported."""
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or DEFAULT_ENDPOINT
    try:
        parts = urlsplit(endpoint)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        has_password = parts.username is not None
    except ValueError:  # brackets, or a port that is no number
        is_address = has_password = False
    if has_password:
        raise InvalidInput("HF_ENDPOINT has a name or a password in it", hint="Leave it out; a token goes to HF_TOKEN.")
    if not is_address:
        raise InvalidInput("HF_ENDPOINT is not the address of a server", hint=f"Write it like {DEFAULT_ENDPOINT}.")
    return endpoint
