"""One request, once its path is understood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelcar_sandbox.kubernetes.kinds import NAMESPACE, Kind
from modelcar_sandbox.kubernetes.refusal import bad_request, not_found
from modelcar_sandbox.kubernetes.store import Key, Store

Object = dict[str, Any]

_YES: Final = frozenset({"1", "t", "T", "true", "True", "TRUE"})


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        store: Where objects are kept.
        kind: Of the objects that it is about.
        namespace: Empty for all, or for kinds without.
        name: Of the object; empty for all.
        subresource: Empty, or `status`.
        query: The URL's parameters.
        body: As it came.
        content_type: Of the body, without parameters.
    """

    store: Store
    kind: Kind
    namespace: str
    name: str
    subresource: str
    query: Mapping[str, str]
    body: bytes
    content_type: str

    @property
    def key(self) -> Key:
        """Of the object."""
        return Key(self.kind.resource, self.namespace, self.name)

    @property
    def dry(self) -> bool:
        """Whether nothing is to be kept."""
        return bool(self.query.get("dryRun"))

    def flag(self, parameter: str) -> bool:
        """Whether a parameter in the URL says yes."""
        return self.query.get(parameter) in _YES

    def number(self, parameter: str) -> int | None:
        """A whole number in the URL; None when there is none.

        Raises:
            Refusal: It is none.
        """
        text = self.query.get(parameter)
        if not text:
            return None
        if not text.isdecimal():
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
        return int(text)

    def find(self) -> Object:
        """The object.

        Raises:
            Refusal: There is none.
        """
        found = self.store.get(self.key)
        if found is None:
            raise not_found(self.kind, self.name)
        return found

    def check_namespace(self) -> None:
        """See that the namespace is there.

        Raises:
            Refusal: It is not.
        """
        if self.kind.namespaced and self.store.get(Key(NAMESPACE.resource, "", self.namespace)) is None:
            raise not_found(NAMESPACE, self.namespace)
