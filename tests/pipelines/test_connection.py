"""How a pipeline server is reached: quietly, as the arguments and the environment say, and again when that helps."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from canned_answers import Answer, Canned, serve_answers
from kfp_server import SPEC, serve
from modelcar import bearer
from modelcar.errors import PipelineServerError
from modelcar_pipelines import surroundings
from modelcar_pipelines.connection import Server, connect
from modelcar_pipelines.failures import Conflict, NotFound

HEALTH = Answer(200, {"multi_user": False})
BUSY = Answer(503, b"", {"Retry-After": "0"})
TOKEN = "planted-5ecret-token"


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This is no pod."""
    monkeypatch.setattr(bearer, "SERVICE_ACCOUNT_TOKEN", tmp_path / "pod" / "token")
    monkeypatch.setattr(surroundings, "SDK_TOKEN", tmp_path / "pod" / "sdk-token")


@pytest.fixture
def canned() -> Iterator[Canned]:
    with serve_answers(HEALTH) as server:
        yield server


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    """What a pod has mounted."""
    directory = tmp_path / "pod"
    directory.mkdir()
    (directory / "token").write_text("of-the-pod\n")
    (directory / "namespace").write_text("private-ai-demo\n")
    return directory


def test_to_prepare_is_to_ask_nobody_and_to_say_and_keep_nothing(canned: Canned, tmp_path: Path) -> None:
    context = tmp_path / ".config/kfp/context.json"
    context.parent.mkdir(parents=True)
    context.write_text("not even JSON")
    program = f"from modelcar_pipelines.connection import Server; Server({canned.url!r}, namespace='kubeflow').client"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "KF_PIPELINES_IAP_OAUTH2_CLIENT_ID": "someone"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert canned.asked == []
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == [
        ".config/kfp/context.json"
    ]
    assert context.read_text() == "not even JSON"


def test_the_services_and_the_client_speak_to_the_server(tmp_path: Path) -> None:
    with serve(tmp_path) as (_, api):
        server = Server(f"{api.url}/", namespace="private-ai-demo")
        server.check()
        package = tmp_path / "hello.yaml"
        package.write_text(SPEC)
        made = server.call(server.uploads.upload_pipeline, str(package), name="hello")
        assert server.call(server.client.get_pipeline_id, "hello") == made.pipeline_id
        assert server.call(server.pipelines.pipeline_service_get_pipeline, made.pipeline_id).display_name == "hello"
        assert server.call(server.experiments.experiment_service_list_experiments).experiments is not None
        with pytest.raises(NotFound):
            server.call(server.runs.run_service_get_run, "nope")
        with pytest.raises(NotFound):
            server.call(server.recurring_runs.recurring_run_service_get_recurring_run, "nope")
        with pytest.raises(Conflict):
            server.call(server.uploads.upload_pipeline, str(package), name="hello")


def test_the_clients_own_functions_fail_with_the_same_errors(canned: Canned) -> None:
    canned.answers = [Answer(404, {"code": 5, "message": "Run nope not found"})]
    with pytest.raises(NotFound):
        Server(canned.url).client.get_run("nope")


@pytest.mark.parametrize("end", ["", "/", "/apis/v2beta1", "/apis/v2beta1/"])
def test_the_apis_path_at_the_end_does_not_count(end: str) -> None:
    assert Server(f"https://host.example.com:8443/pipeline{end}").url == "https://host.example.com:8443/pipeline"


def test_runs_are_looked_at_where_the_environment_says(canned: Canned) -> None:
    assert Server(canned.url).run_url("r1") == f"{canned.url}/#/runs/details/r1"
    env = {"KF_PIPELINES_ENDPOINT": canned.url, "KF_PIPELINES_UI_ENDPOINT": "https://ui.example.com/"}
    assert connect(env=env).run_url("r1") == "https://ui.example.com/#/runs/details/r1"


