from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from modelcar.errors import InvalidInput, PromotionError
from modelcar.sources.open import open_source
from modelcar.spec import load_spec
from modelcar_sandbox.git_tree import MANIFEST
from modelcar_sandbox.sandbox import Sandbox

MODELCAR = [sys.executable, "-c", "from modelcar.cli import main; main()"]
Up = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def up() -> Iterator[Up]:
    started: list[subprocess.Popen[str]] = []

    def start(directory: Path, *options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*MODELCAR, "sandbox", "up", "--dir", str(directory), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_until_up(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "modelcar promote" in line:
            return said
    pytest.fail(f"the sandbox ended: {said}{process.stderr.read() if process.stderr else ''}")


def shell_variables(file: Path) -> dict[str, str]:
    done = subprocess.run(
        ["sh", "-c", '. "$1" && env', "sh", str(file)],
        env={"PATH": os.environ["PATH"], "HF_TOKEN": "hf_of_the_user"},
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(line.partition("=")[::2] for line in done.stdout.splitlines())


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def registered_models(url: str) -> list[str]:
    answer = requests.get(f"{url}/api/model_registry/v1/registered_models", timeout=30)
    return [model["name"] for model in answer.json()["items"]]


def test_killed_and_started_again_it_holds_the_same_on_the_same_ports(up: Up, tmp_path: Path) -> None:
    process = up(tmp_path / "sb")
    wait_until_up(process)
    before = shell_variables(tmp_path / "sb" / "sandbox.env")
    models = f"{before['MODEL_REGISTRY_URL']}/api/model_registry/v1/registered_models"
    requests.post(models, json={"name": "kept"}, timeout=30).raise_for_status()
    repository = str(tmp_path / "sb" / "git" / "gitops.git")
    git("-C", repository, "update-ref", "refs/heads/kept", "main")
    process.kill()
    process.wait()
    wait_until_up(up(tmp_path / "sb"))
    assert shell_variables(tmp_path / "sb" / "sandbox.env") == before
    assert registered_models(before["MODEL_REGISTRY_URL"]) == ["kept"]
    assert git("-C", repository, "branch", "--format=%(refname:short)") == "kept\nmain\n"
    info = requests.get(f"{before['HF_ENDPOINT']}/api/models/sandbox/demo-llama", timeout=30).json()
    assert info["sha"] == "9bf26a6361740d85714bcebc195767a5d5e5d8a1"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_cleanly(up: Up, tmp_path: Path, number: signal.Signals) -> None:
    process = up(tmp_path)
    wait_until_up(process)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout, stderr) == (0, "Stopping; the same command brings everything back.\n", "")


def test_what_it_prints_says_where_things_are_and_what_to_type(up: Up, tmp_path: Path) -> None:
    said = wait_until_up(up(tmp_path))
    variables = shell_variables(tmp_path / "sandbox.env")
    for name in (
        "HF_ENDPOINT",
        "AWS_ENDPOINT_URL_S3",
        "MODELCAR_REGISTRY",
        "MODEL_REGISTRY_URL",
        "MODELCAR_GIT_URL",
        "KUBECONFIG",
    ):
        assert f" {variables[name]}" in said
    assert said.endswith(f"\n  . {tmp_path}/sandbox.env\n  modelcar promote {tmp_path}/promotion.yaml\n")


def test_another_address_than_loopback_is_warned_of(up: Up, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; tells which address would be used
        except OSError:
            pytest.skip("this machine has no address but loopback")
        host = probe.getsockname()[0]
    process = up(tmp_path, "--host", host)
    said = wait_until_up(process)
    process.terminate()
    _, stderr = process.communicate(timeout=30)
    assert f"warning: whoever reaches {host} can read and change everything here" in stderr
    assert f"http://{host}:" in said
    assert "modelcar promote --plain-http " in said


def test_a_second_one_in_the_same_directory_is_refused_in_one_sentence(up: Up, tmp_path: Path) -> None:
    with Sandbox(tmp_path):
        process = up(tmp_path)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"a sandbox runs in {tmp_path} already, as process {os.getpid()}\n" in stderr
    assert "Traceback" not in stderr


def test_the_directory_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with Sandbox(tmp_path) as sandbox:
            assert sandbox.hub.repositories() == ["datasets/sandbox/demo-sentences", "sandbox/demo-llama"]


def test_a_port_that_is_taken_meanwhile_is_named(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        port = int(sandbox.registry_address.rpartition(":")[2])
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(
            PromotionError, match=f"^port {port} of 127.0.0.1, where the sandbox's oci-registry .* is taken$"
        ),
    ):
        Sandbox(tmp_path).__enter__()
    with Sandbox(tmp_path) as sandbox:  # what had been started was stopped again
        assert sandbox.registry_address == f"127.0.0.1:{port}"


def test_the_environment_file_says_what_the_sandbox_says(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "it's here") as sandbox:
        variables = shell_variables(sandbox.environment_file)
    assert {name: variables[name] for name in sandbox.environment} == sandbox.environment
    tokens = [name for name in variables if "TOKEN" in name and name != "HF_TOKEN_PATH"]
    assert len(tokens) == 10
    assert {variables[name] for name in tokens} == {""}
    assert variables["REGISTRY_AUTH_FILE"] == ""
    assert sandbox.environment["HF_HOME"] == str(tmp_path / "it's here" / "hf-home")


def test_a_proxy_stays_out_of_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:3128")
    monkeypatch.setenv("no_proxy", "example.com")
    with Sandbox(tmp_path) as sandbox:
        assert sandbox.environment["no_proxy"] == "127.0.0.1,example.com"


def test_the_promotion_spec_is_ready_to_be_read(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        spec = load_spec(sandbox.promotion_spec)
    assert spec.model.source == "hf://sandbox/demo-llama"
    assert str(spec.image.base_image) == sandbox.base_image
    assert spec.image.repository.name == f"{sandbox.registry_address}/models/demo-llama"
    assert (spec.inference_service.repository, spec.inference_service.path) == (sandbox.git_url, MANIFEST)


def test_a_promotion_spec_that_was_changed_is_kept(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        mine = sandbox.promotion_spec.read_text() + "hold: not yet\n"
        sandbox.promotion_spec.write_text(mine)
    with Sandbox(tmp_path) as sandbox:
        assert sandbox.promotion_spec.read_text() == mine


def test_a_promotion_spec_of_other_services_is_replaced(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        written = sandbox.promotion_spec.read_text()
        sandbox.promotion_spec.write_text(written.replace(sandbox.registry_address, "127.0.0.1:1"))
    with Sandbox(tmp_path) as sandbox:
        assert sandbox.promotion_spec.read_text() == written


def test_models_that_were_published_stay(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        commit_hash = sandbox.hub.publish("sandbox/demo-llama", {"config.json": b"{}"})
    with Sandbox(tmp_path) as sandbox:
        commit = sandbox.hub.resolve("sandbox/demo-llama", "main")
        assert commit is not None
        assert commit.commit_hash == commit_hash


def test_the_demo_model_is_in_a_bucket_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox(tmp_path) as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        bucket = open_source("s3:///demo-llama").snapshot()
        hub = open_source("hf://sandbox/demo-llama").snapshot()
    assert bucket.uri == "s3://models/demo-llama"
    assert [(one.path, one.size_bytes) for one in bucket.files] == [(one.path, one.size_bytes) for one in hub.files]


def test_nobody_waits_for_an_object_store_that_is_not_asked(tmp_path: Path) -> None:
    program = f"""if True:
        import sys
        from pathlib import Path
        from modelcar_sandbox.sandbox import Sandbox
        with Sandbox(Path({str(tmp_path)!r})):
            print({{"moto", "boto3", "botocore", "flask"}} & {{name.partition(".")[0] for name in sys.modules}})
    """
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_nothing_unfinished_is_left_in_the_directory(tmp_path: Path) -> None:
    with Sandbox(tmp_path):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "git",
        "hub",
        "kubeconfig",
        "kubernetes",
        "model-registry",
        "oci-registry",
        "pipelines",
        "promotion.yaml",
        "sandbox.env",
        "sandbox.json",
        "sandbox.lock",
    ]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::1", "", "127.0.0.1:80", "http://x"])  # noqa: S104
def test_an_address_that_nobody_can_write_down_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(host) or "cannot listen on ''"):
        Sandbox(tmp_path, host)


def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"cannot listen on 192\.0\.2\.1"):
        Sandbox(tmp_path, "192.0.2.1").__enter__()


def test_a_file_cannot_hold_a_sandbox(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="cannot hold a sandbox"):
        Sandbox(tmp_path / "file").__enter__()


@pytest.mark.parametrize("state", ["", "[]", "{}", '{"ports": 1}', '{"ports": {"hub": "x"}}', '{"ports": {"hub": 0}}'])
def test_a_state_file_of_nonsense_is_named(tmp_path: Path, state: str) -> None:
    (tmp_path / "sandbox.json").write_text(state)
    with pytest.raises(InvalidInput, match=re.escape(str(tmp_path / "sandbox.json"))):
        Sandbox(tmp_path).__enter__()


def test_ports_lie_below_those_of_outgoing_connections(tmp_path: Path) -> None:
    with Sandbox(tmp_path):
        ports = json.loads((tmp_path / "sandbox.json").read_text())["ports"]
    assert set(ports) == {"hub", "object-store", "oci-registry", "model-registry", "pipelines", "kubernetes"}
    assert all(20_000 <= port < 32_000 for port in ports.values())


def test_clients_of_kubernetes_find_the_sandbox_by_its_variable(tmp_path: Path) -> None:
    from kubernetes import client, config

    for kept in (False, True):
        with Sandbox(tmp_path) as sandbox:
            assert sandbox.kubeconfig == tmp_path / "kubeconfig"
            with config.new_client_from_config(sandbox.environment["KUBECONFIG"]) as api:
                core = client.CoreV1Api(api)
                if not kept:
                    core.create_namespaced_config_map("default", {"metadata": {"name": "kept"}})
                assert [one.metadata.name for one in core.list_config_map_for_all_namespaces().items] == ["kept"]


def test_a_watch_does_not_keep_the_sandbox_from_stopping(tmp_path: Path) -> None:
    from kubernetes import client, config

    with Sandbox(tmp_path) as sandbox, config.new_client_from_config(str(sandbox.kubeconfig)) as api:
        answer = client.CoreV1Api(api).list_namespace(watch=True, _preload_content=False)
        assert b"default" in next(line for line in answer if line.strip())
        sandbox.__exit__()
        answer.close()


def test_runs_of_the_pipeline_server_use_the_sandbox_whoever_started_it(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        environment = {name: value for name, value in os.environ.items() if name not in sandbox.environment}
        upload = [*MODELCAR, "pipeline", "upload", "promote-model"]
        run = [*MODELCAR, "pipeline", "run", "promote-model", "--wait", "--spec", str(sandbox.promotion_spec)]
        said = ""
        for words in (upload, run):
            # The commands know where the pipeline server is, and nothing else of the sandbox.
            known = {"KF_PIPELINES_ENDPOINT": sandbox.pipelines_url, "MODELCAR_LOCAL_BACKOFF_FACTOR": "0"}
            done = subprocess.run(words, env=environment | known, capture_output=True, text=True, check=False)
            said = done.stderr
            assert done.returncode == 0, said
        assert "SUCCEEDED" in said
