"""What serves is read from the Deployment and its pods, whatever the InferenceService says of itself."""

from __future__ import annotations

import pytest

from doctor.objects import (
    BACK_OFF,
    IMAGE,
    NEVER_BUILT,
    NEW,
    OLD,
    Object,
    deployment,
    ended,
    pod,
    service,
    surging,
    waiting,
)
from modelcar_gitops.rollout import RolloutStatus, State, read_rollout

OLD_POD = pod(OLD, ready=True, made="2026-11-23T11:00:00Z")
NOTHING_READY = deployment(counts={"replicas": 1, "updatedReplicas": 1, "unavailableReplicas": 1})


def test_a_model_serves_when_the_deployment_is_through_and_every_ready_pod_runs_it() -> None:
    rollout = read_rollout(service(), deployment(), [pod(NEW, ready=True)])
    assert rollout == RolloutStatus("granite", State.SERVING, NEW, (NEW,), "")


def test_a_pod_of_the_old_model_that_is_going_does_not_count() -> None:
    going = {**OLD_POD, "metadata": {**OLD_POD["metadata"], "deletionTimestamp": "2026-11-23T12:01:00Z"}}
    assert read_rollout(service(), deployment(), [going, pod(NEW, ready=True)]).state is State.SERVING


def test_a_pod_that_was_evicted_does_not_count() -> None:
    evicted = pod(OLD, phase="Failed")
    assert read_rollout(service(), deployment(), [evicted, pod(NEW, ready=True)]).state is State.SERVING


@pytest.mark.parametrize(
    ("why", "deployed", "pods"),
    [
        ("the new pod starts", surging(), [OLD_POD, pod(NEW)]),
        ("its containers are made", surging(), [OLD_POD, pod(NEW, init=waiting("ContainerCreating"))]),
        ("its server ended once, before the link was there", surging(), [OLD_POD, pod(NEW, server=ended(1))]),
        ("it waits for its second start", surging(), [OLD_POD, pod(NEW, server=waiting("CrashLoopBackOff", "", 1, 1))]),
        ("the old pod is still ready", surging(readyReplicas=2), [OLD_POD, pod(NEW, ready=True)]),
        ("the Deployment's controller has not seen the change", deployment(NEW, seen=1), [OLD_POD]),
        ("KServe has not changed the Deployment", deployment(OLD), [OLD_POD]),
        ("the new pod is not made yet", surging(updatedReplicas=0, replicas=1), [OLD_POD]),
    ],
)
def test_it_rolls_out_while(why: str, deployed: Object, pods: list[Object]) -> None:
    rollout = read_rollout(service(), deployed, pods)
    assert (rollout.state, OLD in rollout.serving) == (State.ROLLING_OUT, True), why


def test_it_rolls_out_until_all_pods_that_are_wanted_are_ready() -> None:
    assert read_rollout(service(), deployment(wants=2), [pod(NEW, ready=True)]).state is State.ROLLING_OUT


def test_of_models_that_serve_together_the_wanted_one_comes_first() -> None:
    both = [OLD_POD, pod(NEW, ready=True)]
    assert read_rollout(service(NEW), surging(readyReplicas=2), both).serving == (NEW, OLD)
    assert read_rollout(service(OLD), surging(readyReplicas=2), both).serving == (OLD, NEW)


def test_what_is_scaled_to_no_pod_is_stopped() -> None:
    rollout = read_rollout(service(), deployment(wants=0, counts={}), [])
    assert rollout == RolloutStatus("granite", State.STOPPED, NEW, (), "scaled to no pod")


def test_what_a_rollout_waits_for_is_told() -> None:
    assert read_rollout(service(), surging(), [OLD_POD, pod(NEW)]).reason == "1 of 1 pods made, 1 ready in all"
    assert read_rollout(service(), deployment(OLD), [OLD_POD]).reason == "KServe has not put it into the Deployment yet"
    assert read_rollout(service(), None, []).reason == "KServe has made no Deployment yet"


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (
            pod(NEW, init=waiting("ImagePullBackOff", BACK_OFF)),
            f"ImagePullBackOff of container modelcar-init: {BACK_OFF}",
        ),
        (
            pod(NEW, init=waiting("ErrImagePull", "not found")),
            "ErrImagePull of container modelcar-init: not found",
        ),
        (
            pod(NEW, init=waiting("CrashLoopBackOff", "back-off 20s restarting", 2, 1)),
            "CrashLoopBackOff of container modelcar-init: it ended with exit code 1",
        ),
        (pod(NEW, init=ended(1)), "Error of container modelcar-init: it ended with exit code 1"),
        (
            pod(NEW, server=waiting("CrashLoopBackOff", "back-off 40s restarting", 3, 1)),
            "CrashLoopBackOff of container kserve-container: it ended with exit code 1",
        ),
        (
            pod(NEW, server=ended(137, 2, "OOMKilled")),
            "OOMKilled of container kserve-container: it ended with exit code 137 (OOMKilled)",
        ),
        (
            pod(NEW, server=waiting("CreateContainerConfigError", 'secret "hub" not found')),
            'CreateContainerConfigError of container kserve-container: secret "hub" not found',
        ),
        (
            pod(NEW, scheduled={"reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient gpu."}),
            "Unschedulable: 0/1 nodes are available: 1 Insufficient gpu.",
        ),
    ],
)
def test_it_cannot_start_and_the_old_model_still_serves(new: Object, reason: str) -> None:
    rollout = read_rollout(service(), surging(), [OLD_POD, new])
    assert rollout == RolloutStatus("granite", State.CANNOT_START, NEW, (OLD,), reason)


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: gpus"},
            "FailedCreate: exceeded quota: gpus",
        ),
        (
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"},
            "ProgressDeadlineExceeded: timed out",
        ),
    ],
)
def test_where_no_pod_tells_the_deployment_does(condition: Object, reason: str) -> None:
    rollout = read_rollout(service(), surging(conditions=[condition]), [OLD_POD])
    assert rollout == RolloutStatus("granite", State.CANNOT_START, NEW, (OLD,), reason)


