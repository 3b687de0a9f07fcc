"""`modelcar doctor` where it is refused, misled or kept waiting: one clear line for each thing, and no crash."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from canned_answers import Answer, Canned, serve_answers
from cli.command import Ran, Run
from doctor.namespace import Namespace
from doctor.objects import NEW, service
from doctor.told import lines
from kubernetes_server import double
from modelcar_gitops.doctor.checks import Check, run_checks
from modelcar_gitops.doctor.findings import Finding, Sign
from modelcar_sandbox.kubernetes import write_kubeconfig
from modelcar_sandbox.oci_registry import create_app
from modelcar_sandbox.oci_registry.tokens import Auth
from modelcar_sandbox.sandbox import Sandbox
from modelcar_sandbox.service import Service

TEAM = "/api/v1/namespaces/team"
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/team/inferenceservices"
REFUSED = Answer(403, {"kind": "Status", "code": 403})


@pytest.fixture
def closed() -> Iterator[str]:
    """An address at which nobody listens, and nobody else begins to."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture
def mine(home: Path, shell: pytest.MonkeyPatch) -> Iterator[Namespace]:
    """An empty namespace of the sandbox."""
    with double(home) as cluster:
        shell.setenv("KUBECONFIG", str(home / "kubeconfig"))
        yield Namespace(cluster)


def ask(modelcar: Run, home: Path, shell: pytest.MonkeyPatch, url: str, *more: str) -> Ran:
    """What is told of the namespace `team` of a cluster at an address."""
    write_kubeconfig(home / "kubeconfig", url, "team")
    shell.setenv("KUBECONFIG", str(home / "kubeconfig"))
    return modelcar("doctor", "--namespace", "team", *more)


def of_the_cluster(ran: Ran) -> list[str]:
    """All that a cluster has to do with it; the rest of the shell's services answer."""
    ok = ("ok", "Reachable", "->")
    return [line for line in ran.stdout.splitlines() if not line.strip().startswith(ok)]


@pytest.mark.parametrize("name", ["Mine", "a b", "../kube-system", "", "-", "a" * 64])
def test_what_cannot_be_a_namespace_is_refused_before_anything_is_asked(modelcar: Run, name: str) -> None:
    ran = modelcar("doctor", "--namespace", name)
    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[0] == f"Error: {name!r} is not a namespace"


def test_a_namespace_that_is_not_there_is_told_once(mine: Namespace, modelcar: Run) -> None:
    ran = modelcar("doctor", "--namespace", "mnie")
    assert (ran.code, ran.stderr) == (1, "")
    [api, way_out] = lines(ran.stdout, "Kubernetes API")
    assert api.startswith("missing Kubernetes API http://127.0.0.1:")
    assert api.endswith(" answers, and has no namespace mnie")
    assert way_out == "-> Check --namespace, and whether Argo CD has made it."
    assert ran.stdout.count("mnie") == 2  # here, and in the last line
    assert "What serves" not in ran.stdout


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Answer(401, {"kind": "Status"}), "the cluster at {url} does not know who you are (401)"),
        (Answer(200, b"<html>Log in</html>"), "{url} is not a cluster's API"),
        (Answer(302, b"", {"Location": "/login"}), "{url} is not a cluster's API"),
        (Answer(503, {"kind": "Status"}), "the cluster at {url} answered 503"),
    ],
)
def test_a_cluster_that_does_not_answer_as_one_is_told_once(
    modelcar: Run, home: Path, shell: pytest.MonkeyPatch, answer: Answer, sentence: str
) -> None:
    with serve_answers(answer) as canned:
        ran = ask(modelcar, home, shell, canned.url)
        assert lines(ran.stdout, "Kubernetes API")[0] == f"broken Kubernetes API {sentence.format(url=canned.url)}"
    assert (ran.code, ran.stderr) == (1, "")
    assert len(of_the_cluster(ran)) == 3  # that, the OCI registry that nobody names, and the last line


def test_a_cluster_that_is_not_reached_is_told_once(
    modelcar: Run, home: Path, shell: pytest.MonkeyPatch, closed: str
) -> None:
    ran = ask(modelcar, home, shell, f"http://{closed}")
    assert (ran.code, ran.stderr) == (1, "")
    assert lines(ran.stdout, "Kubernetes API") == [
        f"broken Kubernetes API the cluster at http://{closed} cannot be reached: Connection refused",
        "-> Check the kubeconfig, and that you may reach the cluster from here.",
    ]
    assert len(of_the_cluster(ran)) == 3


