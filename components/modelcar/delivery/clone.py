"""One branch of a remote repository on this machine: objects only, without a working tree.

Files are read from blobs and written to blobs, so no filter, line ending conversion, hook, LFS or symbolic link of the
repository ever touches a byte.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from modelcar.delivery.credentials import Credentials
from modelcar.delivery.failures import rejection
from modelcar.delivery.git import Git
from modelcar.errors import GitError, InvalidInput
from modelcar.retry import retry

_SYMLINK = "120000"
_FETCH_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class File:
    """A file of a commit.

    Attributes:
        mode: As git writes it, `100644` or `100755`.
        blob: Its object id.
    """

    mode: str
    blob: str


class Clone:
    """A bare, blobless clone of one branch, with all of its commits."""

    def __init__(self, scratch: Path, url: str, branch: str, credentials: Credentials) -> None:
        """Create an empty repository; nothing is fetched before `refresh`.

        Args:
            scratch: A private, empty directory.
            url: A checked address.
            branch: Name without `refs/heads/`.
            credentials: For that address.

        Raises:
            InvalidInput: The branch name cannot be one.
            GitError: git is missing or too old.
        """
        directory = scratch / "repository.git"
        directory.mkdir()
        self._git = Git(directory, scratch, url, credentials)
        self._url = url
        self._branch = branch
        self._index = scratch / "index"
        self._git.check_version()
        if self._git.run("check-ref-format", f"refs/heads/{branch}").code != 0:
            raise InvalidInput(f"{branch!r} is not a name for a branch", hint="Write it without refs/heads/.")
        self._git.read("init", "--quiet", "--bare", "--template=", ".")
        self._git.read("remote", "add", "origin", url)
        self._filters = ["--filter=blob:none"]

    def refresh(self) -> str:
        """Fetch the branch; a server that refuses filters is asked again without.

        Returns:
            The commit hash of its tip.

        Raises:
            InvalidInput: No such branch.
            GitError: No such repository, wrong credentials, or unreachable after three tries.
        """
        try:
            retry(self._fetch, attempts=_FETCH_ATTEMPTS)
        except GitError as error:
            self._check_branch(error)
            self._fetch_all()
        return self._git.read("rev-parse", "--verify", f"{self._tracking}^{{commit}}").decode().strip()

    def find(self, commit: str, path: str) -> File:
        """Find a file.

        Args:
            commit: A commit hash.
            path: Relative to the repository's root, `/` between parts.

        Raises:
            InvalidInput: There is no such file (the hint names similar ones), or the path leads out of the repository,
                through a symbolic link or to something else than a file.
        """
        parts = PurePosixPath(path).parts
        if not parts or "/".join(parts) != path or ".." in parts or not path.isprintable():
            raise InvalidInput(f"{path!r} is not a path in the git repository", hint="Write it relative to its root.")
        names = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
        entries = {name: self._entry(commit, name) for name in names}
        link = next((name for name, entry in entries.items() if entry is not None and entry.mode == _SYMLINK), None)
        if link is not None:
            raise InvalidInput(f"{link} in {self._url} is a symbolic link", hint="Name the file that it points to.")
        found = entries[names[-1]]
        if found is None:
            raise InvalidInput(
                f"branch {self._branch} of {self._url} has no file {path}",
                hint=f"Did you mean {self._similar_files(commit, path)}?",
            )
        if not found.mode.startswith("100"):
            raise InvalidInput(f"{path} in {self._url} is not a file", hint="Name the manifest itself.")
        return found

    def beside(self, commit: str, path: str) -> list[File]:
        """The other YAML files of a file's directory, by name.

        Args:
            commit: A commit hash.
            path: Of the file, as `find` takes it.
        """
        parent = PurePosixPath(path).parent
        where = "./" if parent == PurePosixPath() else f"{parent}/"
        listed = self._git.read("ls-tree", "-z", "--full-tree", commit, "--", where).decode(errors="replace")
        files = []
        for line in filter(None, listed.split("\0")):
            described, _, name = line.partition("\t")
            mode, _, blob = described.split(" ")
            if mode.startswith("100") and name.endswith((".yaml", ".yml")) and name != path:
                files.append(File(mode, blob))
        return files

    def content(self, file: File) -> bytes:
        """The bytes of a file as they are stored; fetched now when the clone has none."""
        try:
            return self._git.read("cat-file", "blob", file.blob)
        except GitError:
            # Servers of git's first protocol may send filtered clones and then refuse single objects.
            self._fetch_all()
            return self._git.read("cat-file", "blob", file.blob)

    def history(self, commit: str, path: str, trailer: str) -> list[tuple[str, list[str]]]:
        """The commits that touched a path and have a trailer, newest first, each with the trailer's values.

        Args:
            commit: Where to begin.
            path: Relative to the repository's root.
            trailer: Its name.
        """
        shape = f"%H%x00%(trailers:key={trailer},valueonly,separator=%x00)%x01"
        output = self._git.read("log", "--full-history", f"--format={shape}", commit, "--", path).decode()
        records = [record.strip("\n").split("\0") for record in output.split("\x01")]
        return [(fields[0], values) for fields in records if (values := [value for value in fields[1:] if value])]

    def commit(self, parent: str, path: str, file: File, content: bytes, message: str, author: dict[str, str]) -> str:
        """Write a commit that changes one file; nothing leaves this machine.

        Args:
            parent: Commit hash.
            path: Of the file that changes.
            file: What it was; its mode is kept.
            content: What it is from now on.
            message: The whole commit message.
            author: Environment variables that name author and committer.

        Returns:
            The new commit's hash.
        """
        blob = self._git.read("hash-object", "-w", "--stdin", "--no-filters", stdin=content).decode().strip()
        index = {"GIT_INDEX_FILE": str(self._index)}
        self._index.unlink(missing_ok=True)
        self._git.read("read-tree", parent, variables=index)
        self._git.read("update-index", "--cacheinfo", f"{file.mode},{blob},{path}", variables=index)
        # The other files' blobs were never fetched; their ids suffice.
        tree = self._git.read("write-tree", "--missing-ok", variables=index).decode().strip()
        made = self._git.read("commit-tree", tree, "-p", parent, stdin=message.encode(), variables=author)
        return made.decode().strip()

    def push(self, commit: str, *, dry_run: bool = False) -> bool:
        """Push a commit as the branch's new tip, never by force.

        Returns:
            Whether the branch moved; it did not when it had this very commit.

        Raises:
            PushRejected: Somebody else pushed first (retryable).
            GitError: The server refuses, or the connection broke off (retryable; the push may have arrived).
        """
        options = ["--porcelain", "--no-verify", *(["--dry-run"] if dry_run else [])]
        answer = self._git.run("push", *options, "origin", f"{commit}:refs/heads/{self._branch}")
        if answer.code != 0:
            raise rejection(self._url, self._branch, answer.stdout.decode(errors="replace"), answer.stderr)
        return not any(line.startswith(b"=") for line in answer.stdout.splitlines())

    @property
    def _tracking(self) -> str:
        return f"refs/remotes/origin/{self._branch}"

    def _fetch(self) -> None:
        refspec = f"+refs/heads/{self._branch}:{self._tracking}"
        self._git.read("fetch", "--quiet", "--no-tags", *self._filters, "origin", refspec)

    def _fetch_all(self) -> None:
        """Fetch whole files too, from now on, and those that earlier fetches left out."""
        self._filters = ["--refetch", "--no-filter"]
        retry(self._fetch, attempts=_FETCH_ATTEMPTS)
        self._filters = ["--no-filter"]

    def _check_branch(self, error: GitError) -> None:
        """Go on when the repository answers and has the branch, so that only the way of fetching can be at fault."""
        answer = self._git.run("ls-remote", "--heads", "origin") if not error.retryable else None
        if answer is None or answer.code != 0 or self._filters == ["--no-filter"]:
            raise error
        heads = [line.partition("\trefs/heads/")[2] for line in answer.stdout.decode(errors="replace").splitlines()]
        if self._branch not in heads:
            raise InvalidInput(
                f"{self._url} has no branch {self._branch}",
                hint=f"It has {_similar(self._branch, heads)}." if heads else "It is empty; push a first commit to it.",
            ) from error

    def _entry(self, commit: str, path: str) -> File | None:
        line = self._git.read("ls-tree", "-z", "--full-tree", commit, "--", path).decode(errors="replace")
        mode, _, rest = line.partition(" ")
        return File(mode, rest.split("\t")[0].split(" ")[1]) if line else None

    def _similar_files(self, commit: str, path: str) -> str:
        output = self._git.read("ls-tree", "-r", "-z", "--name-only", "--full-tree", commit)
        paths = [name for name in output.decode(errors="replace").split("\0") if name]
        manifests = [name for name in paths if name.endswith((".yaml", ".yml", ".json"))]
        same_name = [name for name in manifests if PurePosixPath(name).name == PurePosixPath(path).name]
        return _similar(path, same_name or manifests or paths)


def _similar(wanted: str, names: list[str]) -> str:
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.4)
    return " or ".join(close or sorted(names)[:3])