def test_a_token_is_read_from_its_file_for_every_request_and_never_shown(canned: Canned, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    server = Server(canned.url, token_file=path)
    server.check()
    path.write_text("second\n")
    server.check()
    assert canned.authorizations == ["Bearer first", "Bearer second"]
    shown = repr(vars(Server(canned.url, token=TOKEN)))
    assert TOKEN not in shown


def test_what_only_asks_is_asked_again_as_long_as_the_server_says_it_is_busy(canned: Canned) -> None:
    server = Server(canned.url, attempts=5)
    canned.answers = [BUSY, BUSY, HEALTH]
    server.check()
    canned.answers = [BUSY] * 4 + [HEALTH]
    server.check()
    canned.answers = [BUSY]
    del canned.asked[:]
    with pytest.raises(PipelineServerError, match="answered 503"):
        server.check()
    assert len(canned.asked) == 5


def test_a_server_that_never_answered_well_is_given_up_sooner(canned: Canned) -> None:
    canned.answers = [BUSY]
    with pytest.raises(PipelineServerError):
        Server(canned.url).check()
    assert len(canned.asked) == 3


def test_what_makes_something_is_sent_again_only_if_it_had_no_effect(canned: Canned) -> None:
    server = Server(canned.url, attempts=3)
    made = Answer(200, {"pipeline_id": "p1"})
    canned.answers = [Answer(429, b"", {"Retry-After": "0"}), made]
    body = {"display_name": "a"}
    assert server.call(server.pipelines.pipeline_service_create_pipeline, body).pipeline_id == "p1"
    canned.answers = [BUSY, made]
    with pytest.raises(PipelineServerError, match="answered 503"):
        server.call(server.pipelines.pipeline_service_create_pipeline, body)


def test_a_fault_of_the_call_itself_stays_what_it_is(canned: Canned) -> None:
    server = Server(canned.url)
    with pytest.raises(TypeError, match="unexpected keyword argument 'page'"):
        server.call(server.pipelines.pipeline_service_list_pipelines, page=1)
    with pytest.raises(ValueError, match="run_id"):
        server.call(server.runs.run_service_get_run, None)
    assert canned.asked == []


def test_a_proxy_is_used_unless_the_host_is_excepted(monkeypatch: pytest.MonkeyPatch, canned: Canned) -> None:
    proxied = canned.url.replace("127.0.0.1", "user:pass@127.0.0.1")
    monkeypatch.setenv("http_proxy", proxied)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "inside.example.com")
    Server("http://pipelines.example.com").check()
    assert canned.asked == ["GET http://pipelines.example.com/apis/v2beta1/healthz"]
    with pytest.raises(PipelineServerError):
        Server("http://inside.example.com", attempts=1).check()
    assert len(canned.asked) == 1


TOKENS: Mapping[str, tuple[dict[str, str], str | None]] = {
    "none": ({}, None),
    "text": ({"KF_PIPELINES_TOKEN": "text", "KF_PIPELINES_TOKEN_FILE": "FILE"}, "Bearer text"),
    "a file": ({"KF_PIPELINES_TOKEN_FILE": "FILE", "KF_PIPELINES_SA_TOKEN_PATH": "nope"}, "Bearer of-the-file"),
    "the SDK's variable": ({"KF_PIPELINES_SA_TOKEN_PATH": "FILE"}, "Bearer of-the-file"),
    "empty means not set": ({"KF_PIPELINES_TOKEN": "", "KF_PIPELINES_TOKEN_FILE": "FILE"}, "Bearer of-the-file"),
}


@pytest.mark.parametrize("name", TOKENS)
def test_the_environment_names_the_token(canned: Canned, tmp_path: Path, name: str) -> None:
    variables, expected = TOKENS[name]
    (tmp_path / "file").write_text("of-the-file")
    env = {key: value.replace("FILE", str(tmp_path / "file")) for key, value in variables.items()}
    connect(env={**env, "KF_PIPELINES_ENDPOINT": canned.url}).check()
    assert canned.authorizations == [expected]


