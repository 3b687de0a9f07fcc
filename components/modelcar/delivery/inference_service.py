"""The InferenceService in a manifest: read its storageUri, and edit it as text.

Pure functions from text to text. Line endings, comments, quotes, a byte order mark and a missing last line ending stay
as they are; what changes is proved to be all that changes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from modelcar.delivery import documents, scalars
from modelcar.delivery.documents import Path
from modelcar.delivery.scalars import Splice
from modelcar.errors import InvalidInput, InvalidReference, ManifestShapeError, Superseded
from modelcar.reference import ImageReference

SCHEME = "oci://"
STOP_ANNOTATION = "serving.kserve.io/stop"
NEVER_BUILT = "sha256:" + "0" * 64
"""Digest of the placeholder that a manifest carries before its first promotion."""

_API_GROUP = "serving.kserve.io/"
_URI_PATHS: Mapping[str, tuple[str, ...]] = {"InferenceService": ("spec", "predictor", "model", "storageUri")}
_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_KEY = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Edit:
    """What shall stand in the manifest.

    Attributes:
        name: `metadata.name` of the InferenceService.
        storage_uri: New value of `spec.predictor.model.storageUri`, `oci://registry/repository@sha256:…`.
        namespace: Its `metadata.namespace`; a document that states none matches too. None matches any.
        labels: Labels to set in `metadata.labels`.
        annotations: Annotations to set in `metadata.annotations`.
        expect: The storageUri that the plan saw; None to replace whatever is there.
    """

    name: str
    storage_uri: str
    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    expect: str | None = None

    def __post_init__(self) -> None:
        """Check what Kubernetes would refuse only after the commit.

        Raises:
            InvalidReference: storage_uri is not an `oci://` reference by digest, without a tag.
            InvalidInput: A label or annotation that Kubernetes does not take.
        """
        _check_storage_uri(self.storage_uri)
        for key in (*self.labels, *self.annotations):
            if not _KEY.fullmatch(key):
                raise InvalidInput(f"{key!r} is not a key that Kubernetes takes", hint="Write name or domain/name.")
        for key, value in self.labels.items():
            if not _LABEL_VALUE.fullmatch(value):
                raise InvalidInput(
                    f"{value!r}, for the label {key}, is not a label value",
                    hint="Label values have up to 63 letters, digits, . _ - and begin and end with a letter or digit.",
                )


@dataclass(frozen=True, slots=True)
class _Found:
    """One matching document: all roots of the file, its own, its number, and the path of its storageUri."""

    roots: Sequence[Node]
    root: Node
    number: int
    uri_path: tuple[str, ...]


def read_storage_uri(text: str, *, name: str, namespace: str | None = None) -> str:
    """The storageUri of one InferenceService.

    Args:
        text: A manifest, one or more YAML documents.
        name: `metadata.name`.
        namespace: `metadata.namespace`, or None for any.

    Returns:
        The value as the manifest states it, whatever its scheme.

    Raises:
        ManifestShapeError: Not YAML, no such InferenceService or several, or no storageUri as one string.
    """
    found = _locate(text, name, namespace)
    return str(_uri_node(found, name).value)


def read_namespace(text: str, *, name: str, namespace: str | None = None) -> str | None:
    """The `metadata.namespace` that one InferenceService states, None when it states none.

    Takes and raises what `read_storage_uri` does.
    """
    return _text_at(_locate(text, name, namespace).root, "metadata", "namespace") or None


def digest_of(storage_uri: str) -> str | None:
    """The digest that a storageUri ends with, `sha256:…`, or None when it does not pin one."""
    found = _DIGEST.search(storage_uri)
    return found.group(1) if found and found.end() == len(storage_uri) else None


def is_placeholder(storage_uri: str) -> bool:
    """Whether it is what a manifest carries before its first promotion; nothing can serve from it."""
    return digest_of(storage_uri) == NEVER_BUILT


def is_same_image(storage_uri: str, other: str) -> bool:
    """Whether two storageUris pull the same bytes from the same place: registry, repository and digest are equal.

    A tag beside a digest does not matter. Equal digests elsewhere do not count: the other place may be gone tomorrow.
    """
    images = [_pinned(uri) for uri in (storage_uri, other)]
    return storage_uri == other or (None not in images and images[0] == images[1])


def apply(text: str, edit: Edit) -> str:
    """Edit one InferenceService of a manifest.

    The same image (`is_same_image`) means no edit at all: labels and annotations reach the pod template, and a change
    of them alone would restart the model. While storageUri is the placeholder that was never built, an annotation
    `serving.kserve.io/stop: "true"` becomes `"false"`.

    Args:
        text: A manifest, one or more YAML documents.
        edit: What shall stand in it.

    Returns:
        The new text, different only in the scalars asked for and in lines added for missing labels and annotations;
        equal to `text` if the image is the same.

    Raises:
        ManifestShapeError: The place is missing, not unique, or written in a form that cannot be edited safely.
        Superseded: storageUri is neither `edit.expect` nor the new value.
    """
    found = _locate(text, edit.name, edit.namespace)
    current = _uri_node(found, edit.name).value
    if is_same_image(current, edit.storage_uri):
        return text
    if edit.expect is not None and current != edit.expect:
        raise Superseded(
            f"storageUri of InferenceService {edit.name} is {current}, not {edit.expect} as expected",
            hint="Somebody changed it meanwhile; look at that change, then plan again.",
        )
    annotations = dict(edit.annotations)
    if is_placeholder(current) and _annotation(found.root, STOP_ANNOTATION).lower() == "true":
        annotations[STOP_ANNOTATION] = "false"
    return _edited(text, found, edit, annotations)


def diff(old: str, new: str, path: str) -> str:
    """A unified diff as `git diff` draws it, empty when nothing changed; `path` is relative to the repository."""
    lines = difflib.unified_diff(_lines(old), _lines(new), f"a/{path}", f"b/{path}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _pinned(storage_uri: str) -> tuple[str, str] | None:
    """Registry with repository, and digest; None when it is no `oci://` reference by digest."""
    digest = digest_of(storage_uri)
    if digest is None or not storage_uri.startswith(SCHEME):
        return None
    try:
        return ImageReference.parse(storage_uri.removeprefix(SCHEME)).name, digest
    except InvalidReference:
        return None


def _check_storage_uri(storage_uri: str) -> None:
    hint = "Write oci://registry/repository@sha256:…, the digest that the push printed, without a tag."
    if not storage_uri.startswith(SCHEME):
        raise InvalidReference(f"storageUri {storage_uri!r} does not begin with oci://", hint=hint)
    reference = ImageReference.parse(storage_uri.removeprefix(SCHEME))
    if reference.digest is None or reference.tag is not None:
        what = "no digest" if reference.digest is None else "a tag beside its digest"
        raise InvalidReference(f"storageUri {storage_uri!r} has {what}", hint=hint)


def _locate(text: str, name: str, namespace: str | None) -> _Found:
    roots = documents.parse(text)
    found = [_Found(roots, root, number, path) for number, root in enumerate(roots) if (path := _uri_path(root))]
    matches = [one for one in found if _matches(one.root, name, namespace)]
    if len(matches) == 1:
        return matches[0]
    wanted = f"InferenceService {name}" + (f" in namespace {namespace}" if namespace else "")
    if matches:
        raise ManifestShapeError(
            f"the manifest has {len(matches)} documents for {wanted}",
            hint="Name the namespace too, or keep one of them.",
        )
    there = [_title(root) for root in roots if isinstance(root, MappingNode)]
    raise ManifestShapeError(
        f"the manifest has no {wanted}; it has {', '.join(there[:10]) or 'no object at all'}",
        hint="Check the name, the namespace and the path of the manifest.",
    )


def _uri_path(root: Node) -> tuple[str, ...] | None:
    if not _text_at(root, "apiVersion").startswith(_API_GROUP):
        return None
    return _URI_PATHS.get(_text_at(root, "kind"))


def _matches(root: Node, name: str, namespace: str | None) -> bool:
    stated = _text_at(root, "metadata", "namespace")
    return _text_at(root, "metadata", "name") == name and (not namespace or not stated or stated == namespace)


def _title(root: Node) -> str:
    kind, name = _text_at(root, "kind") or "a document without kind", _text_at(root, "metadata", "name")
    namespace = _text_at(root, "metadata", "namespace")
    return f"{kind} {name}".rstrip() + (f" (namespace {namespace})" if namespace else "")


def _text_at(root: Node, *path: str) -> str:
    node = documents.find(root, path)
    return str(node.value) if isinstance(node, ScalarNode) else ""


def _annotation(root: Node, key: str) -> str:
    return _text_at(root, "metadata", "annotations", key)


def _uri_node(found: _Found, name: str) -> ScalarNode:
    path = found.uri_path
    node = documents.find(found.root, path)
    if isinstance(node, ScalarNode) and node.value and node.tag == documents.STRING:
        return node
    at = ".".join(path)
    if node is not None:
        raise ManifestShapeError(f"{at} of InferenceService {name} is not a string", hint=f"Write {at} as one string.")
    steps = [documents.find(found.root, path[:length]) for length in range(len(path))]
    if any(documents.has_merge(step) for step in steps):
        hint = f"A merge key (<<) may bring it from elsewhere; write {at} out where it belongs."
    elif documents.find(found.root, (*path[:-1], "storageUris")) is not None:
        hint = "It has storageUris, for which KServe does not mount a ModelCar; write storageUri."
    else:
        hint = f"Add it once by hand, such as storageUri: {SCHEME}registry/repository@{NEVER_BUILT}"
    raise ManifestShapeError(f"InferenceService {name} has no {at}", hint=hint)


def _edited(text: str, found: _Found, edit: Edit, annotations: Mapping[str, str]) -> str:
    planned = [_replacement(text, found, found.uri_path, edit.storage_uri)]
    expected: dict[Path, str] = {(found.number, *found.uri_path): edit.storage_uri}
    containers: set[Path] = set()
    for name, wanted in (("labels", edit.labels), ("annotations", annotations)):
        if wanted:
            expected |= {(found.number, "metadata", name, key): value for key, value in wanted.items()}
            if _is_missing(documents.find(found.root, ("metadata", name))):
                containers.add((found.number, "metadata", name))
            planned += _set(text, found, name, wanted)
    result = scalars.splice(text, [one for one in planned if one is not None])
    documents.prove(found.roots, result, expected, containers)
    return result


def _set(text: str, found: _Found, name: str, wanted: Mapping[str, str]) -> list[Splice | None]:
    """Set keys of metadata.labels or metadata.annotations, which need not be there."""
    path = ("metadata", name)
    documents.check_unshared(found.roots, found.root, path)
    mapping = documents.find(found.root, path)
    if mapping is None or _is_missing(mapping):
        return [_new_mapping(text, found, path, wanted)]
    present = {key.value for key, _ in documents.entries(mapping) if isinstance(key, ScalarNode)}
    planned = [_replacement(text, found, (*path, key), wanted[key]) for key in wanted if key in present]
    added = {key: value for key, value in wanted.items() if key not in present}
    if added:
        planned.append(scalars.insert(text, mapping, added, (found.number, *path)))
    return planned


def _is_missing(node: Node | None) -> bool:
    return node is None or node.tag == documents.NULL


def _new_mapping(text: str, found: _Found, path: tuple[str, str], wanted: Mapping[str, str]) -> Splice:
    metadata = documents.find(found.root, path[:1])
    if not isinstance(metadata, MappingNode):
        raise ManifestShapeError("metadata is not a mapping", hint="Write its keys below it, one a line.")
    step = max(1, metadata.value[0][0].start_mark.column - found.root.start_mark.column)
    return scalars.insert_mapping(text, metadata, wanted, (found.number, *path), step)


def _replacement(text: str, found: _Found, path: tuple[str, ...], value: str) -> Splice | None:
    documents.check_unshared(found.roots, found.root, path)
    node = documents.find(found.root, path)
    return scalars.replace(text, node, value, (found.number, *path))


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)
