"""Everything this package raises on purpose.

::

    PromotionError                    exit code 1 unless a class says otherwise
    ├── InvalidInput                  the caller's fault, exit code 2, never retried
    │   ├── InvalidReference          an image reference, digest, URI or destination that does not parse
    │   ├── InvalidSpec               a PromotionSpec; names file, line and field
    │   └── ManifestShapeError        the manifest to edit is not what was expected
    ├── SourceError                   where the model comes from
    │   ├── SourceNotFound            no such repository, revision, directory or file (exit code 2)
    │   ├── SourceAccessDenied        private, gated, or a wrong token (exit code 2)
    │   ├── ContentMismatch           the bytes that arrived are not the published ones
    │   └── UnsafeContent             pickles, broken safetensors, names no image can hold (exit code 2)
    ├── WorkspaceError                a directory to download into: full, in use, or not to be written
    ├── DistributionError             the OCI registry; carries status, code and URL
    │   ├── ImageNotFound             no such repository, tag or manifest (exit code 2)
    │   └── RegistryAccessDenied      wrong or missing credentials (exit code 2)
    ├── TrainingError                 the trainer failed, or what it left is no model
    │   └── BelowFloor                a metric does not hold its floor (exit code 2)
    ├── ModelRegistryError            the Kubeflow Model Registry
    │   ├── ModelRegistryAccessDenied wrong or missing token (exit code 2)
    │   └── VersionConflict           the version exists with another image (exit code 2)
    ├── PipelineServerError           a Kubeflow Pipelines API server, or the cluster that knows where it is
    │   ├── PipelineServerNotFound    none is named, or none is in the namespace (exit code 2)
    │   └── PipelineServerAccessDenied wrong or missing token, or no permission (exit code 2)
    └── GitError                      the repository that Argo CD watches
        ├── GitRepositoryNotFound     no such repository (exit code 2)
        ├── GitAccessDenied           wrong or missing credentials (exit code 2)
        ├── PushRejected              somebody else pushed first (retryable: the edit is applied again)
        ├── Superseded                the manifest no longer says what the plan saw (exit code 2)
        └── Held                      a hold in the spec; or the value was changed since we set it (exit code 2)

`str(error)` is one sentence for the reader: what happened, to what. `hint` is the way out. `retryable` is decided
where the error is raised and read by one helper, `modelcar.retry.retry`.
"""

from __future__ import annotations

from typing import ClassVar


class PromotionError(Exception):
    """Base of all errors that this package raises on purpose.

    Attributes:
        hint: What the reader can do about it, one sentence, or None.
        retryable: Whether the same call may succeed a moment later.
        retry_after_s: Seconds that the other side asked to wait before that, or None.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.retryable = retryable
        self.retry_after_s = retry_after_s

    def _render_traceback_(self) -> list[str]:
        """What notebooks show of it: the sentence and the way out; where it was raised is of no use to the reader.

        Source: `IPython.core.interactiveshell.InteractiveShell.showtraceback` asks every exception for it.
        """
        return [f"Error: {self}", *([f"-> {self.hint}"] if self.hint else [])]


class InvalidInput(PromotionError):
    """The caller's fault: an argument, a file or a setting that cannot be right."""

    exit_code = 2


class InvalidReference(InvalidInput):
    """A digest, image reference, source URI or destination that does not parse."""


class InvalidSpec(InvalidInput):
    """A PromotionSpec with a fault; the message names the file, the line and the field."""


class ManifestShapeError(InvalidInput):
    """The manifest to edit lacks the document or the key, or holds it in a form that cannot be edited safely."""


class SourceError(PromotionError):
    """The model's source did not give what was asked of it."""


class SourceNotFound(SourceError):
    """No such repository, revision, directory or file."""

    exit_code = 2


class SourceAccessDenied(SourceError):
    """The source is private or gated, or the token is wrong."""

    exit_code = 2


class ContentMismatch(SourceError):
    """The bytes that arrived are not the ones that the source published."""


class UnsafeContent(SourceError):
    """Files that must not go into an image: pickles, broken safetensors, names that an image cannot hold."""

    exit_code = 2


class WorkspaceError(PromotionError):
    """A directory that a model is downloaded into is full, in use, or fails."""


class DistributionError(PromotionError):
    """An OCI registry answered with an error, or not at all.

    Attributes:
        status: HTTP status, or None when there was no answer.
        code: Error code of the answer's body (`BLOB_UNKNOWN`, …), or None.
            Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        hint: str | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, retryable=retryable, retry_after_s=retry_after_s)
        self.status = status
        self.code = code


class ImageNotFound(DistributionError):
    """No such repository, tag, manifest or blob."""

    exit_code = 2


class RegistryAccessDenied(DistributionError):
    """The registry does not accept the credentials, or there are none."""

    exit_code = 2


class TrainingError(PromotionError):
    """The trainer failed, or what it left is not a model and its metrics."""


class BelowFloor(TrainingError):
    """A metric of the training is missing or does not hold its floor.

    Nothing is broken, and the same training ends the same: as with a hold, a person decides, by the data, the recipe
    or the floor. So the exit code is theirs.
    """

    exit_code = 2


class ModelRegistryError(PromotionError):
    """The Kubeflow Model Registry answered with an error, or not at all."""


class ModelRegistryAccessDenied(ModelRegistryError):
    """The Model Registry does not accept the token, or there is none."""

    exit_code = 2


class VersionConflict(ModelRegistryError):
    """The model version exists and names another image; versions never change their image."""

    exit_code = 2


class PipelineServerError(PromotionError):
    """A Kubeflow Pipelines API server, or the cluster that knows where it is, answered with an error, or not at all."""


class PipelineServerNotFound(PipelineServerError):
    """No pipeline server is named and none can be found in the namespace; or there is no cluster to ask."""

    exit_code = 2


class PipelineServerAccessDenied(PipelineServerError):
    """The pipeline server or the cluster does not accept the token, there is none, or it may not do this."""

    exit_code = 2


class GitError(PromotionError):
    """A git command failed."""


class GitRepositoryNotFound(GitError):
    """There is no repository at the address, or it is hidden from who asked."""

    exit_code = 2


class GitAccessDenied(GitError):
    """The server does not accept the credentials, or there are none."""

    exit_code = 2


class PushRejected(GitError):
    """The branch moved between fetch and push; the edit is applied again on the new tip."""


class Superseded(GitError):
    """The manifest's value is no longer the one that the plan saw: somebody changed it meanwhile."""

    exit_code = 2


class Held(GitError):
    """A hold in the PromotionSpec; or our value was put back by a person, or replaced by a later promotion."""

    exit_code = 2
