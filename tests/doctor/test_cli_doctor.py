"""`modelcar doctor` in a namespace without controllers: the tests write the statuses that these would."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from cli.command import Run
from doctor.namespace import Namespace
from doctor.objects import BACK_OFF, NEVER_BUILT, NEW, OLD, deployment, pod, service, surging, waiting
from doctor.told import lines
from modelcar_sandbox.sandbox import Sandbox

PLANTED = "s3cret-Pa55-planted"
DSPA = {"AWS_ACCESS_KEY_ID": PLANTED, "AWS_SECRET_ACCESS_KEY": PLANTED}


def test_all_is_well(namespace: Namespace, modelcar: Run, sandbox: Sandbox) -> None:
    image = f"{sandbox.registry_address}/models/demo-llama"
    namespace.put(service(image=image), deployment(), pod(NEW, ready=True))
    namespace.put(service(NEVER_BUILT, name="later", image=image, stop="true"))
    namespace.secret("dspa-object-store", **DSPA)
    namespace.secret("modelcar-git", username="robot", password=PLANTED)
    with namespace.registry_login():
        ran = modelcar("doctor", "--namespace", namespace.name)
    assert (ran.code, ran.stderr) == (0, ""), ran.stdout
    ok = {
        "Kubernetes API": f"{_cluster_url()} answers, and has namespace {namespace.name}",
        "Model Registry": f"{sandbox.model_registry_url} answers, and lets you list models",
        "pipeline server": f"{sandbox.pipelines_url} answers, and lets you in",
        "OCI registry": f"{sandbox.registry_address} answers, and lets you in",
        "git repository": f"{sandbox.git_url} answers, and lets you read",
        "mysql-credentials": "is there in rhoai-model-registries, with password and root-password",
        "dspa-object-store": f"is there in {namespace.name}, with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        "modelcar-git": f"is there in {namespace.name}, with username and password",
        "granite": "serves 1b1b1b1b1b1b, and nothing else",
        "later": "is stopped: it waits for its first promotion",
    }
    told = {subject: lines(ran.stdout, subject) for subject in ok}
    assert told == {subject: [f"ok {subject} {text}"] for subject, text in ok.items()}
    assert ran.stdout.splitlines()[-1] == f"All is well in {namespace.name}."


def test_a_new_model_that_cannot_start_is_told_with_both_digests(namespace: Namespace, modelcar: Run) -> None:
    new = pod(NEW, init=waiting("ImagePullBackOff", BACK_OFF))
    namespace.put(service(), surging(), pod(OLD, ready=True, made="2026-11-23T11:00:00Z"), new)
    ran = modelcar("doctor", "--namespace", namespace.name)
    assert (ran.code, ran.stderr) == (1, "")
    assert lines(ran.stdout, "granite") == [
        "broken granite the new model 1b1b1b1b1b1b cannot start: ImagePullBackOff of container modelcar-init: "
        f"{BACK_OFF}; the old 0a0a0a0a0a0a still serves",
        "-> Mend that or revert the promotion's commit in git; more is told by: "
        f"oc describe pod -n {namespace.name} -l serving.kserve.io/inferenceservice=granite",
    ]


def test_a_rollout_under_way_is_no_failure_of_it(namespace: Namespace, modelcar: Run) -> None:
    namespace.put(service(), surging(), pod(OLD, ready=True), pod(NEW))
    ran = modelcar("doctor", "--namespace", namespace.name, "--json")
    [found] = [one for one in json.loads(ran.stdout)["findings"] if one["subject"] == "granite"]
    assert found == {
        "group": "What serves",
        "subject": "granite",
        "sign": "cannot tell",
        "text": "the new model 1b1b1b1b1b1b is rolling out: 1 of 1 pods made, 1 ready in all; "
        "the old 0a0a0a0a0a0a still serves",
        "way_out": "Look again in a minute; a large model takes longer.",
        "note": True,
        "well": True,
    }


def test_each_inference_service_is_looked_at_by_its_own_pods(namespace: Namespace, modelcar: Run) -> None:
    for name in ("granite", "granite-2"):
        namespace.put(service(name=name), deployment(name=name))
    namespace.put(pod(NEW, ready=True), pod(NEW, name="granite-2", server=waiting("CrashLoopBackOff", "", 9, 1)))
    ran = modelcar("doctor", "--namespace", namespace.name)
    assert lines(ran.stdout, "granite") == ["ok granite serves 1b1b1b1b1b1b, and nothing else"]
    assert lines(ran.stdout, "granite-2")[0] == (
        "broken granite-2 the new model 1b1b1b1b1b1b cannot start: "
        "CrashLoopBackOff of container kserve-container: it ended with exit code 1; nothing serves"
    )


def test_an_empty_namespace_has_nothing_that_serves(namespace: Namespace, modelcar: Run) -> None:
    ran = modelcar("doctor", "--namespace", namespace.name)
    assert ran.code == 1
    assert lines(ran.stdout, "InferenceServices")[0] == (
        f"missing InferenceServices there is none in namespace {namespace.name}"
    )
    assert lines(ran.stdout, "OCI registry") == [
        "cannot tell OCI registry no InferenceService that can be read names an image, so it is not known which"
    ]


def test_no_value_of_a_secret_is_in_any_output(namespace: Namespace, modelcar: Run) -> None:
    namespace.secret("dspa-object-store", **DSPA)
    namespace.secret("modelcar-git", username=PLANTED)
    namespace.secret("modelcar-hub", token=PLANTED)
    encoded = "czNjcmV0LVBhNTUtcGxhbnRlZA=="
    for words in (("doctor",), ("doctor", "--json"), ("--debug", "doctor")):
        ran = modelcar(*words, "--namespace", namespace.name)
        printed = ran.stdout + ran.stderr
        assert "modelcar-hub" in printed
        assert PLANTED not in printed
        assert encoded not in printed


def test_a_secret_that_lacks_a_key_is_told_by_the_keys_name(namespace: Namespace, modelcar: Run) -> None:
    namespace.secret("modelcar-git", username="robot")
    namespace.secret("dspa-object-store", AWS_ACCESS_KEY_ID="x")
    ran = modelcar("doctor", "--namespace", namespace.name)
    where = namespace.name
    assert lines(ran.stdout, "modelcar-git") == [
        f"broken modelcar-git is there in {where} and has no password, "
        "for pushing promotions to the git repository that Argo CD applies",
        f"-> oc delete secret modelcar-git -n {where}, and then: oc create secret generic modelcar-git -n {where} "
        "--from-env-file=/dev/stdin # then type username=… and password=…, a line each, and Ctrl-D",
    ]
    assert lines(ran.stdout, "dspa-object-store")[1] == (
        "-> Add it; or, if nothing uses the Secret yet, oc delete secret/dspa-object-store "
        f"job/object-store-credentials -n {where}: Argo CD makes both anew"
    )


def _job(*conditions: dict[str, str]) -> dict[str, object]:
    container = {"name": "create", "image": "registry.example.com/team/modelcar-python:0.1.0"}
    status: dict[str, object] = {"startTime": "2026-11-23T12:00:00Z", "conditions": list(conditions)}
    if any(one["type"] == "Complete" for one in conditions):
        status |= {"completionTime": "2026-11-23T12:00:09Z", "succeeded": 1}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "object-store-credentials"},
        "spec": {"template": {"spec": {"restartPolicy": "OnFailure", "containers": [container]}}},
        "status": status,
    }


def _condition(kind: str, **more: str) -> dict[str, str]:
    return {"type": kind, "status": "True", "lastTransitionTime": "2026-11-23T12:00:09Z", **more}


FAILED = {"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}
AGAIN = "oc delete job/object-store-credentials -n {where}: Argo CD makes it anew"


@pytest.mark.parametrize(
    ("conditions", "why", "way_out"),
    [
        (None, "and is not there", "Look at the Argo CD Applications of the tree: they have the Job."),
        (
            [],
            "and has not ended",
            "Look again in a minute; oc describe job/object-store-credentials -n {where}",
        ),
        (
            [_condition("FailureTarget", **FAILED), _condition("Failed", **FAILED)],
            "and has failed: BackoffLimitExceeded: Job has reached the specified backoff limit",
            "oc logs job/object-store-credentials -n {where} says why; then " + AGAIN,
        ),
        (
            [_condition("SuccessCriteriaMet"), _condition("Complete")],
            "and somebody deleted it since",
            AGAIN,
        ),
    ],
)
def test_of_a_secret_that_a_job_makes_it_is_told_what_became_of_the_job(
    namespace: Namespace, modelcar: Run, conditions: list[dict[str, str]] | None, why: str, way_out: str
) -> None:
    if conditions is not None:
        namespace.put(_job(*conditions))
    told, way = lines(modelcar("doctor", "--namespace", namespace.name).stdout, "dspa-object-store")
    made = "made" if "deleted" in why else "makes"
    assert told == (
        f"missing dspa-object-store is not there in {namespace.name}, for the pipeline server's login to its object "
        f"store; Job object-store-credentials {made} it, {why}"
    )
    assert way == "-> " + way_out.format(where=namespace.name)


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("modelcar-git", f"username=robot\npassword={PLANTED}=/+\n"),
        ("modelcar-hub", f"token={PLANTED}\n"),
        ("modelcar-registry", ""),
        ("modelcar-pull", ""),
    ],
)
@pytest.mark.parametrize("namespace", [pytest.param("real", marks=pytest.mark.argocd)], indirect=True)
def test_the_command_that_is_told_makes_the_secret(
    namespace: Namespace, modelcar: Run, home: Path, name: str, typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "REAL_BIN" not in os.environ:
        pytest.skip("REAL_BIN is not set")
    monkeypatch.chdir(home)
    (home / "auth.json").write_text('{"auths": {}}')
    told, way_out = lines(modelcar("doctor", "--namespace", namespace.name).stdout, name)
    assert told.startswith(f"missing {name} is not there")
    assert told.endswith("(optional)") == (name != "modelcar-git")  # no promotion does without that
    command = way_out.removeprefix("-> ").replace("oc ", f"{os.environ['REAL_BIN']}/kubectl ", 1)
    subprocess.run(command, shell=True, input=typed, text=True, check=True, capture_output=True)  # noqa: S602
    assert lines(modelcar("doctor", "--namespace", namespace.name).stdout, name)[0].startswith(f"ok {name} is there")


def _cluster_url() -> str:
    from ruamel.yaml import YAML

    kubeconfig = YAML(typ="safe").load(Path(os.environ["KUBECONFIG"]))
    return str(kubeconfig["clusters"][0]["cluster"]["server"])