def test_a_condition_of_the_past_is_not_held_against_a_deployment_that_is_through() -> None:
    condition = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": ""}
    assert read_rollout(service(), deployment(conditions=[condition]), [pod(NEW, ready=True)]).state is State.SERVING


def test_of_several_pods_the_newest_of_the_wanted_model_tells_why() -> None:
    earlier = pod(NEW, made="2026-11-23T12:00:00Z", init=waiting("ErrImagePull", "earlier"))
    later = pod(NEW, made="2026-11-23T12:05:00Z", init=waiting("ErrImagePull", "later"))
    other = pod(OLD, made="2026-11-23T12:09:00Z", init=waiting("ErrImagePull", "other"))
    rollout = read_rollout(service(), NOTHING_READY, [earlier, later, other])
    assert rollout.reason == "ErrImagePull of container modelcar-init: later"


def test_a_model_that_served_and_crashes_serves_no_more() -> None:
    crashed = pod(NEW, server=waiting("CrashLoopBackOff", "", 4, 1))
    rollout = read_rollout(service(), NOTHING_READY, [crashed])
    assert (rollout.state, rollout.serving) == (State.CANNOT_START, ())


def test_other_arguments_that_do_not_start_are_told_of_the_same_digest() -> None:
    new = pod(NEW, server=waiting("CrashLoopBackOff", "", 3, 2))
    rollout = read_rollout(service(), surging(), [pod(NEW, ready=True, made="2026-11-23T11:00:00Z"), new])
    assert (rollout.state, rollout.wanted, rollout.serving) == (State.CANNOT_START, NEW, (NEW,))


def test_what_kserve_refuses_is_told_where_there_is_no_deployment() -> None:
    failure = {"reason": "RuntimeNotRecognized", "message": "No ServingRuntime vllm-cuda"}
    rollout = read_rollout(service(failure=failure), None, [])
    assert (rollout.state, rollout.reason) == (State.CANNOT_START, "RuntimeNotRecognized: No ServingRuntime vllm-cuda")


@pytest.mark.parametrize(("digest", "waits"), [(NEVER_BUILT, True), (NEW, False)])
def test_what_is_stopped_waits_for_its_first_promotion_while_its_image_was_never_built(
    digest: str, waits: bool
) -> None:
    rollout = read_rollout(service(digest, stop="true"), None, [])
    assert (rollout.state, rollout.waits_for_promotion) == (State.STOPPED, waits)


def test_what_is_stopped_no_more_is_looked_at() -> None:
    assert read_rollout(service(stop="false"), deployment(), [pod(NEW, ready=True)]).state is State.SERVING


def test_the_image_that_runs_goes_before_the_one_that_was_asked_for() -> None:
    moved = pod(NEW, ready=True, modelcar={"imageID": f"{IMAGE}@{OLD}"})
    assert read_rollout(service(), deployment(), [moved]).serving == (OLD,)


def test_an_image_of_several_platforms_is_known_by_the_index_that_the_pod_names_beside_its_own_manifest() -> None:
    one = pod(NEW, ready=True, modelcar={"imageID": f"{IMAGE}@{OLD}", "image": f"{IMAGE}@{NEW}"})
    assert read_rollout(service(), deployment(), [one]).state is State.SERVING


@pytest.mark.parametrize("image_id", ["", "sha256:" + "ab" * 32])
def test_without_the_digest_of_a_repository_the_image_of_the_pods_spec_counts(image_id: str) -> None:
    one = pod(NEW, ready=True, modelcar={"imageID": image_id}, init={"imageID": image_id})
    assert read_rollout(service(), deployment(), [one]).state is State.SERVING


def test_a_model_that_is_no_image_is_told_by_its_address() -> None:
    uri = "pvc://models/granite"
    given = service()
    given["spec"]["predictor"]["model"]["storageUri"] = uri
    annotations = {"internal.serving.kserve.io/storage-initializer-sourceuri": uri}
    made = pod(NEW, ready=True)
    made["metadata"]["annotations"] = annotations
    made["spec"] = {"containers": [{"name": "kserve-container"}]}
    made["status"]["containerStatuses"].pop()
    deployed = deployment()
    deployed["spec"]["template"] = {"metadata": {"annotations": annotations}, "spec": made["spec"]}
    assert read_rollout(given, deployed, [made]) == RolloutStatus("granite", State.SERVING, uri, (uri,))


def test_a_reason_is_one_line_that_a_terminal_obeys_in_nothing() -> None:
    rollout = read_rollout(service(), surging(), [pod(NEW, init=waiting("ErrImagePull", "a\n b\x1b[31m" + "c" * 400))])
    assert rollout.reason.startswith("ErrImagePull of container modelcar-init: a b[31mccc")
    assert (len(rollout.reason), rollout.reason[-1]) == (300, "…")