def test_arguments_go_before_the_environment(canned: Canned, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("of-the-argument")
    env = {"KF_PIPELINES_ENDPOINT": "http://127.0.0.1:1", "KF_PIPELINES_TOKEN": "t", "KF_PIPELINES_NAMESPACE": "other"}
    server = connect(endpoint=canned.url, namespace="mine", token_file=tmp_path / "file", env=env)
    server.check()
    assert server.namespace == "mine"
    assert canned.authorizations == ["Bearer of-the-argument"]
    connect(endpoint=canned.url, token="a", token_file=tmp_path / "file", env=env).check()
    assert canned.authorizations[-1] == "Bearer a"


def test_the_namespace_is_the_environments_or_else_the_pods(canned: Canned, pod: Path) -> None:
    assert pod.is_dir()
    assert connect(endpoint=canned.url, env={}).namespace == "private-ai-demo"
    assert connect(endpoint=canned.url, env={"KF_PIPELINES_NAMESPACE": "other"}).namespace == "other"


def test_a_pods_own_token_goes_to_https_only(canned: Canned, pod: Path, certificate: Path) -> None:
    connect(endpoint=canned.url, env={}).check()
    assert canned.authorizations == [None]
    with serve_answers(HEALTH, certificate=certificate) as server:
        connect(endpoint=server.url, ca_file=certificate, env={}).check()
        (pod / "sdk-token").write_text("for-pipelines")
        connect(endpoint=server.url, ca_file=certificate, env={}).check()
    assert server.authorizations == ["Bearer of-the-pod", "Bearer for-pipelines"]


@pytest.mark.parametrize("name", ["PIPELINES_SSL_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_the_environment_names_the_ca(certificate: Path, name: str) -> None:
    with serve_answers(HEALTH, certificate=certificate) as server:
        connect(endpoint=server.url, env={name: str(certificate)}).check()
    assert server.asked == ["GET /apis/v2beta1/healthz"]


def test_the_ca_for_pipelines_goes_before_that_for_everything_and_the_argument_before_both(tmp_path: Path) -> None:
    everything, pipelines = tmp_path / "everything.pem", tmp_path / "pipelines.pem"
    env = {"SSL_CERT_FILE": str(everything), "PIPELINES_SSL_CA_CERTS": str(pipelines)}
    assert surroundings.ca_file_of(env, "https://host") == pipelines
    assert surroundings.ca_file_of({"SSL_CERT_FILE": str(everything)}, "https://host") == everything


@pytest.mark.parametrize(
    ("host", "trusted"),
    [
        ("ds-pipeline-dspa.ns.svc:8443", True),
        ("ds-pipeline-dspa.ns.svc.cluster.local:8443", True),
        ("ds-pipeline-dspa-ns.apps.example.com", False),
    ],
)
def test_the_clusters_own_ca_is_for_its_services(pod: Path, host: str, *, trusted: bool) -> None:
    (pod / "service-ca.crt").write_text("a certificate")
    assert surroundings.ca_file_of({}, f"https://{host}") == (pod / "service-ca.crt" if trusted else None)
    assert surroundings.ca_file_of({"SSL_CERT_FILE": "/bundle"}, f"https://{host}") == Path("/bundle")


@pytest.mark.real
def test_the_real_server_is_one(tmp_path: Path) -> None:
    import os

    url = os.environ.get("REAL_KFP_ENDPOINT")
    if not url:
        pytest.skip("REAL_KFP_ENDPOINT is not set")
    server = connect(endpoint=url, env={})
    server.check()
    with pytest.raises(NotFound, match=r"does not have that: .*Run nope not found"):
        server.call(server.runs.run_service_get_run, "nope")
    package = tmp_path / "broken.yaml"
    package.write_text(json.dumps({"pipelineInfo": {}}))
    with pytest.raises(PipelineServerError) as raised:
        server.call(server.uploads.upload_pipeline, str(package), name="modelcar-connection-broken")
    assert "github.com" not in str(raised.value)
    assert "\n" not in str(raised.value)
