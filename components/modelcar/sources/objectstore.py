"""Models in a bucket of S3: `s3://bucket/prefix`, also of MinIO, Ceph and others that speak the same protocol.

obstore lists, signs and reads, in Rust; no byte is written to disk, and a reader holds about two blocks of memory.

A bucket publishes no digests: an ETag is none, for it depends on how an object was uploaded. It does tell one object
from another, so that each read asks for the one that was listed (`If-Match`).

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import TYPE_CHECKING

from modelcar.errors import SourceNotFound
from modelcar.snapshot import ModelFile, ModelSnapshot
from modelcar.sources.ahead import ReadAhead
from modelcar.sources.bucket import SCHEME, find_server, open_store, parse_location
from modelcar.sources.bucket_refusal import Request, broken_off, changed, describe_failure, no_store
from modelcar.sources.patterns import Patterns

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, ObjectMeta
    from obstore.store import S3Store

__all__ = ["SCHEME", "ObjectSource"]

BLOCK_BYTES = 1 << 20
_LEAST_BYTES = 1 << 18
"""obstore gives what the network brings, but at least so much at once; what a connection brought of that before it
broke is lost, and read again."""
_PAGE = 1000


class ObjectSource:
    """One directory of a bucket, as it is when `snapshot` lists it."""

    def __init__(self, uri: str, patterns: Patterns) -> None:
        """Read the URI and the environment; the server is not asked before `snapshot`.

        Args:
            uri: `s3://bucket/prefix`, or `s3:///prefix` for the bucket of `AWS_S3_BUCKET`.
            patterns: Which files to take.

        Raises:
            InvalidReference: The URI names no bucket, or keys that no image could hold.
            InvalidInput: A variable of the environment cannot be what it should be.
        """
        self._location = parse_location(uri, os.environ)
        self._server = find_server(self._location.bucket, os.environ)
        self._patterns = patterns
        self._store: S3Store | None = None
        self._tags: dict[str, str] | None = None
        self._ahead = ReadAhead(self._read)

    def snapshot(self) -> ModelSnapshot:
        """List the directory. Objects of zero bytes are asked for one by one: `dir/` may stand for a directory.

        Raises:
            SourceNotFound: No such bucket, nothing below the prefix, or no file is left after the patterns.
            SourceAccessDenied: No keys, wrong ones, or ones that may not list.
            UnsafeContent: A key that no image can hold, or a pickle.
            InvalidInput: Half of the keys, or certificates that cannot be read.
            SourceError: The server cannot be reached, or does not speak S3.
        """
        found = self._list()
        files = [ModelFile(path, entry["size"]) for path, entry in found.items()]
        if not files:
            raise SourceNotFound(
                f"{self._location} has no files",
                hint="Name the directory that holds the model: all keys below it are meant, not those that begin so.",
            )
        kept, left_out = self._patterns.select(files, str(self._location))
        self._tags = {file.path: self._tag(found[file.path]) for file in kept}
        self._ahead.close()
        self._ahead = ReadAhead(self._read, kept)
        return ModelSnapshot(str(self._location), None, None, kept, left_out)

    def open(self, file: ModelFile, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        """Read a file from `offset` to its end; see `modelcar.snapshot.Source`."""
        if self._tags is None:
            self.snapshot()
        return self._ahead.open(file, offset)

    @property
    def can_be_sampled(self) -> bool:
        """Each sample would be a request for all that follows, cut off; see `modelcar.snapshot.Source`."""
        return False

    def close(self) -> None:
        """Fetch nothing ahead any more; see `modelcar.snapshot.Source`."""
        self._ahead.close()

    def _list(self) -> dict[str, ObjectMeta]:
        """All objects below the prefix by their paths."""
        prefix = self._location.key("")
        found: dict[str, ObjectMeta] = {}
        with self._errors():
            for page in self._open_store().list(prefix or None, chunk_size=_PAGE):
                for entry in page:
                    # That which stands for the directory itself lost its slash.
                    if entry["path"].startswith(prefix):
                        path = entry["path"].removeprefix(prefix)
                        if entry["size"] > 0 or path not in found:
                            found[path] = entry
        empty = [path for path, entry in found.items() if entry["size"] == 0]
        for path in empty:
            if self._is_directory(path):
                del found[path]
        return found

    def _is_directory(self, path: str) -> bool:
        """Whether an empty object only marks a directory; obstore leaves out the slash with which its key ends."""
        import obstore

        with self._errors(path):
            try:
                obstore.head(self._open_store(), self._location.key(path))
            except FileNotFoundError:
                return True
        return False

    def _tag(self, entry: ObjectMeta) -> str:
        """The ETag in the form of a condition.

        Raises:
            SourceError: There is none, and so no way to notice that an object is replaced while it is read.
        """
        tag = entry["e_tag"]
        if not tag:
            raise no_store(self._request())
        return tag if tag.endswith('"') else f'"{tag}"'

    @contextmanager
    def _read(self, file: ModelFile, offset: int) -> Iterator[Iterator[bytes]]:
        if offset == file.size_bytes:
            yield iter(())
            return
        import obstore

        request, tag = self._request(file.path), (self._tags or {}).get(file.path)
        options: GetOptions = {"if_match": tag}
        if offset:
            options["range"] = {"offset": offset}
        with self._errors(file.path):
            answer = obstore.get(self._open_store(), self._location.key(file.path), options=options)
        meta = answer.meta
        # Not every server heeds the condition.
        if meta["size"] != file.size_bytes or (tag and self._tag(meta) != tag):
            raise changed(request)
        if answer.range[0] != offset:
            raise no_store(request)
        # The connection ends with the last reference to the answer, which the generator holds.
        with closing(self._blocks(answer, file, offset)) as blocks:
            del answer
            yield blocks

    def _blocks(self, answer: GetResult, file: ModelFile, offset: int) -> Generator[bytes]:
        """The file's bytes from `offset`, and exactly as many as are listed.

        Raises:
            SourceError: The connection broke, or ended early (retryable).
            ContentMismatch: There is more.
        """
        from obstore.exceptions import BaseError

        request, position = self._request(file.path), offset
        try:
            for chunk in answer.stream(min_chunk_size=_LEAST_BYTES):
                for start in range(0, len(chunk), BLOCK_BYTES):
                    block = chunk[start : start + BLOCK_BYTES]
                    position += len(block)
                    if position > file.size_bytes:
                        raise changed(request)
                    yield block
        except BaseError as error:
            failure = describe_failure(error, request)
            raise (broken_off(position, file.size_bytes, request) if failure.retryable else failure) from None
        if position < file.size_bytes:
            raise broken_off(position, file.size_bytes, request)

    def _open_store(self) -> S3Store:
        if self._store is None:
            self._store = open_store(self._location.bucket, self._server, os.environ)
        return self._store

    def _request(self, path: str | None = None) -> Request:
        return Request(self._location, self._server, path)

    @contextmanager
    def _errors(self, path: str | None = None) -> Iterator[None]:
        """Turn what obstore raises into our errors; not `from` it, for its text may hold what is secret."""
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, FileNotFoundError, UnicodeError) as error:
            raise describe_failure(error, self._request(path)) from None
