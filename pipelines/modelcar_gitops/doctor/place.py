"""Where a doctor looks: a cluster that answers, a namespace in it, and what promotions there are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from modelcar.errors import PromotionError
from modelcar_gitops.doctor.checks import Check, find_fault, run_checks
from modelcar_gitops.doctor.findings import Finding, Sign
from modelcar_pipelines.cluster import Cluster, NotAllowed, find_cluster

REACHABLE: Final = "Reachable from here"
CONFIG: Final = "modelcar-config"
SETTINGS: Final = ("MODEL_REGISTRY_URL", "MODELCAR_GIT_URL", "MODELCAR_PLAIN_HTTP")
"""What a promotion's steps take from the ConfigMap, and a doctor as well where the environment does not say."""
_TIMEOUTS_S: Final = (5.0, 8.0)
_API: Final = "Kubernetes API"


@dataclass(frozen=True, slots=True)
class Place:
    """What was found out before anything else is asked.

    Attributes:
        namespace: Where models are served.
        cluster: That answers and knows who asks; None when there is none.
        there: Whether the namespace is in it, as far as can be told.
        env: The environment, and of `SETTINGS` what only the ConfigMap says.
        config: Why the ConfigMap says nothing, as the end of a sentence; empty when it was read.
        findings: What there is to say of it.
    """

    namespace: str
    cluster: Cluster | None
    there: bool
    env: Mapping[str, str] = field(repr=False)
    config: str
    findings: tuple[Finding, ...]


def find_place(namespace: str, env: Mapping[str, str]) -> Place:
    """Find the cluster, and read what promotions are told there."""
    try:
        cluster = replace(find_cluster(env, instead="", attempts=1), timeouts_s=_TIMEOUTS_S)
    except PromotionError as error:
        return Place(namespace, None, False, env, _NOBODY, (find_fault(REACHABLE, _API, error),))
    [finding] = run_checks([Check(REACHABLE, _API, lambda: [_look_at(cluster, namespace)])])
    if finding.sign is Sign.BROKEN:
        return Place(namespace, None, False, env, _NOBODY, (finding,))
    if finding.sign is Sign.MISSING:
        return Place(namespace, cluster, False, env, "is not there", (finding,))
    data, why = _read_config(cluster, namespace)
    told = {name: data[name] for name in SETTINGS if data.get(name) and not env.get(name)}
    return Place(namespace, cluster, True, {**env, **told}, why, (finding,))


def _look_at(cluster: Cluster, namespace: str) -> Finding:
    try:
        there = cluster.has_namespace(namespace)
    except NotAllowed:
        told = f"{cluster.url} answers, and does not let you look at namespace {namespace}, if there is one"
        return Finding(REACHABLE, _API, Sign.CANNOT_TELL, told, "Check the name, and ask for the role view in it.")
    if not there:
        told = f"{cluster.url} answers, and has no namespace {namespace}"
        return Finding(REACHABLE, _API, Sign.MISSING, told, "Check --namespace, and whether Argo CD has made it.")
    return Finding(REACHABLE, _API, Sign.OK, f"{cluster.url} answers, and has namespace {namespace}")


def _read_config(cluster: Cluster, namespace: str) -> tuple[dict[str, Any], str]:
    """What the ConfigMap holds, or why it says nothing."""
    try:
        found = cluster.get_object("", "v1", namespace, "configmaps", CONFIG)
    except NotAllowed:
        return {}, "may not be read by you"
    except PromotionError as error:
        return {}, f"cannot be read: {error}"
    return ({}, "is not there") if found is None else (found.get("data") or {}, "")


_NOBODY: Final = "cannot be asked for without the cluster"