def test_without_a_cluster_the_rest_is_looked_at(modelcar: Run, home: Path, shell: pytest.MonkeyPatch) -> None:
    shell.delenv("MODEL_REGISTRY_URL")
    ran = modelcar("doctor")
    assert (ran.code, ran.stderr) == (1, "")
    assert lines(ran.stdout, "Kubernetes API") == [
        f"missing Kubernetes API there is no cluster to ask: no kubeconfig at {home}/.kube/config",
        "-> Log in to the cluster with oc login.",
    ]
    assert lines(ran.stdout, "git repository")[0].startswith("ok git repository file://")
    assert lines(ran.stdout, "Model Registry") == [
        "cannot tell Model Registry MODEL_REGISTRY_URL is not set, and the ConfigMap modelcar-config cannot be asked "
        "for without the cluster",
        "-> Set MODEL_REGISTRY_URL to ask it all the same.",
    ]


@pytest.fixture
def creator() -> Iterator[Canned]:
    """A cluster that lets somebody look at a namespace and its InferenceServices, and at nothing else."""
    by_path = {TEAM: Answer(200, {"kind": "Namespace"}), SERVICES: Answer(200, {"items": [service()]})}
    with serve_answers(REFUSED, by_path=by_path) as canned:
        yield canned


def test_what_may_not_be_read_cannot_be_told(
    modelcar: Run, home: Path, shell: pytest.MonkeyPatch, creator: Canned
) -> None:
    ran = ask(modelcar, home, shell, creator.url)
    assert lines(ran.stdout, "team") == [
        "cannot tell team may not read Secrets in team: dspa-object-store, modelcar-git, modelcar-hub, "
        "modelcar-s3, modelcar-registry, modelcar-model-registry, modelcar-pull, modelcar-webhook",
        "-> Ask somebody who may get Secrets there (the role edit) to run this.",
    ]
    assert lines(ran.stdout, "rhoai-model-registries")[0] == (
        "cannot tell rhoai-model-registries may not read Secrets in rhoai-model-registries: mysql-credentials"
    )
    assert lines(ran.stdout, "granite") == [
        f"cannot tell granite the cluster at {creator.url} does not let you get deployments.apps in namespace team "
        "(403)",
        "-> Check the namespace and ask for the role view in it.",
    ]


def test_a_namespace_that_may_not_be_looked_at_is_not_taken_for_one_that_is_not_there(
    modelcar: Run, home: Path, shell: pytest.MonkeyPatch
) -> None:
    with serve_answers(REFUSED) as canned:
        ran = ask(modelcar, home, shell, canned.url)
        assert lines(ran.stdout, "Kubernetes API")[0] == (
            f"cannot tell Kubernetes API {canned.url} answers, and does not let you look at namespace team, if there "
            "is one"
        )
        assert lines(ran.stdout, "InferenceServices")[0] == (
            f"cannot tell InferenceServices the cluster at {canned.url} does not let you list "
            "inferenceservices.serving.kserve.io in namespace team (403)"
        )
    assert ran.code == 0  # nothing is known to be wrong


def test_a_cluster_without_kserve_is_told(modelcar: Run, home: Path, shell: pytest.MonkeyPatch) -> None:
    by_path = {TEAM: Answer(200, {"kind": "Namespace"}), SERVICES: Answer(404, b"404 page not found\n")}
    with serve_answers(REFUSED, by_path=by_path) as canned:
        ran = ask(modelcar, home, shell, canned.url)
    assert ran.code == 1
    assert lines(ran.stdout, "InferenceServices")[0] == (
        "missing InferenceServices the cluster does not know InferenceServices: KServe is not there"
    )


def test_settings_come_from_the_config_map_where_the_environment_has_none(
    mine: Namespace, modelcar: Run, sandbox: Sandbox, shell: pytest.MonkeyPatch, closed: str
) -> None:
    shell.delenv("MODELCAR_GIT_URL")
    data = {"MODELCAR_GIT_URL": sandbox.git_url, "MODEL_REGISTRY_URL": f"http://{closed}"}
    mine.put({"kind": "ConfigMap", "metadata": {"name": "modelcar-config"}, "data": data})
    told = modelcar("doctor", "--namespace", "mine").stdout
    assert lines(told, "git repository") == [f"ok git repository {sandbox.git_url} answers, and lets you read"]
    assert lines(told, "Model Registry") == [
        f"ok Model Registry {sandbox.model_registry_url} answers, and lets you list models"
    ]


@pytest.mark.parametrize("there", [False, True])
def test_a_setting_that_nobody_makes_is_named(
    mine: Namespace, modelcar: Run, shell: pytest.MonkeyPatch, *, there: bool
) -> None:
    shell.delenv("MODELCAR_GIT_URL")
    if there:
        mine.put({"kind": "ConfigMap", "metadata": {"name": "modelcar-config"}, "data": {"HF_ENDPOINT": "x"}})
    ran = modelcar("doctor", "--namespace", "mine")
    assert ran.code == 1
    assert lines(ran.stdout, "git repository") == [
        "missing git repository MODELCAR_GIT_URL is not set, and the ConfigMap modelcar-config "
        + ("does not have it" if there else "is not there"),
        "-> Put MODELCAR_GIT_URL into that ConfigMap, in git; specs that name it themselves do without.",
    ]


