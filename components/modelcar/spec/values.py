"""What a value of a PromotionSpec may be: one function each, from its text to the value.

All raise InvalidInput with a sentence that says what is wrong and what to write. Sentences about URLs do not repeat
the URL, because the fault may be that it holds a password.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from modelcar.errors import InvalidInput
from modelcar.metrics import Floor
from modelcar.reference import Base, ImageReference, parse_base_image

SOURCE_SCHEMES = ("hf://", "s3://", "file://", "oci://")
DATA_SCHEMES = ("hf://datasets/", "file://")
NO_SECRETS = (
    "secrets do not belong in a spec, which lives in git: take it out and give it by environment variable or file"
)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAMESPACE = re.compile(_LABEL)
_OBJECT_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,254}")
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_ENTRY_POINT = re.compile(rf"{_NAME}(?:\.{_NAME})*:{_NAME}")
_OWN_PROPERTIES = "modelcar_"
_LONGEST_NAME = 255
_LONGEST_VERSION_NAME = _LONGEST_NAME - len("2147483647:")  # the server keeps the model's id in front of it
_SCP_REMOTE = re.compile(
    r"(?!(?:https?|ssh|file):)(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!//)[^\s:@\\]+"
)
_NO_BRANCH = re.compile(r"^[-/]|^@$|\.\.|//|@\{|[\s\\~^:?*\[]|(?:^|/)\.|\.lock(?:/|$)|[/.]$|^refs/|^HEAD$")
_CREDENTIALS = re.compile(r"://[^/]*@")
_SECRET = re.compile(
    r"(?:access|api|auth|bearer|client|git|hf|hub|refresh|registry|user)*"
    r"(?:token|password|passwd|pwd|secret|credentials?|apikey|accesskey|secretkey|privatekey)"
)
_SWITCHES = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n"})


def is_secret_name(name: str) -> bool:
    """Whether a key asks for a secret by its name: `token`, `hf_token`, `registryPassword`; not `tokenizer`."""
    return _SECRET.fullmatch(re.sub(r"[^a-z0-9]", "", name.lower())) is not None


def check_property_name(name: str) -> None:
    """Refuse a property that asks for a secret, that cannot be searched for without quoting, or that is ours."""
    if is_secret_name(name):
        raise InvalidInput(NO_SECRETS)
    if not _IDENTIFIER.fullmatch(name):
        raise InvalidInput("is not a plain name (letters, digits and _, at most 255)")
    if name.startswith(_OWN_PROPERTIES):
        raise InvalidInput(f"is not free; {_OWN_PROPERTIES}… is set by registering")


def check_plain_name(name: str) -> None:
    """Refuse what is no name of a parameter or a metric, or asks for a secret."""
    if is_secret_name(name):
        raise InvalidInput(NO_SECRETS)
    if not _PLAIN_NAME.fullmatch(name):
        raise InvalidInput("is not a plain name (letters, digits, _ . / and -, at most 255)")


def read_text(text: str) -> str:
    """Any text that is not blank, lines and all."""
    if not text.strip():
        raise InvalidInput("is blank", hint="Leave the key out instead.")
    return text


def read_line(text: str) -> str:
    """One line that can be seen: no control characters, no blanks around it."""
    read_text(text)
    if text != text.strip():
        raise InvalidInput(f"{text!r} begins or ends with a blank")
    if not text.isprintable():
        raise InvalidInput(f"{text!r} holds a character that cannot be seen")
    return text


def read_short_line(text: str) -> str:
    """A line of at most 255 characters: what the Model Registry's columns hold."""
    return _read_short(text, _LONGEST_NAME)


def read_model_name(text: str) -> str:
    """What a registered model can be called."""
    return _read_name(text, _LONGEST_NAME)


def read_version_name(text: str) -> str:
    """What a model version can be called."""
    return _read_name(text, _LONGEST_VERSION_NAME)


def _read_name(text: str, longest: int) -> str:
    if "\\" in _read_short(text, longest):
        raise InvalidInput(f"{text!r} holds a backslash", hint="The Model Registry cannot look such a name up.")
    return text


def _read_short(text: str, longest: int) -> str:
    if len(read_line(text)) > longest:
        raise InvalidInput(f"has {len(text)} characters; the Model Registry takes {longest}")
    return text


def read_reason(text: str) -> str:
    """A sentence; not a switch, which would be read the wrong way round half of the time."""
    if read_text(text).strip().lower() in _SWITCHES:
        raise InvalidInput(f"{text!r} is not a reason", hint="Say why nothing may move, or leave the key out.")
    return text


def read_source(text: str) -> str:
    """A source URI of a known scheme; what stands behind the scheme is the source's business."""
    read_line(text)
    scheme = next((scheme for scheme in SOURCE_SCHEMES if text.startswith(scheme)), None)
    if scheme is None:
        shown = "this" if _CREDENTIALS.search(text) else repr(text)
        raise InvalidInput(
            f"{shown} is not a model source",
            hint="Write hf://org/name for a Hub, s3://bucket/prefix for a bucket, file:///dir for a directory, "
            "or oci://registry/repository:tag for an image.",
        )
    if text == scheme:
        raise InvalidInput(
            f"{text!r} names no model",
            hint="Write hf://org/name, s3://bucket/prefix, file:///dir or oci://registry/repository:tag.",
        )
    return text


