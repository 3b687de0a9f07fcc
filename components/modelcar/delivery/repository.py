"""The commit that carries an edit of the manifest to the branch that Argo CD watches.

A push that was overtaken is answered by fetching and applying the edit again, never by rebase or force. A rerun finds
its commit by the promotion key in the trailers.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from modelcar.delivery.clone import Clone
from modelcar.delivery.credentials import Credentials, check_url
from modelcar.delivery.inference_service import (
    Edit,
    apply,
    diff,
    digest_of,
    is_same_image,
    read_namespace,
    read_storage_uri,
)
from modelcar.delivery.trailers import (
    IMAGE_DIGEST,
    PREVIOUS_DIGEST,
    PROMOTION_KEY,
    Author,
    check_promotion_key,
    compose,
)
from modelcar.errors import GitError, Held, ManifestShapeError, PromotionError, PushRejected
from modelcar.retry import retry

ATTEMPTS = 12
FIRST_DELAY_S = 0.2
MOST_BESIDE = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Target:
    """Which InferenceService, in which file, on which branch.

    Attributes:
        url: `https://`, `ssh://`, `user@host:path`, `file://` or a directory; without user or password for http.
        branch: Name without `refs/heads/`.
        path: Of the manifest, relative to the repository's root.
        name: `metadata.name` of the InferenceService.
        namespace: Its `metadata.namespace`, or None for any.
    """

    url: str
    branch: str
    path: str
    name: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest at one commit.

    Attributes:
        text: Decoded from UTF-8, line endings and byte order mark as stored.
        storage_uri: Of the InferenceService.
        namespace: That the InferenceService states; None when it states none.
        commit_hash: The branch's tip that it was read from.
    """

    text: str
    storage_uri: str
    namespace: str | None
    commit_hash: str


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of an edit.

    Attributes:
        commit: Hash of the commit that carries it; None when the manifest had the image without a commit of ours.
        changed: Whether this call pushed that commit.
        diff: Unified diff of it; empty when nothing was changed by this call.
        previous_storage_uri: What the manifest said before.
    """

    commit: str | None
    changed: bool
    diff: str
    previous_storage_uri: str


class Repository:
    """The branch of a Target, at the tip that was fetched last."""

    def __init__(self, target: Target, clone: Clone) -> None:
        """Look at `clone`, which is refreshed; see `open_repository`."""
        self.target = target
        self._clone = clone
        self._tip = ""

    def refresh(self) -> None:
        """Fetch the branch's tip; all answers are about it from then on.

        Raises:
            InvalidInput: No such branch.
            GitError: No such repository, wrong credentials, unreachable.
        """
        self._tip = self._clone.refresh()

    def read(self, commit: str | None = None) -> Manifest:
        """The manifest at the tip, or at another commit: its hash, `^` after it for its first parent.

        Raises:
            InvalidInput: No such file (the hint names similar ones), or the path leads through a link or out of
                the repository.
            ManifestShapeError: It is not UTF-8 text, or has no such InferenceService.
        """
        commit = commit if commit is not None else self._tip
        text = _decoded(self._clone.content(self._clone.find(commit, self.target.path)), self.target.path)
        name, namespace = self.target.name, self.target.namespace
        uri = read_storage_uri(text, name=name, namespace=namespace)
        return Manifest(text, uri, read_namespace(text, name=name, namespace=namespace), commit)

    def read_beside(self, manifest: Manifest) -> tuple[str, ...]:
        """The other YAML files of the manifest's directory, at its commit: a ServingRuntime may be in one of them.

        At most `MOST_BESIDE`.
        """
        files = self._clone.beside(manifest.commit_hash, self.target.path)[:MOST_BESIDE]
        return tuple(self._clone.content(file).decode(errors="replace") for file in files)

    def check_write_access(self) -> None:
        """Ask the server for a push, and send nothing.

        It sees whether the server is reached and lets these credentials push to the repository. It does not see rules
        that a server applies to what arrives (protected branches, hooks), nor file permissions behind file://.

        Raises:
            GitError: The server refuses.
        """
        try:
            self._clone.push(self._tip, dry_run=True)
        except PushRejected:
            log.debug("the branch moved since it was fetched; write access is there")

    def history(self, trailer: str) -> list[tuple[str, list[str]]]:
        """The commits of the manifest's file that have a trailer, newest first: hash and the trailer's values."""
        return self._clone.history(self._tip, self.target.path, trailer)

    def commit(self, text: str, message: str, author: Author) -> str:
        """Write a commit on top of the tip that gives the manifest this text, here only; returns its hash."""
        file = self._clone.find(self._tip, self.target.path)
        return self._clone.commit(self._tip, self.target.path, file, text.encode(), message, author.environment())

    def push(self, commit: str) -> bool:
        """Push a commit to the branch, never by force.

        Returns:
            Whether the branch moved; two writers of one second make the same commit, and the later one moves nothing.

        Raises:
            PushRejected: Somebody else pushed first (retryable).
            GitError: The server refuses, or the connection broke off (retryable; the push may have arrived).
        """
        return self._clone.push(commit)


@contextmanager
def open_repository(target: Target, credentials: Credentials | None = None) -> Iterator[Repository]:
    """Clone the branch into a temporary directory, without file contents, and remove it afterwards.

    Args:
        target: What to open.
        credentials: From the environment when None.

    Raises:
        InvalidInput: The address, branch or credentials cannot be right; an address with a user or password in it.
        GitError: No such repository, wrong credentials, unreachable.
    """
    url = check_url(target.url)
    credentials = credentials if credentials is not None else Credentials.from_environment()
    with tempfile.TemporaryDirectory(prefix="modelcar-git-", ignore_cleanup_errors=True) as scratch:
        repository = Repository(target, Clone(Path(scratch), url, target.branch, credentials))
        repository.refresh()
        yield repository


def deliver(
    repository: Repository,
    edit: Edit,
    *,
    promotion_key: str,
    trailers: Mapping[str, str],
    subject: str,
    author: Author | None = None,
) -> Delivered:
    """Bring an edit to the branch as one commit, once, however often and from wherever this is called.

    Args:
        repository: Opened for the manifest that the edit is for.
        edit: What shall stand there; its name and namespace are the target's.
        promotion_key: One word that names this promotion; a rerun finds its commit by it.
        trailers: More trailers, after `Promotion-Key`, `Image-Digest` and `Previous-Digest`.
        subject: First line of the commit message.
        author: From the environment when None.

    Raises:
        Superseded: The manifest says neither what the plan saw nor what the edit wants.
        Held: This promotion was delivered before, and a person or a later promotion has put another value there since.
        PushRejected: Others were faster twelve times.
        GitError: The server refuses the push, or cannot be reached.
        ManifestShapeError: The manifest is not what the edit expects.
        InvalidInput: The key, a trailer or the subject cannot be in a commit message.
    """
    check_promotion_key(promotion_key)
    author = author if author is not None else Author.from_environment()

    def attempt() -> Delivered:
        repository.refresh()
        before = repository.read()
        done = _find_earlier(repository, edit, promotion_key)
        if done is not None:
            return _earlier(repository, edit, before, done)
        text = apply(before.text, edit)
        if text == before.text:
            return Delivered(None, False, "", before.storage_uri)
        commit = repository.commit(text, _message(edit, before, promotion_key, trailers, subject), author)
        if not _push(repository, commit, promotion_key):
            return Delivered(commit, False, "", before.storage_uri)
        return Delivered(commit, True, diff(before.text, text, repository.target.path), before.storage_uri)

    return retry(attempt, attempts=ATTEMPTS, first_delay_s=FIRST_DELAY_S)


def _find_earlier(repository: Repository, edit: Edit, promotion_key: str) -> str | None:
    """The newest commit that carries this promotion; the same bytes from another registry are another one."""
    commits = [commit for commit, keys in repository.history(PROMOTION_KEY) if promotion_key in keys]
    return next((one for one in commits if is_same_image(repository.read(one).storage_uri, edit.storage_uri)), None)


def _earlier(repository: Repository, edit: Edit, now: Manifest, commit: str) -> Delivered:
    """What a promotion that has its commit already comes to."""
    if is_same_image(now.storage_uri, edit.storage_uri):
        return Delivered(commit, False, "", now.storage_uri)
    promoted = f"{repository.target.path} was promoted to {edit.storage_uri} by commit {commit[:12]}"
    later = _find_later(repository, now, commit)
    if later is not None:
        raise Held(
            f"{promoted}, and commit {later[:12]} promoted {now.storage_uri} since",
            hint="An old promotion that runs again does not undo a newer one; revert that commit in git, or promote "
            "under another version name.",
        )
    raise Held(
        f"{promoted}, and says {now.storage_uri} since",
        hint="Somebody changed it on purpose; to promote this image again, revert that change in git.",
    )


def _find_later(repository: Repository, now: Manifest, commit: str) -> str | None:
    """The newest promotion after `commit` that gave the manifest the value of now; None when only people did."""

    def says_so(one: str) -> bool:
        return is_same_image(repository.read(one).storage_uri, now.storage_uri)

    newer = takewhile(lambda entry: entry[0] != commit, repository.history(IMAGE_DIGEST))
    candidates = [one for one, digests in newer if digest_of(now.storage_uri) in digests]
    # The file may hold several InferenceServices: it must be this one's value that the commit changed.
    return next((one for one in candidates if says_so(one) and not says_so(f"{one}^")), None)


def _push(repository: Repository, commit: str, promotion_key: str) -> bool:
    """Push; when the answer was lost, look whether the commit is on the branch before it counts as a failure."""
    try:
        return repository.push(commit)
    except GitError as error:
        if error.retryable and not isinstance(error, PushRejected) and _arrived(repository, commit, promotion_key):
            return True
        raise


def _arrived(repository: Repository, commit: str, promotion_key: str) -> bool:
    try:
        repository.refresh()
        return (commit, [promotion_key]) in repository.history(PROMOTION_KEY)
    except PromotionError as error:
        log.debug("cannot see whether the push arrived: %s", error)
        return False


def _message(edit: Edit, before: Manifest, promotion_key: str, trailers: Mapping[str, str], subject: str) -> str:
    ours = {PROMOTION_KEY: promotion_key, IMAGE_DIGEST: digest_of(edit.storage_uri) or ""}
    previous = digest_of(before.storage_uri)
    if previous is not None:
        ours[PREVIOUS_DIGEST] = previous
    bullets = [f"InferenceService {edit.name}: storageUri {before.storage_uri} -> {edit.storage_uri}"]
    bullets += [f"label {key}: {value}" for key, value in edit.labels.items()]
    bullets += [f"annotation {key}" for key in edit.annotations]
    return compose(subject, bullets, {**ours, **trailers})


def _decoded(content: bytes, path: str) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise ManifestShapeError(f"{path} is not UTF-8 text", hint="Name the manifest itself.") from error
    if text.startswith("version https://git-lfs.github.com/spec/"):
        raise ManifestShapeError(
            f"{path} is kept by Git LFS; its content is not in git", hint="Take manifests out of Git LFS."
        )
    return text
