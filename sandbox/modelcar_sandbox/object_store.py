"""An object store that speaks S3: moto's server, as a WSGI application.

It starts when it is first asked, because moto takes half a second to be imported and most who try the sandbox do not
need it.

Deviations from S3, beside those of moto (https://docs.getmoto.org/en/latest/docs/services/s3.html):

- Objects up to 16 MiB are in memory, larger ones in unnamed temporary files; they go with the process.
- Any keys are accepted; nobody is refused.
- An object is read into memory before it is sent, so the speed of large ones is the emulator's.
- All stores of one process hold the same buckets.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from moto.s3.models import S3Backend

REGION = "us-east-1"
KEYS = {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox"}
"""moto takes any."""
_BLOCK_BYTES = 1 << 20


class ObjectStore:
    """A WSGI application; any S3 client fills its buckets, or whoever runs it by the methods."""

    def __init__(self, fill: Callable[[ObjectStore], None] = lambda _: None) -> None:
        """Prepare; nothing is imported or stored yet.

        Args:
            fill: Called once, with this store, before the first request is answered.
        """
        self._fill = fill
        self._lock = threading.Lock()
        self._application: WSGIApplication | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        with self._lock:
            if self._application is None:
                from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

                self._fill(self)
                self._application = DomainDispatcherApplication(create_backend_app)
        # As it was sent: moto would decode `%2541` twice otherwise. cheroot and moto name it differently.
        environ.setdefault("RAW_URI", environ.get("REQUEST_URI", ""))
        return _cut(self._application(environ, start_response))

    def make_bucket(self, bucket: str) -> None:
        """Make a bucket; one that is there stays."""
        backend = _find_backend()
        if bucket not in backend.buckets:
            backend.create_bucket(bucket, REGION)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Put an object into a bucket that is there; one of the same key is replaced."""
        _find_backend().put_object(bucket, key, content)

    def put_directory(self, bucket: str, prefix: str, directory: Path) -> None:
        """Put all files below a directory, with keys that begin with `prefix` and a slash."""
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                self.put(bucket, f"{prefix}/{path.relative_to(directory).as_posix()}", path.read_bytes())

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object."""
        _find_backend().delete_object(bucket, key)


def _cut(answer: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks: cheroot takes longer for a large one than for its parts, by the square."""
    try:
        for piece in answer:
            for start in range(0, len(piece), _BLOCK_BYTES):
                yield piece[start : start + _BLOCK_BYTES]
    finally:
        if close := getattr(answer, "close", None):
            close()


def _find_backend() -> S3Backend:
    from moto.backends import get_backend
    from moto.core.models import DEFAULT_ACCOUNT_ID

    backend: S3Backend = get_backend("s3")[DEFAULT_ACCOUNT_ID]["global"]
    return backend