def read_data_source(text: str) -> str:
    """A source URI of a data set."""
    scheme = next((scheme for scheme in DATA_SCHEMES if read_line(text).startswith(scheme)), None)
    if scheme is None or text == scheme:
        shown = "this" if _CREDENTIALS.search(text) else repr(text)
        raise InvalidInput(
            f"{shown} is not a data source",
            hint="Write file:///dir for a directory, or hf://datasets/org/name for a Hub.",
        )
    return text


def read_entry_point(text: str) -> str:
    """A function that takes no arguments, as `package.module:function`."""
    if not _ENTRY_POINT.fullmatch(text):
        raise InvalidInput(f"{text!r} is not an entry point", hint="Write package.module:function.")
    return text


def read_argument(text: str) -> str:
    """A program or one of its arguments: anything that a process can be started with."""
    if "\0" in text:
        raise InvalidInput("holds a null character, which no argument can")
    return text


def read_floor(text: str) -> Floor:
    """What a metric must hold: `at least 0.8`, `at most 2.5`."""
    return Floor.parse(text)


def read_revision(text: str) -> str:
    """A branch, tag or commit."""
    if any(character.isspace() for character in read_line(text)):
        raise InvalidInput(f"{text!r} is not a revision", hint="Write a branch, a tag or a commit hash.")
    return text


def read_image_repository(text: str) -> ImageReference:
    """`registry/repository`."""
    reference = _read_image(text)
    if reference.tag is not None or reference.digest is not None:
        part = "digest" if reference.digest is not None else "tag"
        hint = "The push tells the digest; the tag has a key of its own, image.tag."
        raise InvalidInput(f"{text!r} has a {part}", hint=hint)
    return reference


def read_base_image(text: str) -> Base:
    """An image by tag or digest, `scratch` or `same`."""
    return parse_base_image(text, read_image)


def read_image(text: str) -> ImageReference:
    """An image by tag or digest."""
    reference = _read_image(text)
    if reference.tag is None and reference.digest is None:
        raise InvalidInput(f"{text!r} has neither tag nor digest", hint=f"Write {text}:latest, or better a digest.")
    return reference


def _read_image(text: str) -> ImageReference:
    if _CREDENTIALS.search(text):
        raise InvalidInput("holds credentials", hint="Logins come from an auth file, never from a spec.")
    return ImageReference.parse(text)


def read_http_url(text: str) -> str:
    """`http://` or `https://` with a host, and nothing that could be a secret."""
    parts = _split(text)
    if parts.scheme not in ("http", "https"):
        raise InvalidInput("is not a URL", hint="Write https://host or http://host:port.")
    _refuse_credentials(parts, user_allowed=False)
    return text


def read_git_remote(text: str) -> str:
    """What git can clone from: a URL, `host:path`, or an absolute path."""
    read_line(text)
    if text.startswith(("/", "file:///")) or ("://" not in text and _SCP_REMOTE.fullmatch(text)):
        return text
    parts = _split(text)
    if parts.scheme not in ("https", "http", "ssh") or "://" not in text:
        raise InvalidInput(
            "is not the address of a git repository",
            hint="Write https://host/path.git, ssh://git@host/path.git, git@host:path.git or file:///path.",
        )
    _refuse_credentials(parts, user_allowed=parts.scheme == "ssh")
    return text


def _split(text: str) -> SplitResult:
    if any(character.isspace() for character in read_line(text)):
        raise InvalidInput("is not a URL", hint="There is a blank in it.")
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - it is read for its check
    except ValueError as error:
        raise InvalidInput("is not a URL", hint="Its host or port cannot be read.") from error
    if parts.scheme in ("http", "https", "ssh") and not (parts.hostname or "-")[0].isalnum():
        raise InvalidInput("names no host", hint=f"Write {parts.scheme}://host.")
    return parts


def _refuse_credentials(parts: SplitResult, *, user_allowed: bool) -> None:
    if parts.password is not None or (parts.username is not None and not user_allowed):
        raise InvalidInput(
            "holds credentials", hint="Take them out of the URL; they come by environment or file, never from a spec."
        )
    if parts.query or parts.fragment:
        raise InvalidInput("has a part behind ? or #", hint="Write the address alone.")


def read_branch(text: str) -> str:
    """A branch by its short name.

    Source: https://git-scm.com/docs/git-check-ref-format
    """
    if _NO_BRANCH.search(read_line(text)):
        raise InvalidInput(f"{text!r} is not the name of a branch", hint="Write it as git branch shows it.")
    return text


def read_path(text: str) -> str:
    """A file inside the repository: relative, `/` between parts, nothing that leads out of it or into `.git`."""
    parts = read_line(text).split("/")
    if text.startswith("/") or ".." in parts or "\\" in text:
        raise InvalidInput(
            f"{text!r} is not a path inside the repository", hint="Write it relative to the repository's root, with /."
        )
    if "" in parts or "." in parts or any(part.lower() == ".git" for part in parts):
        raise InvalidInput(f"{text!r} is not the path of a file", hint="Write it as git ls-files shows it.")
    return text


def read_object_name(text: str) -> str:
    """An RFC 1123 subdomain.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
    """
    if len(text) > 253 or not _OBJECT_NAME.fullmatch(text):
        raise InvalidInput(
            f"{text!r} is not the name of a Kubernetes object",
            hint="Lower-case letters, digits, - and ., at most 253, beginning and ending with a letter or digit.",
        )
    return text


def read_namespace(text: str) -> str:
    """An RFC 1123 label."""
    if not _NAMESPACE.fullmatch(text):
        raise InvalidInput(
            f"{text!r} is not a namespace",
            hint="Lower-case letters, digits and -, at most 63, beginning and ending with a letter or digit.",
        )
    return text
