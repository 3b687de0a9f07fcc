"""How the steps of a run ended, as pods tell it and as a local run's events do."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from canned_answers import Answer, serve_answers
from modelcar.errors import PromotionError
from modelcar.steps.ended import EVENTS, PIPELINE_RUN, EndedStep, find_ended_steps
from modelcar.steps.note import Note
from modelcar_sandbox.kubernetes import KubernetesApi, write_kubeconfig
from modelcar_sandbox.service import Service

JOB = "promote-model-x7k2p"
FULL = Note("Build and push", "the registry is full", "Delete images.", 1)
START, END = "2026-11-25T20:42:21Z", "2026-11-25T20:42:31Z"


class Cluster:
    """A cluster with the pods of runs."""

    def __init__(self, core: client.CoreV1Api) -> None:
        self.core = core

    def pod(self, node: str, phase: str, job: str = JOB, **status: Any) -> None:
        """A pod of a node of a run's workflow."""
        name = f"{job}-{uuid.uuid4().hex[:8]}"
        metadata = {
            "name": name,
            "labels": {"workflows.argoproj.io/workflow": job},
            "annotations": {"workflows.argoproj.io/node-name": f"{job}.root.{node}"},
        }
        spec = {"containers": [{"name": "main", "image": "registry.example/step:1"}]}
        self.core.create_namespaced_pod("team", {"metadata": metadata, "spec": spec})
        self.core.patch_namespaced_pod_status(name, "team", {"status": {"phase": phase, **status}})

    def step(self, node: str, exit_code: int, message: str = "", reason: str = "Error") -> None:
        """The pod of a step whose container has ended."""
        ended = {"exitCode": exit_code, "message": message, "startedAt": START, "finishedAt": END}
        done = "Failed" if exit_code else "Succeeded"
        reason = reason if exit_code else "Completed"
        self.pod(f"{node}.executor", done, containerStatuses=[container(terminated={**ended, "reason": reason})])

    def tekton_pod(self, task: str, suffix: str, ended: dict[str, Any], member_of: str = "tasks") -> None:
        """A pod of a task of a PipelineRun whose step has ended."""
        name = f"{JOB}-{task}-{suffix}"
        labels = {
            "tekton.dev/pipelineRun": JOB,
            "tekton.dev/pipelineTask": task,
            "tekton.dev/memberOf": member_of,
        }
        spec = {"containers": [{"name": "step-run", "image": "registry.example/step:1"}]}
        self.core.create_namespaced_pod("team", {"metadata": {"name": name, "labels": labels}, "spec": spec})
        status = {"phase": "Failed", "containerStatuses": [container("step-run", terminated=ended)]}
        self.core.patch_namespaced_pod_status(name, "team", {"status": status})


