"""What git's failures mean for the reader.

git tells failures of fetch apart by text only (exit code 128 for all), so its messages are read here, in the C locale,
and nowhere else. A push tells each branch's fate in a porcelain line, which is read first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelcar.errors import GitAccessDenied, GitError, GitRepositoryNotFound, PushRejected

_WHO_HINT = "Set MODELCAR_GIT_USERNAME and MODELCAR_GIT_TOKEN or MODELCAR_GIT_TOKEN_FILE to what may write there."
_ADDRESS_HINT = "Check the address; some servers say the same of a private repository to who may not see it."


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of failure: what git says, and what we say of the address."""

    pattern: re.Pattern[str]
    sentence: str
    hint: str | None = None
    retryable: bool = False
    error: type[GitError] = GitError


def _kind(
    pattern: str,
    sentence: str,
    hint: str | None = None,
    *,
    retryable: bool = False,
    error: type[GitError] = GitError,
) -> _Kind:
    return _Kind(re.compile(pattern, re.IGNORECASE), sentence, hint, retryable, error)


_EMPTY_WORDS = "Could not read from remote repository"
_REPEATED = re.compile(r"^unable to access '[^']*': |^'[^']*' (?=does not appear)|^repository '[^']*' (?=not found)")
"""The address, which our sentences name already."""
# The first that matches counts; ssh ends most failures with "Could not read from remote repository", so that is last.
_KINDS = (
    _kind(
        r"No user exists for uid|don't exist in the password",
        "ssh cannot reach {url}: this user id has no name on this machine",
        "Use an https address with a token; ssh does not run under OpenShift's user ids without a passwd entry.",
    ),
    _kind(
        r"Host key verification failed|No \S+ host key is known",
        "the host key of {url} is not known",
        "Set MODELCAR_GIT_SSH_KNOWN_HOSTS_FILE to a file with the line that ssh-keyscan prints, once you checked it.",
    ),
    _kind(
        r"Permission denied \(|Load key .* (invalid format|error in libcrypto)",
        "{url} does not accept the ssh key",
        "Set MODELCAR_GIT_SSH_KEY_FILE to a private key that may write there.",
        error=GitAccessDenied,
    ),
    _kind(
        r"Authentication failed|could not read (Username|Password)|returned error: 40[13]"
        r"|access denied|insufficient permission|not allowed to (push|upload)|Unauthorized",
        "{url} does not accept the credentials, or asks for some",
        _WHO_HINT,
        error=GitAccessDenied,
    ),
    _kind(r"returned error: 30\d|unable to update url base", "{url} redirects elsewhere", "Write the final address."),
    _kind(
        r"SSL certificate|certificate verif|certificate problem|CAfile",
        "the certificate of {url} cannot be checked",
        "Set MODELCAR_GIT_CA_FILE to a PEM file with the authority that signed it.",
    ),
    _kind(
        r"Could not resolve (host|proxy)|Failed to connect|Couldn't connect|Connection refused|Network is unreachable"
        r"|No route to host",
        "{url} cannot be reached",
        "Check host, port and proxy.",
        retryable=True,
    ),
    _kind(
        r"returned error: (5\d\d|429)|RPC failed|early EOF|hung up|unexpected disconnect|Connection (was )?reset"
        r"|timed? ?out|too slow|transfer closed|recv failure|Empty reply|HTTP 5\d\d",
        "the connection to {url} broke off",
        "Run it again.",
        retryable=True,
    ),
    _kind(
        r"not found|Cannot find repository|does not appear to be a git repo|does not exist|returned error: 404"
        r"|Could not read from remote",
        "there is no git repository at {url}",
        _ADDRESS_HINT,
        error=GitRepositoryNotFound,
    ),
)

# Somebody else was first: told by our git, or by theirs after a race of two pushes.
_OVERTAKEN = re.compile(
    r"fetch first|non-fast-forward|stale info|cannot lock ref|incorrect old value|failed to update ref"
    r"|reference already exists|failed to lock",
)


def failure(action: str, url: str, stderr: str) -> GitError:
    """The error for a git command that failed.

    Args:
        action: The command in two words, for failures that are not known.
        url: Address of the remote repository, without secrets.
        stderr: What git said, without secrets, in the C locale.
    """
    for kind in _KINDS:
        if kind.pattern.search(stderr):
            return kind.error(kind.sentence.format(url=url) + _said(stderr), hint=kind.hint, retryable=kind.retryable)
    return GitError(f"{action} with {url} failed{_said(stderr) or ' and said nothing'}")


def rejection(url: str, branch: str, porcelain: str, stderr: str) -> GitError:
    """The error for a push that failed.

    Args:
        url: Address of the remote repository.
        branch: Pushed to.
        porcelain: Standard output of `git push --porcelain`.
        stderr: What git and the server said, without secrets.

    Returns:
        PushRejected, retryable, when somebody else pushed first; for a rule of the server a GitError that is not.
        Source: https://git-scm.com/docs/git-push#_output
    """
    status = next((line for line in porcelain.splitlines() if line.startswith("!")), None)
    if status is None:
        return failure("git push", url, stderr)
    reason = status.rpartition("\t")[2]
    if _OVERTAKEN.search(reason):
        return PushRejected(f"branch {branch} of {url} moved while we pushed: {reason}", retryable=True)
    return GitError(
        f"{url} refused the push to branch {branch}: {reason}{_said(stderr)}",
        hint="A rule of the server forbids it, such as a protected branch; let this user push there, or name another.",
    )


def _said(stderr: str) -> str:
    """What the server or git said, in parentheses, one line of at most 300 characters."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and _EMPTY_WORDS not in line]
    chosen = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    chosen = chosen or [
        line.removeprefix("fatal: ") for line in lines if line.startswith(("fatal: ", "error: ", "ssh: "))
    ]
    words = "; ".join(_REPEATED.sub("", line) for line in chosen or lines[-1:] if line)
    return f" ({words[:300]})" if words else ""
