"""A directory's files: what is there, which symbolic links are followed, and what cannot go into an image.

Two kinds of links are part of how models are stored, and are followed:

- A Hub cache keeps a model as `snapshots/COMMIT/…`, links into `blobs/` beside `snapshots`.
  Source: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
- A Kubernetes volume of a ConfigMap, Secret or projection keeps its files in a directory with a time in its name;
  `..data` links to that directory, and the names at the top link into `..data`.
  Source: https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go

Any other link is refused, because it could carry a file into the image that nobody meant to publish.

Paths are bytes here, and UTF-8 whatever the locale says: the same directory gives the same names everywhere.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field

from modelcar.errors import SourceAccessDenied, SourceError, UnsafeContent

LOST_AND_FOUND = b"lost+found"
"""At the top of a volume; belongs to its file system."""
WORKSPACE_STATE = b".modelcar"
"""At the top of a directory that a model was downloaded into: what `modelcar.workspace` keeps there."""
UNFINISHED = b"unfinished"
"""In `WORKSPACE_STATE`: the directory may hold half a model."""
PASSED_OVER = frozenset((LOST_AND_FOUND, WORKSPACE_STATE))
"""Directories at the top that are no part of the model."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file.

    Attributes:
        path: Relative to the directory; bytes that are not UTF-8 are surrogates.
        location: The file itself, behind any link.
        size_bytes: When it was listed.
        mtime_ns: When it was listed; with the size it tells whether the file changed since.
    """

    path: str
    location: bytes
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that cannot go into an image; no matter while the patterns leave it out.

    Attributes:
        path: As in `Entry`.
        error: What to raise if it is wanted.
        is_directory: Whether there may be files below the path.
    """

    path: str
    error: SourceError
    is_directory: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What is below a directory, in no particular order."""

    entries: list[Entry] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def list_directory(root: bytes) -> Listing:
    """Walk a directory.

    Args:
        root: The directory; may itself be a link.

    Returns:
        All regular files, and everything that is in the way. What is in `PASSED_OVER` is not looked into.
    """
    walk = _Walk(root)
    walk.run()
    return walk.listing


class _Walk:
    """One walk over one directory."""

    def __init__(self, root: bytes) -> None:
        self.listing = Listing()
        self._pending = [(root, b"")]
        real = os.path.realpath(root)
        cache, snapshots, _ = (real + b"/").rpartition(b"/snapshots/")
        self._blobs = cache + b"/blobs" if snapshots else None
        data = root + b"/..data"
        self._volume = os.path.realpath(data) if os.path.islink(data) else None

    def run(self) -> None:
        """Walk; without recursion, so that depth is no limit."""
        while self._pending:
            location, prefix = self._pending.pop()
            try:
                with os.scandir(location) as found:
                    for entry in found:
                        self._sort_in(entry, prefix)
            except OSError as error:
                self._refuse(
                    prefix.rstrip(b"/"), SourceAccessDenied, f"cannot be read: {error.strerror}", directory=True
                )

    def _sort_in(self, entry: os.DirEntry[bytes], prefix: bytes) -> None:
        path = prefix + entry.name
        if self._volume is not None and not prefix and entry.name.startswith(b".."):
            return  # the volume's own bookkeeping; its content is reached by the links beside it
        if entry.is_symlink():
            self._follow(entry.path, path)
        elif entry.is_dir(follow_symlinks=False):
            if path not in PASSED_OVER:
                self._pending.append((entry.path, path + b"/"))
        else:
            self._take(entry.path, path)

    def _follow(self, link: bytes, path: bytes) -> None:
        target = os.path.realpath(link)
        text = ascii(_decode(os.readlink(link)))
        if not os.path.exists(link):
            self._refuse(path, UnsafeContent, f"is a symbolic link to {text}, which leads nowhere")
        elif self._blobs is not None and os.path.dirname(target) == self._blobs and os.path.isfile(target):
            self._take(target, path)
        elif self._volume is not None and b"/" not in path and target.startswith(self._volume + b"/"):
            if os.path.isdir(target):
                self._pending.append((target, path + b"/"))
            else:
                self._take(target, path)
        else:
            what = f"is a symbolic link to {text}; links are not followed"
            self._refuse(path, UnsafeContent, what, directory=os.path.isdir(link))

    def _take(self, location: bytes, path: bytes) -> None:
        try:
            status = os.lstat(location)
        except OSError as error:
            self._refuse(path, SourceAccessDenied, f"cannot be read: {error.strerror}")
            return
        if not stat.S_ISREG(status.st_mode):
            self._refuse(path, UnsafeContent, "is a socket, a pipe or a device, not a file")
        elif not os.access(location, os.R_OK):
            self._refuse(path, SourceAccessDenied, "cannot be read: Permission denied")
        else:
            self.listing.entries.append(Entry(_decode(path), location, status.st_size, status.st_mtime_ns))

    def _refuse(self, path: bytes, kind: type[SourceError], what: str, *, directory: bool = False) -> None:
        name = _decode(path)
        shown = name if name.isprintable() else ascii(name)
        hint = (
            f"Let user {os.geteuid()} read it, or leave it out (ignore)."
            if kind is SourceAccessDenied
            else "Put the file itself there, or leave it out (ignore)."
        )
        error = kind(f"{shown or 'the directory'} {what}", hint=hint)
        self.listing.faults.append(Fault(name, error, directory))


def _decode(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
