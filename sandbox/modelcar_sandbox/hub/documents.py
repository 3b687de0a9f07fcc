"""What the Hub's API answers about a repository, as JSON documents.

Source: https://huggingface.co/docs/hub/api, huggingface_hub's `ModelInfo`, `RepoFile` and `RepoFolder`.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

from modelcar_sandbox.hub.objects import Commit, RepositoryFile, directory_ids
from modelcar_sandbox.hub.store import DATASETS, References, Settings

Document = dict[str, object]


def describe(repo_id: str, settings: Settings, commit: Commit, *, created: Commit, with_blobs: bool) -> Document:
    """What there is to know of a model or a data set at `commit`.

    Args:
        repo_id: `org/name`, or `datasets/org/name`.
        settings: Its visibility.
        commit: The one that the asked revision names.
        created: The repository's first commit.
        with_blobs: Whether each file comes with its size and ids.
    """
    name = repo_id.removeprefix(DATASETS)
    return {
        "_id": hashlib.sha256(repo_id.encode()).hexdigest()[:24],
        "id": name,
        **({"modelId": name} if name == repo_id else {}),
        "author": name.partition("/")[0],
        "sha": commit.commit_hash,
        "createdAt": created.date,
        "lastModified": commit.date,
        "private": settings.private,
        "gated": "manual" if settings.gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": [_sibling(file, with_blobs=with_blobs) for file in commit.files],
    }


def references(names: References) -> Document:
    """All branches and tags."""
    return {
        "branches": [
            {"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit_hash}
            for name, commit_hash in sorted(names.branches.items())
        ],
        "converts": [],
        "tags": [
            {"name": name, "ref": f"refs/tags/{name}", "targetCommit": commit_hash}
            for name, commit_hash in sorted(names.tags.items())
        ],
    }


def tree(commit: Commit, directory: str, *, recursive: bool, xet: bool = False) -> list[Document]:
    """The files and directories below `directory`, sorted by path; empty when there is no such directory.

    Args:
        commit: Whose files.
        directory: Relative to the repository; empty for its root.
        recursive: Whether those of all directories below, or only what lies directly in it.
        xet: Whether large files are said to be kept in Xet.
    """
    entries = [_directory(path, tree_id) for path, tree_id in directory_ids(commit.files).items() if path]
    entries += [_file(file, xet=xet) for file in commit.files]
    inside = [entry for entry in entries if _lies_in(str(entry["path"]), directory, recursive=recursive)]
    return sorted(inside, key=lambda entry: str(entry["path"]).encode())


def paths_info(commit: Commit, paths: list[str], *, xet: bool = False) -> list[Document]:
    """What lies at `paths`, in their order; a path where nothing lies is left out."""
    entries = {entry["path"]: entry for entry in tree(commit, "", recursive=True, xet=xet)}
    return [entries[path] for path in dict.fromkeys(path.strip("/") for path in paths) if path in entries]


def _lies_in(path: str, directory: str, *, recursive: bool) -> bool:
    parents = [str(parent) if parent.name else "" for parent in PurePosixPath(path).parents]
    return directory in parents if recursive else directory == parents[0]


def _directory(path: str, tree_id: str) -> Document:
    return {"type": "directory", "oid": tree_id, "size": 0, "path": path}


def xet_hash(file: RepositoryFile) -> str:
    """A name in Xet: 64 hex digits that follow from the content, but not those that Xet would compute."""
    return hashlib.sha256(f"xet {file.sha256}".encode()).hexdigest()


def _file(file: RepositoryFile, *, xet: bool) -> Document:
    entry: Document = {"type": "file", "oid": file.git_blob_id, "size": file.size_bytes, "path": file.path}
    if file.is_large:
        entry["lfs"] = {"oid": file.sha256, "size": file.size_bytes, "pointerSize": len(file.pointer)}
        if xet:
            entry["xetHash"] = xet_hash(file)
    return entry


def _sibling(file: RepositoryFile, *, with_blobs: bool) -> Document:
    sibling: Document = {"rfilename": file.path}
    if with_blobs:
        sibling |= {"blobId": file.git_blob_id, "size": file.size_bytes}
        if file.is_large:
            sibling["lfs"] = {"sha256": file.sha256, "size": file.size_bytes, "pointerSize": len(file.pointer)}
    return sibling
