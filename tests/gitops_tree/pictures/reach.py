"""Who may connect to whom, and on which ports, asked of the simulated network; and which Roles are given to whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gitops_tree.cluster import endpoints, network
from gitops_tree.network_simulation import Endpoint
from gitops_tree.objects import namespace_of
from gitops_tree.tree import Object, Tree

ANYONE: Final = "stranger"
"""A pod of a namespace that nothing in the tree knows: what it reaches, everybody does."""
Port = tuple[int, str]


@dataclass(frozen=True)
class Reach:
    """What the policies let through.

    Attributes:
        places: Everything that connects or is connected to, by name.
        ports: By source and target, sorted: those that some policy names. A pair that no policy says
            anything of is left out.
        guarded: Names of those that a policy shields from whom it does not name.
    """

    places: Mapping[str, Endpoint]
    ports: Mapping[tuple[str, str], tuple[Port, ...]]
    guarded: frozenset[str]

    def is_open(self, target: str, port: Port) -> bool:
        """Whether a pod that nothing knows gets there, too."""
        return port in self.ports.get((ANYONE, target), ())


@dataclass(frozen=True)
class Grant:
    """A Role that a binding gives.

    Attributes:
        namespace: In which it counts.
        role: Its name.
        account: Who has it.
        home: The account's namespace; empty for a group of people.
        opt_in: Whether the binding is one of those that an administrator may apply beside the tree.
    """

    namespace: str
    role: str
    account: str
    home: str
    opt_in: bool


def reach(tree: Tree) -> Reach:
    """By the policies of the tree and of the operators, where blocks of addresses are outside the pods' network."""
    places, net = dict(sorted(endpoints(tree).items())), network(tree, blocks_match_pods=False)
    named = sorted({port for policy in net.policies for port in _ports(policy)})
    ports = {}
    for source in places.values():
        for target in places.values():
            if source is target or not (source.namespace or target.namespace):
                continue
            if net.isolates(target, "Ingress") or net.isolates(source, "Egress"):
                found = tuple(port for port in named if net.lets(source, target, *port))
                if found and len(found) < len(named):
                    ports[source.name, target.name] = found
    guarded = frozenset(one.name for one in places.values() if net.isolates(one, "Ingress"))
    return Reach(places, ports, guarded)


def grants(tree: Tree) -> list[Grant]:
    """By all RoleBindings."""
    return sorted(
        (
            Grant(
                namespace_of(one), one["roleRef"]["name"], each["name"], each.get("namespace", ""), one in tree.refresh
            )
            for one in tree.of_kind("RoleBinding")
            for each in one["subjects"]
        ),
        key=lambda one: (one.namespace, one.role, one.home, one.account),
    )


def _ports(policy: Object) -> Iterator[Port]:
    for direction in ("ingress", "egress"):
        for rule in policy["spec"].get(direction) or ():
            for port in rule.get("ports") or ():
                yield port["port"], port.get("protocol", "TCP")