def container(name: str = "main", **state: Any) -> dict[str, Any]:
    return {"name": name, "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """The cluster of the kubeconfig."""
    for name in ("KUBERNETES_SERVICE_HOST", EVENTS, "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    api = KubernetesApi(tmp_path / "kubernetes")
    with Service(api) as service:
        use_kubeconfig(tmp_path, service.url, monkeypatch)
        core = client.CoreV1Api(config.new_client_from_config(str(tmp_path / "kubeconfig")))
        core.create_namespace({"metadata": {"name": "team"}})
        yield Cluster(core)
        api.close()


def use_kubeconfig(directory: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = directory / "kubeconfig"
    write_kubeconfig(path, url, "team")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))


def test_steps_are_told_with_their_times_and_drivers_are_not(cluster: Cluster) -> None:
    cluster.pod("exit-handler-1-driver", "Succeeded")
    cluster.step("exit-handler-1.resolve-model", 0)
    cluster.pod("exit-handler-1.push-driver", "Succeeded")
    cluster.step("exit-handler-1.push", 0)
    assert sorted(find_ended_steps(JOB), key=lambda one: one.task) == [
        EndedStep("push", "SUCCEEDED", 10.0),
        EndedStep("resolve-model", "SUCCEEDED", 10.0),
    ]


def test_a_failed_step_has_the_note_that_it_left(cluster: Cluster) -> None:
    cluster.step("push", 1, message=f"{FULL}")
    assert find_ended_steps(JOB) == [EndedStep("push", "FAILED", 10.0, FULL, "Error (exit code 1)")]


def test_only_the_run_that_is_asked_for_counts(cluster: Cluster) -> None:
    cluster.pod("push.executor", "Failed", "another-run", message="Evicted")
    assert find_ended_steps(JOB) == []


def test_a_step_that_ran_out_of_memory_has_no_note(cluster: Cluster) -> None:
    cluster.step("push", 137, reason="OOMKilled")
    assert find_ended_steps(JOB) == [EndedStep("push", "FAILED", 10.0, None, "OOMKilled (exit code 137)")]


def test_a_step_whose_time_was_over_says_so_beside_its_note(cluster: Cluster) -> None:
    stopped = Note("Build and push", "stopped from outside", "Run it again: what was done is found.", 143)
    ended = {"exitCode": 143, "message": str(stopped), "startedAt": START, "finishedAt": END, "reason": "Error"}
    main = container(terminated=ended)
    cluster.pod("push.executor", "Failed", reason="DeadlineExceeded", containerStatuses=[main])
    (one,) = find_ended_steps(JOB)
    assert (one.note, one.reason) == (stopped, "DeadlineExceeded: Error (exit code 143)")


def test_a_pod_that_was_evicted_says_why(cluster: Cluster) -> None:
    cluster.pod("push.executor", "Failed", reason="Evicted", message="The node was low on resource: memory.")
    assert find_ended_steps(JOB) == [
        EndedStep("push", "FAILED", None, None, "Evicted: The node was low on resource: memory.")
    ]


@pytest.mark.parametrize("where", ["containerStatuses", "initContainerStatuses"])
def test_an_image_that_cannot_be_pulled_is_a_step_that_failed(cluster: Cluster, where: str) -> None:
    stuck = container(
        "main" if where == "containerStatuses" else "kfp-launcher",
        waiting={"reason": "ImagePullBackOff", "message": "Back-off pulling image"},
    )
    cluster.pod("push.executor", "Pending", JOB, **{where: [stuck]})
    assert find_ended_steps(JOB) == [
        EndedStep("push", "FAILED", None, None, "ImagePullBackOff: Back-off pulling image")
    ]


def test_what_failed_before_the_step_could_begin_is_named(cluster: Cluster) -> None:
    cluster.pod(
        "push.executor",
        "Failed",
        initContainerStatuses=[container("init", terminated={"exitCode": 2, "reason": "Error"})],
        containerStatuses=[container(waiting={"reason": "PodInitializing"})],
    )
    assert find_ended_steps(JOB) == [EndedStep("push", "FAILED", None, None, "init: Error (exit code 2)")]


@pytest.mark.parametrize("state", [{"running": {}}, {"waiting": {"reason": "ContainerCreating"}}])
def test_a_step_that_runs_or_is_about_to_is_left_out(cluster: Cluster, state: dict[str, Any]) -> None:
    cluster.pod("report-failure.executor", "Running", containerStatuses=[container(**state)])
    assert find_ended_steps(JOB) == []


def test_of_a_step_that_was_tried_again_the_last_attempt_counts(cluster: Cluster) -> None:
    cluster.pod("push.executor(0)", "Failed", message="first")
    cluster.pod("push.executor(1)", "Failed", message="second")
    ended = {"exitCode": 0, "startedAt": START, "finishedAt": END, "reason": "Completed"}
    cluster.pod("push.executor(2)", "Succeeded", containerStatuses=[container(terminated=ended)])
    assert find_ended_steps(JOB) == [EndedStep("push", "SUCCEEDED", 10.0)]


def test_attempts_of_one_second_are_told_apart_by_their_number(cluster: Cluster) -> None:
    for number in (2, 9, 10):
        cluster.pod(f"push.executor({number})", "Failed", message=f"attempt {number}")
    assert [one.reason for one in find_ended_steps(JOB)] == ["attempt 10"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(403, {"kind": "Status", "code": 403, "reason": "Forbidden"}), "Forbidden"),
        (Answer(401, {"kind": "Status", "code": 401, "reason": "Unauthorized"}), "Unauthorized"),
    ],
)
def test_who_may_not_list_pods_is_told_what_to_grant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer, reason: str
) -> None:
    monkeypatch.delenv(EVENTS, raising=False)
    with serve_answers(answer) as server:
        use_kubeconfig(tmp_path, server.url, monkeypatch)
        with pytest.raises(PromotionError) as raised:
            find_ended_steps(JOB)
    assert str(raised.value) == f"the pods of {JOB} cannot be listed: {reason}"
    assert raised.value.hint == "Let the pipeline's ServiceAccount list pods in its namespace."


def test_no_cluster_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EVENTS, raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with pytest.raises(PromotionError, match=f"the pods of {JOB} cannot be listed: "):
        find_ended_steps(JOB)


def test_the_events_of_a_local_run_go_before_any_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def event(second: int, path: str, state: str, exit_code: int | None, message: str = "") -> str:
        told = {"at": f"2026-03-01T12:00:{second:02}.500000Z", "event": "task", "task": path.rpartition("/")[2]}
        return json.dumps({**told, "path": path, "state": state, "exit_code": exit_code, "message": message})

    lines = [
        event(0, "group", "RUNNING", None),
        event(0, "group/resolve", "RUNNING", None),
        event(1, "group/resolve", "SUCCEEDED", 0),
        event(1, "group/push", "RUNNING", None),
        event(2, "group/push", "RUNNING", 1, "first attempt"),
        event(3, "group/push", "RUNNING", None),
        event(5, "group/push", "FAILED", 1, str(FULL)),
        event(5, "group/patch", "SKIPPED", None),
        event(5, "group", "FAILED", None, "push failed"),
        event(6, "report", "RUNNING", None),
    ]
    (tmp_path / "events").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv(EVENTS, str(tmp_path / "events"))
    assert find_ended_steps(JOB) == [
        EndedStep("resolve", "SUCCEEDED", 1.0, None, ""),
        EndedStep("push", "FAILED", 4.0, FULL, str(FULL)),
    ]


def test_on_tekton_the_pods_of_the_pipeline_run_tell_it_but_not_those_that_run_last(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PIPELINE_RUN, JOB)
    message = json.dumps([{"key": "failure", "value": str(FULL), "type": 1}, {"key": "StartedAt", "value": START}])
    ended = {"startedAt": START, "finishedAt": END}
    failed = {**ended, "exitCode": 1, "reason": "Error", "message": message}
    done = {**ended, "exitCode": 0, "reason": "Completed", "message": "[]"}
    cluster.tekton_pod("resolve-model", "pod", done)
    cluster.tekton_pod("push", "pod", {**failed, "message": "[]"})
    cluster.tekton_pod("push", "pod-retry1", failed)
    cluster.tekton_pod("report-failure", "pod", failed, member_of="finally")
    assert sorted(find_ended_steps(JOB), key=lambda one: one.task) == [
        EndedStep("push", "FAILED", 10.0, FULL, "Error (exit code 1)"),
        EndedStep("resolve-model", "SUCCEEDED", 10.0),
    ]
