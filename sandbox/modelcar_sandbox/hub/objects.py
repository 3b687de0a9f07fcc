"""What a repository of the Hub is made of: files, directories and commits, named as git names them.

Source: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects (ids),
https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md (pointers of large files).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

LARGE_FILE_BYTES = 10_000_000
LARGE_FILE_SUFFIXES = (
    ".7z .arrow .bin .bz2 .ckpt .ftz .gguf .gz .h5 .joblib .mlmodel .model .msgpack .npy .npz .onnx .ot .parquet .pb"
    " .pickle .pkl .pt .pth .rar .safetensors .tar .tflite .tgz .wasm .xz .zip .zst"
)

_FIRST_COMMIT = datetime(2026, 1, 1, tzinfo=UTC)  # a commit hash covers its date, so dates follow from the history


@dataclass(frozen=True, slots=True)
class RepositoryFile:
    """One file of a commit.

    Attributes:
        path: Relative to the repository, `/` between parts.
        size_bytes: Exact.
        sha256: 64 hex digits, of the content.
        git_blob_id: 40 hex digits; of the content, or of the pointer when the file is large.
    """

    path: str
    size_bytes: int
    sha256: str
    git_blob_id: str

    @property
    def is_large(self) -> bool:
        """Whether git holds a pointer and the content lies with git LFS."""
        return is_large(self.path, self.size_bytes)

    @property
    def pointer(self) -> bytes:
        """What git holds of a large file."""
        return large_file_pointer(self.sha256, self.size_bytes)


@dataclass(frozen=True, slots=True)
class Commit:
    """A state of all files, and the one before it.

    Attributes:
        commit_hash: 40 hex digits, a function of the files and of the history before them.
        parent: Hash of the commit before, None for the first.
        number: 1 for the first commit.
        files: Sorted by the UTF-8 bytes of their paths.
    """

    commit_hash: str
    parent: str | None
    number: int
    files: tuple[RepositoryFile, ...]

    @property
    def date(self) -> str:
        """When it was made, as the API writes it."""
        return (_FIRST_COMMIT + timedelta(minutes=self.number)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def make_commit(files: tuple[RepositoryFile, ...], parent: Commit | None) -> Commit:
    """A commit whose hash is the one that git gives to these files after this parent."""
    number = parent.number + 1 if parent else 1
    seconds = int((_FIRST_COMMIT + timedelta(minutes=number)).timestamp())
    author = f"sandbox <sandbox@example.invalid> {seconds} +0000"
    lines = [f"tree {directory_ids(files)['']}"]
    if parent:
        lines.append(f"parent {parent.commit_hash}")
    lines += [f"author {author}", f"committer {author}", "", "Publish", ""]
    commit_hash = _object_id("commit", "\n".join(lines).encode())
    return Commit(commit_hash, parent.commit_hash if parent else None, number, files)


def is_large(path: str, size_bytes: int) -> bool:
    """Whether the Hub keeps the file with git LFS: by its name, as its default .gitattributes does, or by its size."""
    return PurePosixPath(path).suffix in LARGE_FILE_SUFFIXES.split() or size_bytes >= LARGE_FILE_BYTES


def large_file_pointer(sha256: str, size_bytes: int) -> bytes:
    """The small text that stands in git for a large file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size_bytes}\n".encode()


def pointer_blob_id(sha256: str, size_bytes: int) -> str:
    """Git's id of a large file's pointer."""
    return _object_id("blob", large_file_pointer(sha256, size_bytes))


def directory_ids(files: tuple[RepositoryFile, ...]) -> Mapping[str, str]:
    """Git's id of each directory, by path; the repository's root is the empty path."""
    entries: dict[str, dict[str, tuple[str, str]]] = {"": {}}
    for file in files:
        directory, _, name = file.path.rpartition("/")
        for parent in [str(part) for part in PurePosixPath(file.path).parents][:-1]:
            entries.setdefault(parent, {})
        entries[directory][name] = ("100644", file.git_blob_id)
    ids: dict[str, str] = {}
    for path in sorted(entries, key=lambda path: len(PurePosixPath(path).parts), reverse=True):
        ids[path] = _tree_id(entries[path])
        if path:
            directory, _, name = path.rpartition("/")
            entries[directory][name] = ("40000", ids[path])
    return ids


def _tree_id(entries: Mapping[str, tuple[str, str]]) -> str:
    def order(item: tuple[str, tuple[str, str]]) -> bytes:
        name, (mode, _) = item
        return name.encode() + (b"/" if mode == "40000" else b"")

    content = b"".join(
        f"{mode} {name}".encode() + b"\0" + bytes.fromhex(object_id)
        for name, (mode, object_id) in sorted(entries.items(), key=order)
    )
    return _object_id("tree", content)


def _object_id(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()
