"""The Hub's repositories on disk: content by sha256, commits by their hash, names that point to commits.

::

    <org>/<name>/settings.json      private, gated; a data set's directory is datasets/<org>/<name>
    <org>/<name>/refs.json          branches and tags
    <org>/<name>/commits/<hash>.json
    <org>/<name>/objects/<sha256>

Everything but the two small files of names and settings is written once and never changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from modelcar.errors import InvalidInput
from modelcar_sandbox.atomic import temporary_file, write_atomically
from modelcar_sandbox.hub.objects import Commit, RepositoryFile, is_large, make_commit, pointer_blob_id

BLOCK_BYTES = 1 << 20
COMMIT_HASH = re.compile(r"[0-9a-f]{40}")

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
DATASETS = "datasets/"
_REPOSITORY_ID = re.compile(f"{_PART}/{_PART}")
_RESERVED_ORGANISATIONS = frozenset({"api", "cdn", "datasets"})  # they begin paths of another meaning


@dataclass(frozen=True, slots=True)
class Settings:
    """Who may read a repository.

    Attributes:
        private: Nobody learns that it exists, but who may read it.
        gated: Everybody sees what is in it, but only who may read it gets the files.
    """

    private: bool = False
    gated: bool = False


@dataclass(frozen=True, slots=True)
class References:
    """Names of commits: hashes by name."""

    branches: Mapping[str, str]
    tags: Mapping[str, str]


class Hub:
    """Repositories below one directory; several processes may publish and read at once.

    A model's id is `org/name`, a data set's `datasets/org/name`.
    """

    def __init__(self, directory: Path) -> None:
        """Use `directory`, which need not be there yet; a repository `org/name` lies in `org/name` below it."""
        self.directory = directory

    def repositories(self) -> list[str]:
        """Ids of all repositories that hold a commit, sorted."""
        found = [*self.directory.glob("*/*/refs.json"), *self.directory.glob(f"{DATASETS}*/*/refs.json")]
        return sorted(path.parent.relative_to(self.directory).as_posix() for path in found)

    def publish(
        self,
        repo_id: str,
        files: Path | Mapping[str, bytes | Path],
        *,
        revision: str = "main",
        private: bool = False,
        gated: bool = False,
    ) -> str:
        """Make a commit that holds exactly `files`, and let a branch point to it.

        Content is copied. When the branch holds the same files already, it stays where it is. A new branch starts
        where `main` is.

        Args:
            repo_id: `org/name`, or `datasets/org/name`.
            files: A directory, of which everything but `.git` is taken, or paths with their content or file.
            revision: The branch.
            private: See `Settings`; replaces what was said before.
            gated: The same.

        Returns:
            Hash of the branch's commit, 40 hex digits.

        Raises:
            InvalidInput: The id, the branch or a path cannot be one, or there is no file.
        """
        if not is_repository_id(repo_id):
            raise InvalidInput(f"{repo_id!r} is no id of a Hub repository", hint="Write organisation/name.")
        if not revision or COMMIT_HASH.fullmatch(revision):
            raise InvalidInput(f"{revision!r} is no name for a branch")
        contents = _directory_contents(files) if isinstance(files, Path) else files
        _check_paths(repo_id, contents)
        with self._writing(repo_id) as repository:
            stored = tuple(_store(repository, path, contents[path]) for path in sorted(contents, key=str.encode))
            references = self.references(repo_id)
            tip = references.branches.get(revision) or references.branches.get("main")
            parent = _read_commit(repository / "commits" / f"{tip}.json") if tip else None
            commit = parent if parent and parent.files == stored else make_commit(stored, parent)
            write_atomically(repository / "commits" / f"{commit.commit_hash}.json", json.dumps(asdict(commit)))
            write_atomically(repository / "settings.json", json.dumps(asdict(Settings(private, gated))))
            branches = {**references.branches, revision: commit.commit_hash}
            _write_references(repository, References(branches, references.tags))
        return commit.commit_hash

    def tag(self, repo_id: str, name: str, commit_hash: str) -> None:
        """Let the tag `name` point to a commit of the repository.

        Raises:
            InvalidInput: There is no such commit.
        """
        if self.resolve(repo_id, commit_hash) is None:
            raise InvalidInput(f"{repo_id} has no commit {commit_hash}")
        with self._writing(repo_id) as repository:
            references = self.references(repo_id)
            _write_references(repository, References(references.branches, {**references.tags, name: commit_hash}))

    def resolve(self, repo_id: str, revision: str) -> Commit | None:
        """The commit that a branch, a tag or a full commit hash names; None when there is none."""
        references = self.references(repo_id)
        commit_hash = references.branches.get(revision) or references.tags.get(revision) or revision
        path = self.directory / repo_id / "commits" / f"{commit_hash}.json"
        if not COMMIT_HASH.fullmatch(commit_hash) or not path.exists():
            return None
        return _read_commit(path)

    def references(self, repo_id: str) -> References:
        """All branches and tags; none when there is no such repository."""
        path = self.directory / repo_id / "refs.json"
        return References(**json.loads(path.read_bytes())) if path.exists() else References({}, {})

    def settings(self, repo_id: str) -> Settings | None:
        """Who may read the repository; None when there is no such repository."""
        path = self.directory / repo_id / "settings.json"
        return Settings(**json.loads(path.read_bytes())) if is_repository_id(repo_id) and path.exists() else None

    def content_path(self, repo_id: str, sha256: str) -> Path:
        """The file with the content that has this digest; must not be changed."""
        return self.directory / repo_id / "objects" / sha256

    @contextmanager
    def _writing(self, repo_id: str) -> Iterator[Path]:
        """The repository's directory, while nobody else writes to it."""
        repository = self.directory / repo_id
        for name in ("commits", "objects"):
            (repository / name).mkdir(parents=True, exist_ok=True)
        with (repository / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield repository


def is_repository_id(text: str) -> bool:
    """Whether `text` can be the id of a repository; then it is also a safe path."""
    name = text.removeprefix(DATASETS)
    return _REPOSITORY_ID.fullmatch(name) is not None and name.partition("/")[0] not in _RESERVED_ORGANISATIONS


def _directory_contents(directory: Path) -> dict[str, bytes | Path]:
    """Every file below `directory`, links to files followed."""
    paths = (path for path in directory.rglob("*") if path.is_file())
    relative = {path.relative_to(directory).as_posix(): path for path in paths}
    return {path: file for path, file in relative.items() if not path.startswith(".git/")}


def _check_paths(repo_id: str, contents: Mapping[str, bytes | Path]) -> None:
    if not contents:
        raise InvalidInput(f"there is no file to publish as {repo_id}")
    for path in contents:
        parts = path.split("/")
        if {"", ".", ".."} & set(parts) or any(str(parent) in contents for parent in PurePosixPath(path).parents):
            raise InvalidInput(f"{path!r} cannot be a file of {repo_id}")


def _store(repository: Path, path: str, content: bytes | Path) -> RepositoryFile:
    """Copy one file into the repository's objects, reading it once."""
    size_bytes = content.stat().st_size if isinstance(content, Path) else len(content)
    blob = hashlib.sha1(f"blob {size_bytes}\0".encode(), usedforsecurity=False)
    sha256 = hashlib.sha256()
    with _open(content) as source, temporary_file(repository / "objects") as (copy, temporary):
        while block := source.read(BLOCK_BYTES):
            blob.update(block)
            sha256.update(block)
            copy.write(block)
        copy.flush()
        if copy.tell() != size_bytes:
            raise InvalidInput(f"{path} changed while it was published")
        temporary.replace(repository / "objects" / sha256.hexdigest())
    large = is_large(path, size_bytes)
    blob_id = pointer_blob_id(sha256.hexdigest(), size_bytes) if large else blob.hexdigest()
    return RepositoryFile(path, size_bytes, sha256.hexdigest(), blob_id)


def _open(content: bytes | Path) -> BinaryIO:
    return content.open("rb") if isinstance(content, Path) else BytesIO(content)


def _write_references(repository: Path, references: References) -> None:
    write_atomically(repository / "refs.json", json.dumps(asdict(references)))


@lru_cache(maxsize=64)
def _read_commit(path: Path) -> Commit:
    """Read a commit; the cache is right for ever, because a commit's hash is in its path."""
    document = json.loads(path.read_bytes())
    document["files"] = tuple(RepositoryFile(**file) for file in document["files"])
    return Commit(**document)
