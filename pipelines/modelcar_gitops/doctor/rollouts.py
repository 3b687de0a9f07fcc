"""What serves in a namespace, asked of its Deployments and pods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from modelcar.errors import PromotionError
from modelcar_gitops.doctor.checks import find_fault
from modelcar_gitops.doctor.findings import Finding, Sign
from modelcar_gitops.rollout import POD_LABEL, Object, RolloutStatus, State, deployment_of, read_rollout
from modelcar_pipelines.cluster import Cluster

GROUP: Final = "What serves"
_SIGNS: Final = {
    State.SERVING: Sign.OK,
    State.STOPPED: Sign.OK,
    State.ROLLING_OUT: Sign.CANNOT_TELL,
    State.CANNOT_START: Sign.BROKEN,
}
_SHORT: Final = len("sha256:") + 12


def read_services(cluster: Cluster, namespace: str) -> tuple[list[Object], list[Finding]]:
    """The InferenceServices of a namespace by their names, and what there is to say where there are none to see."""
    try:
        services = cluster.list_objects("serving.kserve.io", "v1beta1", namespace, "inferenceservices")
    except PromotionError as error:
        return [], [find_fault(GROUP, "InferenceServices", error)]
    if services is None:
        told = "the cluster does not know InferenceServices: KServe is not there"
        return [], [_missing(told, "Install OpenShift AI with KServe, or check which cluster the kubeconfig names.")]
    if not services:
        way_out = (
            "Look whether Argo CD has applied stage01-application; modelcar gitops new-model adds one to the tree."
        )
        return [], [_missing(f"there is none in namespace {namespace}", way_out)]
    return sorted(services, key=lambda service: str(service["metadata"]["name"])), []


def look_at_rollouts(cluster: Cluster, namespace: str, services: Sequence[Object]) -> list[Finding]:
    """A finding for each InferenceService of a namespace, in their order."""
    return [_look_at(cluster, namespace, service) for service in services]


def _look_at(cluster: Cluster, namespace: str, service: Object) -> Finding:
    name = str(service["metadata"]["name"])
    try:
        deployment = cluster.get_object("apps", "v1", namespace, "deployments", deployment_of(service))
        pods = cluster.list_objects("", "v1", namespace, "pods", label_selector=f"{POD_LABEL}={name}")
    except PromotionError as error:
        return find_fault(GROUP, name, error)
    return describe_rollout(read_rollout(service, deployment, pods or ()), namespace)


def describe_rollout(rollout: RolloutStatus, namespace: str) -> Finding:
    """A rollout in words; digests by their first 12 hex digits."""
    return Finding(
        GROUP,
        rollout.service,
        _SIGNS[rollout.state],
        _describe(rollout),
        _find_way_out(rollout, namespace),
        note=rollout.state is State.ROLLING_OUT,
    )


def _describe(rollout: RolloutStatus) -> str:
    wanted, old = _short(rollout.wanted), ", ".join(_short(one) for one in rollout.serving if one != rollout.wanted)
    if rollout.state is State.SERVING:
        return f"serves {wanted}, and nothing else"
    if rollout.state is State.STOPPED:
        why = "it waits for its first promotion" if rollout.waits_for_promotion else rollout.reason
        return f"is stopped: {why}" if why else "is stopped"
    if old:
        beside = f"the old {old} still serves"
    elif rollout.serving:
        beside = f"older pods of {wanted} still serve"
    else:
        beside = "nothing serves"
    if rollout.state is State.CANNOT_START:
        return f"the new model {wanted} cannot start: {rollout.reason}; {beside}"
    return f"the new model {wanted} is rolling out: {rollout.reason}; {beside}"


def _find_way_out(rollout: RolloutStatus, namespace: str) -> str:
    if rollout.state is State.ROLLING_OUT:
        return "Look again in a minute; a large model takes longer."
    if rollout.state is not State.CANNOT_START:
        return ""
    look = f"oc describe pod -n {namespace} -l {POD_LABEL}={rollout.service}"
    if rollout.serving:
        return f"Mend that or revert the promotion's commit in git; more is told by: {look}"
    return f"Mend that; more is told by: {look}"


def _short(model: str) -> str:
    return model[len("sha256:") : _SHORT] if model.startswith("sha256:") else model


def _missing(text: str, way_out: str) -> Finding:
    return Finding(GROUP, "InferenceServices", Sign.MISSING, text, way_out)
