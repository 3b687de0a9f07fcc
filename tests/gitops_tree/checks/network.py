"""Checks 14 and 15: what NetworkPolicies select, and who reaches the Model Registry and its database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gitops_tree.checks.registry import check
from gitops_tree.cluster import endpoints, network
from gitops_tree.network_simulation import Endpoint, Network
from gitops_tree.objects import describe, namespace_of, selects
from gitops_tree.tree import Object, Tree

REGISTRY_PORT, DATABASE_PORT, DNS_PORT = 8443, 3306, 5353
USERS: Final = ("Tekton step", "Kubeflow step", "workbench", "dashboard", "router")
"""Who asks the Model Registry."""


@check(14, "Each NetworkPolicy, and each peer that it names, selects a pod of the tree or of an operator")
def selectors(tree: Tree) -> Iterator[str]:
    everything = [one for one in endpoints(tree).values() if one.namespace]
    namespaces = network(tree, blocks_match_pods=True).namespaces
    for policy in tree.of_kind("NetworkPolicy"):
        home = namespace_of(policy)
        if not any(
            one.namespace == home and selects(policy["spec"].get("podSelector") or {}, one.labels) for one in everything
        ):
            yield f"{describe(policy)} selects no pod"
        for number, peer in enumerate(_peers(policy)):
            where = [
                name
                for name, labels in namespaces.items()
                if (selects(peer["namespaceSelector"] or {}, labels) if "namespaceSelector" in peer else name == home)
            ]
            if "ipBlock" not in peer and not any(
                one.namespace in where and selects(peer.get("podSelector") or {}, one.labels) for one in everything
            ):
                yield f"{describe(policy)}: its peer {number + 1} is no pod"


def _peers(policy: Object) -> Iterator[Object]:
    for direction, key in (("ingress", "from"), ("egress", "to")):
        for rule in policy["spec"].get(direction) or ():
            yield from rule.get(key) or ()


@check(15, "Steps, workbench and dashboard reach the Model Registry, only that reaches MySQL, and names resolve")
def reachable(tree: Tree) -> Iterator[str]:
    """Who must reach does so where an ipBlock matches no pods, and who must not does not where it matches them."""
    there = endpoints(tree)
    strict, loose = (network(tree, blocks_match_pods=matched) for matched in (False, True))
    registry, database = there["Model Registry"], there.get("database")
    for name in USERS:
        if name not in there or not strict.lets(there[name], registry, REGISTRY_PORT):
            yield f"{name} does not reach the Model Registry"
    if database is not None:
        if not strict.lets(registry, database, DATABASE_PORT):
            yield "the Model Registry does not reach its database"
        for one in there.values():
            if one not in (registry, database) and loose.lets(one, database, DATABASE_PORT):
                yield f"{one.name} reaches the Model Registry's database"
    for one in there.values():
        yield from _unnamed(one, strict, there["DNS"])


def _unnamed(one: Endpoint, strict: Network, dns: Endpoint) -> Iterator[str]:
    for protocol in ("UDP", "TCP"):
        if strict.isolates(one, "Egress") and not strict.lets(one, dns, DNS_PORT, protocol):
            yield f"{one.name} may connect to some, and not to the cluster's DNS by {protocol}"
