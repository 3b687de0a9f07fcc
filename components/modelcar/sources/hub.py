"""Models on a Hugging Face Hub: `hf://org/name[@revision]`; and data sets, `hf://datasets/org/name[@revision]`.

huggingface_hub gives metadata, addresses and headers (the token comes from HF_TOKEN, HF_TOKEN_PATH or a stored login);
requests reads the bytes, because that costs an eighth of the CPU. Nothing is written to disk.

Source: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from modelcar.errors import InvalidInput, InvalidReference, SourceAccessDenied, SourceError
from modelcar.reference import Digest
from modelcar.snapshot import ModelFile, ModelSnapshot
from modelcar.sources.download import RemoteFile, check_access, new_session, read
from modelcar.sources.patterns import Patterns
from modelcar.sources.refusal import ENDPOINT_HINT, Request, describe_outage, describe_refusal

if TYPE_CHECKING:
    from huggingface_hub import HfApi

SCHEME = "hf://"
DATA_SCHEME = "hf://datasets/"
DEFAULT_ENDPOINT = "https://huggingface.co"
DEFAULT_REVISION = "main"
TIMEOUT_S = 30.0

_SHA1 = re.compile(r"[0-9a-f]{40}")
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

    def snapshot(self) -> ModelSnapshot:
        """Resolve the revision and list the files of that commit; asks once whether a gated model may be read.

        Raises:
            SourceNotFound: No such repository or revision, or no file is left after the patterns.
            SourceAccessDenied: Gated without access, or a wrong token.
            UnsafeContent: A name that no image can hold, or a pickle.
            SourceError: The Hub cannot be reached or makes no sense.
        """
        headers = self._headers()
        with self._errors(has_token="authorization" in headers):
            info = self._api().repo_info(
                self._repository, repo_type=self._kind, revision=self._revision, timeout=TIMEOUT_S
            )
            commit_hash, gated = info.sha or "", bool(info.gated)
            if not _SHA1.fullmatch(commit_hash):
                raise ValueError(commit_hash)
            tree = f"{self._endpoint}/api/{self._kind}s/{self._repository}/tree/{commit_hash}"
            found = list(_list_files(tree, headers))
        self._commit_hash = commit_hash
        files, left_out = self._patterns.select(found, self._uri)
        if gated:
            check_access(self._session, self._remote(files[0], headers))
        return ModelSnapshot(self._uri, self._revision, commit_hash, files, left_out)

    def open(self, file: ModelFile, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        """Read a file from `offset` to its end; see `modelcar.snapshot.Source`."""
        if self._commit_hash is None:
            self.snapshot()
        return read(self._session, self._remote(file, self._headers()), offset)

    def _remote(self, file: ModelFile, headers: dict[str, str]) -> RemoteFile:
        from huggingface_hub import hf_hub_url

        commit_hash = cast(str, self._commit_hash)
        url = hf_hub_url(
            self._repository, file.path, repo_type=self._kind, revision=commit_hash, endpoint=self._endpoint
        )
        request = self._request(has_token="authorization" in headers, path=file.path)
        return RemoteFile(url, headers, file.size_bytes, request)

    def _request(self, *, has_token: bool, path: str | None = None) -> Request:
        return Request(self._host, self._repository, self._revision, has_token, path, self._noun)

    def _api(self) -> HfApi:
        _silence()
        from huggingface_hub import HfApi

        return HfApi(endpoint=self._endpoint, library_name="modelcar")

    def _headers(self) -> dict[str, str]:
        """User agent and token, as huggingface_hub finds it at this moment.

        Raises:
            SourceAccessDenied: The token cannot be read, or no token looks like it.
        """
        _silence()
        from huggingface_hub.errors import OIDCError
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public, by its documentation

        try:
            headers = build_hf_headers(library_name="modelcar")
        except (OSError, OIDCError, UnicodeDecodeError) as error:
            raise SourceAccessDenied(
                f"the Hugging Face token cannot be read: {error}", hint="Look at HF_TOKEN_PATH and HF_OIDC_RESOURCE."
            ) from error
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if not (token.isascii() and token.isprintable()) or " " in token:
            # The HTTP libraries would put it into the text of their error.
            raise SourceAccessDenied(
                "the Hugging Face token has characters that no token has", hint="Look at HF_TOKEN and HF_TOKEN_PATH."
            )
        return headers

    @contextmanager
    def _errors(self, *, has_token: bool) -> Iterator[None]:
        """Turn what huggingface_hub raises into our errors."""
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        try:
            yield
        except HfHubHTTPError as error:
            answer = error.response
            raise describe_refusal(answer.status_code, answer.headers, self._request(has_token=has_token)) from error
        except OfflineModeIsEnabled as error:
            raise SourceError(
                f"HF_HUB_OFFLINE is set, and a {self._noun} on a Hub was asked for", hint="Unset it."
            ) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise describe_outage(self._host, error) from error
        except (ValueError, KeyError, TypeError, AttributeError, InvalidReference) as error:
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
    _silence()
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


def _list_files(tree: str, headers: dict[str, str]) -> Iterator[ModelFile]:
    """All files of a commit, page by page.

    `HfApi.list_repo_tree` does the same, but waits for ever for an answer that does not come.

    Raises:
        ValueError: An entry makes no sense; KeyError and TypeError, too.
    """
    from huggingface_hub.utils import paginate  # type: ignore[attr-defined]  # as above

    for item in paginate(tree, params={"recursive": True, "expand": False}, headers=headers, timeout=TIMEOUT_S):
        if item["type"] != "file":
            continue
        path, size, lfs = item["path"], item["size"], item.get("lfs")
        if not isinstance(path, str) or type(size) is not int or size < 0:
            raise ValueError(path)
        if lfs is not None:
            # The git id of an LFS file is that of its pointer, not of the content.
            yield ModelFile(path, size, sha256=Digest.parse(f"sha256:{lfs['oid']}"))
        elif _SHA1.fullmatch(item["oid"]):
            yield ModelFile(path, size, git_blob_id=item["oid"])
        else:
            raise ValueError(path)


def _silence() -> None:
    """Before the first import: without it huggingface_hub asks for a list of agents at its first request."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