def test_what_is_not_reached_is_told_with_the_clients_own_words(
    mine: Namespace, modelcar: Run, shell: pytest.MonkeyPatch, closed: str, home: Path
) -> None:
    mine.put(service(image=f"{closed}/team/granite"))
    shell.setenv("MODEL_REGISTRY_URL", f"http://{closed}")
    shell.setenv("KF_PIPELINES_ENDPOINT", f"http://{closed}")
    shell.setenv("MODELCAR_GIT_URL", f"file://{home}/nothing.git")
    ran = modelcar("doctor", "--namespace", "mine")
    assert (ran.code, ran.stderr) == (1, "")
    assert lines(ran.stdout, "Model Registry")[0] == (
        f"broken Model Registry the Model Registry at http://{closed} cannot be reached: Connection refused"
    )
    assert lines(ran.stdout, "pipeline server")[0].startswith(
        f"broken pipeline server the pipeline server at http://{closed}"
    )
    assert lines(ran.stdout, "OCI registry") == [
        f"broken OCI registry {closed} did not answer: Connection refused",
        "-> Check the registry's name and the network.",
    ]
    assert lines(ran.stdout, "git repository")[0].startswith(
        f"missing git repository there is no git repository at file://{home}/nothing.git"
    )


def test_an_address_of_the_inside_of_a_cluster_is_not_held_against_it(
    mine: Namespace, modelcar: Run, shell: pytest.MonkeyPatch
) -> None:
    url = "https://model-registry.rhoai-model-registries.svc:8443"
    shell.setenv("MODEL_REGISTRY_URL", url)
    assert lines(modelcar("doctor", "--namespace", "mine").stdout, "Model Registry") == [
        f"cannot tell Model Registry {url} is reached from inside the cluster only, and this is no pod of it",
        "-> Run modelcar doctor in a workbench there.",
    ]


def test_a_login_that_the_registry_refuses_is_told_without_its_password(
    mine: Namespace, modelcar: Run, home: Path, shell: pytest.MonkeyPatch
) -> None:
    password = "wr0ng-Pa55"
    app = create_app(home / "guarded", auth=Auth(users={"robot": "right"}, readers=frozenset()))
    with Service(app) as guarded:
        entry = {"auth": base64.b64encode(f"robot:{password}".encode()).decode()}
        (home / "auth.json").write_text(json.dumps({"auths": {guarded.address: entry}}))
        shell.setenv("REGISTRY_AUTH_FILE", str(home / "auth.json"))
        mine.put(service(image=f"{guarded.address}/team/granite"))
        ran = modelcar("doctor", "--namespace", "mine")
    assert ran.code == 1
    told, way_out = lines(ran.stdout, "OCI registry")
    assert told.startswith(f"broken OCI registry {guarded.address}")
    assert "as robot" in told
    assert way_out == "-> Log in with podman login or docker login, or name the file with --authfile."
    assert password not in ran.stdout + ran.stderr


def test_a_registry_is_asked_once_however_many_models_are_in_it(
    mine: Namespace, modelcar: Run, sandbox: Sandbox
) -> None:
    for name in ("one", "two"):
        mine.put(service(NEW, name=name, image=f"{sandbox.registry_address}/team/{name}"))
    assert lines(modelcar("doctor", "--namespace", "mine").stdout, "OCI registry") == [
        f"ok OCI registry {sandbox.registry_address} answers, and lets you in"
    ]


def test_what_is_silent_is_left_behind_and_the_others_are_told() -> None:
    never = threading.Event()

    def wait() -> list[Finding]:
        never.wait()
        return []

    answer = Finding("a", "quick", Sign.OK, "answers")
    slow = Check("a", "slow", wait, "https://slow.example.com")
    found = run_checks([slow, Check("a", "quick", lambda: [answer])], patience_s=0.2)
    never.set()
    told = "https://slow.example.com did not answer within 0.2 s"
    silent = Finding("a", "slow", Sign.BROKEN, told, "Check the network, and that it runs.")
    assert found == [silent, answer]


def test_a_fault_of_a_check_is_not_taken_for_a_finding() -> None:
    def fail() -> list[Finding]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_checks([Check("a", "faulty", fail)])


def test_a_password_in_an_address_is_refused_and_not_shown(
    mine: Namespace, modelcar: Run, shell: pytest.MonkeyPatch
) -> None:
    subjects = {
        "MODEL_REGISTRY_URL": "Model Registry",
        "KF_PIPELINES_ENDPOINT": "pipeline server",
        "MODELCAR_GIT_URL": "git repository",
    }
    for variable in subjects:
        shell.setenv(variable, "https://robot:s3cret-Pa55@example.com/x")
    ran = modelcar("doctor", "--namespace", "mine")
    assert ran.code == 1
    assert all(lines(ran.stdout, subject)[0].startswith("broken ") for subject in subjects.values())
    assert "s3cret-Pa55" not in ran.stdout + ran.stderr
