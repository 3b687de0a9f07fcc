"""Which account may do what: by the Roles and bindings of the tree, and the two roles of others that it binds.

Rights that operators give their own accounts beside that are not in it: OpenShift Pipelines binds `edit` to `pipeline`,
and the operator of Data Science Pipelines gives `pipeline-runner-dspa` a Role of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gitops_tree.objects import name_of, namespace_of
from gitops_tree.operator_made import IMAGE_BUILDER, MODEL_REGISTRY, REGISTRY_USER, REGISTRY_USERS
from gitops_tree.tree import REGISTRY_NAMESPACE, Object, Tree

Rules = list[Mapping[str, Any]]
ROLES: Final[Mapping[tuple[str, str, str], Rules]] = {
    ("Role", REGISTRY_NAMESPACE, REGISTRY_USER): [
        {"apiGroups": [""], "resources": ["services", "endpoints"], "resourceNames": [MODEL_REGISTRY], "verbs": ["get"]}
    ],
    ("ClusterRole", "", IMAGE_BUILDER): [
        {"apiGroups": ["", "image.openshift.io"], "resources": ["imagestreams/layers"], "verbs": ["get", "update"]},
        {"apiGroups": ["", "image.openshift.io"], "resources": ["imagestreams"], "verbs": ["create"]},
        {"apiGroups": ["", "build.openshift.io"], "resources": ["builds/details"], "verbs": ["update"]},
        {"apiGroups": ["", "build.openshift.io"], "resources": ["builds"], "verbs": ["get"]},
    ],
}
"""Of others, by kind, namespace and name."""
BINDINGS: Final[list[Object]] = [
    {
        "kind": "RoleBinding",
        "metadata": {"name": REGISTRY_USERS, "namespace": REGISTRY_NAMESPACE},
        "roleRef": {"kind": "Role", "name": REGISTRY_USER},
        "subjects": [{"kind": "Group", "name": REGISTRY_USERS}],
    }
]
"""Of others: the operator of Model Registries lets in a Group that it makes, empty, for people."""


@dataclass(frozen=True)
class Deed:
    """What somebody wants to do.

    Attributes:
        verb: Of the API.
        resource: With its group: `pods`, `imagestreams/layers.image.openshift.io`.
        namespace: Where.
        name: Of the object; empty for a list, or for a create.
    """

    verb: str
    resource: str
    namespace: str
    name: str = ""

    @property
    def parts(self) -> tuple[str, str]:
        """The resource, with its subresource, and its group."""
        resource, _, group = self.resource.partition(".")
        return resource, group


def may(objects: list[Object], account: tuple[str, str], deed: Deed) -> bool:
    """Whether bindings among the objects let an account, its namespace and name, do it; a group has no namespace."""
    return any(_covers(rule, deed) for rule in _rules(objects, account, deed.namespace))


def may_in(tree: Tree, account: tuple[str, str], deed: Deed) -> bool:
    """The same by all that the tree applies without being asked."""
    return may([*tree.bootstrap, *(one for each in tree.rendered.values() for one in each)], account, deed)


def _rules(objects: list[Object], account: tuple[str, str], namespace: str) -> Iterator[Mapping[str, Any]]:
    roles = {("Role", namespace_of(one), name_of(one)): one["rules"] for one in objects if one["kind"] == "Role"}
    for one in (*objects, *BINDINGS):
        if one["kind"] == "RoleBinding" and namespace_of(one) == namespace:
            subjects = [_subject(each, namespace) for each in one["subjects"]]
            role = one["roleRef"]
            key = (role["kind"], namespace if role["kind"] == "Role" else "", role["name"])
            if account in subjects:
                yield from {**ROLES, **roles}.get(key, [])


def _subject(subject: Object, namespace: str) -> tuple[str, str]:
    where = subject.get("namespace", namespace) if subject["kind"] == "ServiceAccount" else ""
    return str(where), str(subject["name"])


def _covers(rule: Mapping[str, Any], deed: Deed) -> bool:
    resource, group = deed.parts
    named = rule.get("resourceNames")
    return (
        _has(rule["apiGroups"], group)
        and _has(rule["resources"], resource)
        and _has(rule["verbs"], deed.verb)
        and (not named or deed.name in named)
    )


def _has(listed: list[str], wanted: str) -> bool:
    return wanted in listed or "*" in listed
