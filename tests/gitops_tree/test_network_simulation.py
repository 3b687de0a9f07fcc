"""The simulation itself: what Kubernetes says of NetworkPolicies, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from gitops_tree.network_simulation import Endpoint, Network

WEB = Endpoint("web", "10.0.0.1", "here", {"app": "web"}, {"http": 8080})
CLIENT = Endpoint("client", "10.0.0.2", "here", {"app": "client"})
GUEST = Endpoint("guest", "10.0.0.3", "there", {"app": "client"})
OUTSIDE = Endpoint("outside", "203.0.113.7")


def lets(spec: dict[str, Any], source: Endpoint, target: Endpoint, port: int = 8080, protocol: str = "TCP") -> bool:
    policy = {"metadata": {"name": "policy", "namespace": "here"}, "spec": spec}
    namespaces = {"here": {"team": "us"}, "there": {"team": "them"}}
    return Network([policy], namespaces, blocks_match_pods=False).lets(source, target, port, protocol)


def ingress(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"], "ingress": list(rules)}


def egress(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": {"app": "client"}}, "policyTypes": ["Egress"], "egress": list(rules)}


@pytest.mark.parametrize("source", [CLIENT, GUEST, OUTSIDE])
def test_a_pod_that_no_policy_selects_is_open_to_all(source: Endpoint) -> None:
    assert lets(egress(), source, WEB) == (source is not CLIENT)
    assert lets(ingress(), source, GUEST)


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ({}, {"client", "guest", "outside"}),
        ({"from": [{"podSelector": {}}]}, {"client"}),
        ({"from": [{"namespaceSelector": {}}]}, {"client", "guest"}),
        ({"from": [{"namespaceSelector": {"matchLabels": {"team": "them"}}}]}, {"guest"}),
        ({"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}]}, set()),
        ({"from": [{"namespaceSelector": {"matchLabels": {"team": "x"}}}, {"podSelector": {}}]}, {"client"}),
        ({"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}, {"outside"}),
        ({"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["203.0.113.0/24"]}}]}, set()),
        ({"from": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}]}, {"client"}),
        ({"from": [{"podSelector": {"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}}]}, {"client"}),
        ({"from": [{"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a"]}]}}]}, set()),
    ],
)
def test_who_is_let_in(rule: dict[str, Any], allowed: set[str]) -> None:
    assert {source.name for source in (CLIENT, GUEST, OUTSIDE) if lets(ingress(rule), source, WEB)} == allowed


@pytest.mark.parametrize(
    ("port", "allowed"),
    [
        ({"port": 8080}, True),
        ({"port": 8081}, False),
        ({"port": "http"}, True),
        ({"port": "https"}, False),
        ({"port": 8000, "endPort": 8090}, True),
        ({"port": 8081, "endPort": 8090}, False),
        ({"protocol": "UDP", "port": 8080}, False),
        ({"protocol": "TCP"}, True),
    ],
)
def test_at_which_port(port: dict[str, Any], allowed: bool) -> None:
    assert lets(ingress({"ports": [port]}), CLIENT, WEB) == allowed
    assert lets(egress({"ports": [port]}), CLIENT, WEB) == allowed


def test_a_policy_is_for_what_goes_in_and_for_what_goes_out_only_when_it_says_so() -> None:
    assert not lets({"podSelector": {}}, CLIENT, WEB)
    assert lets({"podSelector": {}}, WEB, GUEST)
    assert not lets({"podSelector": {}, "ingress": [{}], "egress": []}, WEB, GUEST)
    assert lets({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}, GUEST, WEB)


def test_a_connection_has_to_be_let_out_and_in() -> None:
    policies = [
        {"metadata": {"name": name, "namespace": "here"}, "spec": spec}
        for name, spec in {"in": ingress({"from": [{"podSelector": {}}]}), "out": egress()}.items()
    ]
    assert not Network(policies, {"here": {}}, blocks_match_pods=False).lets(CLIENT, WEB, 8080)
    assert Network(policies[:1], {"here": {}}, blocks_match_pods=False).lets(CLIENT, WEB, 8080)


def test_an_address_block_matches_pods_where_the_plug_in_says_so() -> None:
    policy = {
        "metadata": {"name": "p", "namespace": "here"},
        "spec": egress({"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}),
    }
    found = [
        Network([policy], {"here": {}}, blocks_match_pods=matched).lets(CLIENT, WEB, 1) for matched in (True, False)
    ]
    assert found == [True, False]
