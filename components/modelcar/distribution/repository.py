"""A repository of a registry, as a place to pull from and to push to."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import partial
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urljoin

import requests

from modelcar.distribution.blob import BlobPart, read_part
from modelcar.distribution.client import Registry
from modelcar.distribution.destination import MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, StoredManifest, check_manifest_size
from modelcar.distribution.referrers import (
    INDEX_TYPE,
    Page,
    Referrer,
    fallback_tag,
    list_by_tag,
    parse_referrers,
    read_pages,
)
from modelcar.distribution.transfer import Transfer
from modelcar.distribution.upload import (
    Blob,
    BlobStream,
    cancel_upload,
    has_blob,
    mount_blob,
    push_scope,
    start_upload,
)
from modelcar.errors import ContentMismatch, DistributionError, RegistryAccessDenied
from modelcar.reference import Digest
from modelcar.retry import retry

log = logging.getLogger(__name__)

T = TypeVar("T")

_BLOCK_BYTES = 1 << 20


class Repository:
    """One repository of one registry; a `modelcar.distribution.destination.Destination`.

    Attributes:
        name: `registry/repository`.
    """

    def __init__(
        self,
        registry: Registry,
        repository: str,
        *,
        pull_only: bool = False,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Bind the two together; nothing is sent.

        Args:
            registry: May serve other repositories too.
            repository: Path below the registry.
            pull_only: Ask for no right to push, as for a base image.
            wait: Called with the seconds between two attempts; may raise to end them.
        """
        self._wait = wait
        self.name = f"{registry.host}/{repository}"
        self._registry, self._repository = registry, repository
        self._scope = f"repository:{repository}:pull" if pull_only else push_scope(repository)

    def waiting_by(self, wait: Callable[[float], None]) -> Repository:
        """The same repository, where `wait` is called with the seconds between two attempts."""
        other = copy(self)
        other._wait = wait
        return other

    def check_access(self) -> None:
        """Open an upload and give it back: the only question that a registry answers truly."""
        session = self._retry(lambda: start_upload(self._registry, self._repository))
        cancel_upload(self._registry, self._repository, session.location)

    def find_manifest(self, reference: str, accept: Sequence[str] = ()) -> StoredManifest | None:
        """The manifest by tag or digest.

        Args:
            reference: A tag, or a digest as text.
            accept: Media types; all that this package knows when empty.

        Returns:
            None when the registry has no such repository or manifest.

        Raises:
            RegistryAccessDenied: The registry says so.
            DistributionError: No answer, one that makes no sense, or a manifest of more than 4 MiB.
            ContentMismatch: The bytes do not have the digest that was asked for.
        """
        path = f"/v2/{self._repository}/manifests/{reference}"
        headers = {"Accept": ", ".join(accept or _MANIFEST_TYPES)}
        found = self._retry(lambda: self._get_manifest(path, headers, reference))
        if found is None:
            return None
        content, media_type = found
        digest = Digest.of(content)
        if reference.startswith("sha256:") and reference != str(digest):
            raise ContentMismatch(f"{self.name} answered {reference} with a manifest of digest {digest}")
        return StoredManifest(content, media_type, digest)

    def has_blob(self, digest: Digest) -> bool:
        """Whether the repository holds the blob."""
        return self._retry(lambda: has_blob(self._registry, self._repository, digest, scope=self._scope))

    def read_blob(self, digest: Digest) -> bytes:
        """An image's config or another small blob, whole and checked.

        Raises:
            ContentMismatch: The bytes do not have the digest.
            DistributionError: As `open_blob`, or it has more than 4 MiB.
        """
        content = self._retry(lambda: self._read(digest))
        if Digest.of(content) != digest:
            raise ContentMismatch(f"{self.name} answered {digest} with other content")
        return content

    @contextmanager
    def open_blob(self, digest: Digest) -> Iterator[Iterator[bytes]]:
        """A whole blob as blocks of at most 1 MiB, not checked here; see `open_part`."""
        with self.open_part(digest) as part:
            yield part.blocks

    @contextmanager
    def open_part(self, digest: Digest, offset: int = 0, end: int | None = None) -> Iterator[BlobPart]:
        """A blob, or a part of it, in blocks of at most 1 MiB that are not checked here.

        Args:
            digest: Of the blob.
            offset: First byte wanted. A registry may ignore that and begin at the start: the part says so.
            end: Where to stop, exclusive; None for the blob's end. A registry may ignore that, too.

        Raises:
            ImageNotFound: The repository does not hold it.
            DistributionError: No answer, or an error.
        """
        path, headers = f"/v2/{self._repository}/blobs/{digest}", {}
        if offset or end is not None:
            headers["Range"] = f"bytes={offset}-{end - 1 if end is not None else ''}"
        response = self._registry.request("GET", path, scope=self._scope, headers=headers, stream=True)
        with response:
            if response.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                raise self._registry.error(response, f"pull {self._repository}@{digest}")
            yield read_part(response, _blocks(response, self.name), self.name)

    def read_range(self, digest: Digest, start: int, stop: int) -> bytes | None:
        """Some bytes of a blob, not checked; None where the registry, asked once, gives no part that begins there."""
        content = bytearray()
        try:
            with self.open_part(digest, start, stop) as part:
                if part.start == start:
                    for block in part.blocks:
                        content += block
                        if len(content) >= stop - start:
                            return bytes(content[: stop - start])
        except DistributionError as error:
            log.debug("%s gives no part of %s: %s", self.name, digest, error)
        return None

    def mount(self, digest: Digest, origin: str) -> bool:
        """Take a blob over from the repository `origin` of the same registry; False where that is not done."""
        return self._retry(lambda: mount_blob(self._registry, self._repository, digest, origin))

    def mount_from(self, origin: Repository, digest: Digest) -> bool:
        """Take a blob over from another repository; False where that is of another registry, or not done."""
        return origin._registry.host == self._registry.host and self.mount(digest, origin._repository)

    def list_referrers(self, subject: Digest) -> tuple[Referrer, ...]:
        """What refers to a manifest, which need not exist: by the API, or else by the tag that stands in for it.

        Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers

        Raises:
            RegistryAccessDenied: The registry says so.
            DistributionError: No answer, or one that makes no sense.
        """
        pages = read_pages(f"/v2/{self._repository}/referrers/{subject}", self._get_referrers, self.name)
        if pages is not None:
            return pages
        stored = self.find_manifest(fallback_tag(subject), accept=[INDEX_TYPE])
        return parse_referrers(stored.content, self.name) if stored is not None else ()

    def write_referrer(self, content: bytes, media_type: str) -> None:
        """Store a manifest that has a subject, so that the subject's list of referrers has it.

        A registry that knows subjects says so in its answer. Where it does not, the tag with the list is written here;
        of two writers at once the second may drop what the first has listed, as the specification warns.

        Raises:
            DistributionError: After all attempts, or not retryable; or it makes no sense.
        """
        check_manifest_size(len(content))
        stored = StoredManifest(content, media_type, Digest.of(content))
        answer = self._retry(partial(self._put_manifest, content, media_type, str(stored.digest)))
        if "OCI-Subject" not in answer.headers:
            list_by_tag(self, stored)

    def write_blob(self, blob: Blob, digest: Digest) -> None:
        """Store a blob of known digest; several attempts."""
        Transfer(self._registry, self._repository, blob, digest, self._wait).run()

    def write_stream(self, stream: BlobStream) -> Digest:
        """Store a blob while it is read; an attempt that cannot go on where the last one ended reads it anew."""
        return Transfer(self._registry, self._repository, stream, None, self._wait).run()

    def write_manifest(self, content: bytes, media_type: str, tags: Sequence[str]) -> None:
        """Store a manifest under its tags, or by its digest where there are none."""
        check_manifest_size(len(content))
        for reference in tags or [str(Digest.of(content))]:
            self._retry(partial(self._put_manifest, content, media_type, reference))

    def remove_manifest(self, digest: Digest, tag: str | None) -> bool:  # noqa: ARG002 - tags go with their manifest
        """Take a manifest away with the tags that name it; False where that is refused."""
        return self._retry(partial(self._delete_manifest, digest))

    def _retry(self, action: Callable[[], T]) -> T:
        return retry(action, attempts=self._registry.attempts, wait=self._wait)

    def _read(self, digest: Digest) -> bytes:
        with self.open_blob(digest) as blocks:
            return _join(blocks, MAX_CONFIG_BYTES, f"{self.name}@{digest}, which should be an image's config,")

    def _put_manifest(self, content: bytes, media_type: str, reference: str) -> requests.Response:
        response = self._registry.request(
            "PUT",
            f"/v2/{self._repository}/manifests/{reference}",
            scope=self._scope,
            headers={"Content-Type": media_type},
            data=content,
        )
        if response.status_code not in (200, 201, 202):
            mark = "@" if reference.startswith("sha256:") else ":"
            error = self._registry.error(response, f"push {self._repository}{mark}{reference}")
            # The digest, where we give one, is of these bytes. docker-registry on a file system writes a manifest in
            # place and reads it back, so two that put the same one at once can see it half written.
            error.retryable |= error.code == "DIGEST_INVALID"
            if error.code in ("MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"):
                error.hint = (
                    "Something removes blobs while they are pushed; run it again: what is missing is sent again."
                )
            raise error
        return response

    def _get_referrers(self, path: str) -> Page | None:
        """One page of a list; None where the registry has no such API."""
        return self._retry(partial(self._get_page, path))

    def _get_page(self, path: str) -> Page | None:
        with self._registry.request("GET", path, scope=self._scope, stream=True) as response:
            if response.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
                return None
            if response.status_code != HTTPStatus.OK:
                raise self._registry.error(response, f"list referrers in {self._repository}")
            content = _join(_blocks(response, self.name), MAX_MANIFEST_BYTES, f"a list of referrers of {self.name}")
            following = response.links.get("next", {}).get("url")
            return Page(content, urljoin(response.url, following) if following else None)

    def _delete_manifest(self, digest: Digest) -> bool:
        path = f"/v2/{self._repository}/manifests/{digest}"
        try:
            # The right is asked for here only: many that may push may not delete.
            response = self._registry.request("DELETE", path, scope=f"{self._scope},delete")
        except RegistryAccessDenied:  # a token server that gives all of a scope or nothing
            return False
        if response.ok or response.status_code == HTTPStatus.NOT_FOUND:
            return True
        error = self._registry.error(response, f"delete {self._repository}@{digest}")
        if error.retryable:
            raise error
        return False

    def _get_manifest(self, path: str, headers: dict[str, str], reference: str) -> tuple[bytes, str] | None:
        """Content and media type."""
        with self._registry.request("GET", path, scope=self._scope, headers=headers, stream=True) as response:
            if response.status_code == HTTPStatus.NOT_FOUND:
                return None
            if response.status_code != HTTPStatus.OK:
                raise self._registry.error(response, f"pull {self._repository}:{reference}")
            what = f"what {self.name} gave as the manifest {reference}"
            content = _join(_blocks(response, self.name), MAX_MANIFEST_BYTES, what)
            return content, response.headers.get("Content-Type", "").partition(";")[0].strip()


_MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


def _blocks(response: requests.Response, name: str) -> Iterator[bytes]:
    try:
        yield from response.iter_content(_BLOCK_BYTES)
    except requests.RequestException as error:
        raise DistributionError(f"{name} broke off in the middle of an answer", retryable=True) from error


def _join(blocks: Iterator[bytes], most_bytes: int, what: str) -> bytes:
    """Everything, unless it is more than anybody may make this process hold."""
    content = bytearray()
    for block in blocks:
        content += block
        if len(content) > most_bytes:
            raise DistributionError(f"{what} has more than {most_bytes} bytes", hint="Look at what is stored there.")
    return bytes(content)
