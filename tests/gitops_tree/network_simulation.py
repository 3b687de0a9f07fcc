"""Who may connect to whom under a set of NetworkPolicies, as Kubernetes defines them.

Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from gitops_tree.objects import namespace_of, selects
from gitops_tree.tree import Object


@dataclass(frozen=True)
class Endpoint:
    """A pod, or something outside the cluster's network of pods.

    Attributes:
        name: As tables call it.
        ip: Its address.
        namespace: Empty for what is outside.
        labels: Of the pod.
        ports: Named ports of the pod.
    """

    name: str
    ip: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """A cluster's network.

    Attributes:
        policies: All NetworkPolicies that there are.
        namespaces: Their labels by name.
        blocks_match_pods: Whether an ipBlock matches pods too; Kubernetes leaves that to the network's plug-in.
    """

    policies: Sequence[Object]
    namespaces: Mapping[str, Mapping[str, str]]
    blocks_match_pods: bool

    def lets(self, source: Endpoint, target: Endpoint, port: int, protocol: str = "TCP") -> bool:
        """Whether a connection is let through at both ends."""
        sent = self._allows(source, "Egress", target, target, port, protocol)
        return sent and self._allows(target, "Ingress", source, target, port, protocol)

    def isolates(self, one: Endpoint, direction: str) -> bool:
        """Whether any policy selects it in a direction, `Ingress` or `Egress`."""
        return any(True for _ in self._selecting(one, direction))

    def _selecting(self, one: Endpoint, direction: str) -> Iterator[Object]:
        for policy in self.policies:
            spec = policy["spec"]
            types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
            here = one.namespace and namespace_of(policy) == one.namespace
            if here and direction in types and selects(spec.get("podSelector") or {}, one.labels):
                yield policy

    def _allows(
        self, one: Endpoint, direction: str, peer: Endpoint, target: Endpoint, port: int, protocol: str
    ) -> bool:
        """Whether the policies of one end let its peer through."""
        policies = list(self._selecting(one, direction))
        rules = [
            (rule.get("from" if direction == "Ingress" else "to"), rule.get("ports"), namespace_of(policy))
            for policy in policies
            for rule in policy["spec"].get(direction.lower()) or ()
        ]
        return not policies or any(
            self._is_peer(peers, peer, home) and _is_port(ports, target, port, protocol) for peers, ports, home in rules
        )

    def _is_peer(self, peers: Sequence[Any] | None, one: Endpoint, home: str) -> bool:
        return not peers or any(self._is(peer, one, home) for peer in peers)

    def _is(self, peer: Mapping[str, Any], one: Endpoint, home: str) -> bool:
        if "ipBlock" in peer:
            return (not one.namespace or self.blocks_match_pods) and _is_in(peer["ipBlock"], one.ip)
        if not one.namespace:
            return False
        if "namespaceSelector" in peer:
            where = selects(peer["namespaceSelector"] or {}, self.namespaces[one.namespace])
        else:
            where = one.namespace == home
        return where and selects(peer.get("podSelector") or {}, one.labels)


def _is_in(block: Mapping[str, Any], ip: str) -> bool:
    address = ip_address(ip)
    return address in ip_network(block["cidr"]) and not any(
        address in ip_network(one) for one in block.get("except", ())
    )


def _is_port(ports: Sequence[Any] | None, target: Endpoint, port: int, protocol: str) -> bool:
    if not ports:
        return True
    for one in ports:
        first = one.get("port")
        number = target.ports.get(first) if isinstance(first, str) else first
        last = one.get("endPort", number)
        if one.get("protocol", "TCP") == protocol and (first is None or (number and number <= port <= last)):
            return True
    return False
