from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from model_registry_server import NO_MODELS, OLD, Server, answering, only_old, serve_empty
from modelcar.errors import ModelRegistryError
from modelcar.model_registry.client import Connection
from modelcar.model_registry.registration import Existing, check, register
from modelcar_sandbox.model_registry import create_app
from wsgi_faults import Fault, Faults, Recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    Serve = Callable[[WSGIApplication], str]

TOKEN = "planted-7oKeN"
NEW = "/api/model_registry/v1"
NOTHING = Existing(None, None, None)


def look(connection: Connection) -> Existing:
    return check(connection, "nobody's", None)


def test_a_server_of_today_is_asked_by_v1(sandbox: Server, recorder: Recorder) -> None:
    look(sandbox.connect())
    assert [r.path for r in recorder.requests] == [f"{NEW}/registered_models", f"{NEW}/registered_model"]


def test_a_server_that_has_only_v1alpha3_is_asked_by_that(tmp_path: Path, serve: Serve) -> None:
    recorder = Recorder(only_old(create_app(tmp_path)))
    server = Server(serve(recorder), "run")
    assert register(server.connect(), server.registration(), lambda: None).created != ()
    assert [r.path for r in recorder.requests[:3]] == [
        f"{NEW}/registered_models",
        f"{OLD}/registered_models",
        f"{OLD}/registered_model",
    ]
    assert all(r.path.startswith(OLD) for r in recorder.requests[3:])


def test_which_one_is_asked_once_even_by_many_threads(sandbox: Server, recorder: Recorder) -> None:
    connection = sandbox.connect()
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: look(connection), range(16))) == {NOTHING}
    assert len(recorder.seen("GET", "/registered_models$")) == 1


@pytest.mark.real
def test_an_old_real_server_is_found(real: Server) -> None:
    assert check(real.connect(), f"{real.run}-none", "v1") == NOTHING


@pytest.mark.parametrize("suffix", ["/", "/api/model_registry/v1", "/api/model_registry/v1alpha3/"])
def test_the_path_of_the_api_may_stand_in_the_url(sandbox: Server, suffix: str) -> None:
    assert look(Connection(sandbox.url + suffix)) == NOTHING


def test_a_gateways_path_in_front_is_kept(tmp_path: Path, serve: Serve) -> None:
    inner = create_app(tmp_path)

    def gateway(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        prefix = "/model-registry/team"
        if not environ["PATH_INFO"].startswith(f"{prefix}/"):
            return answering("404 Not Found", b"no such route", "text/plain")(environ, start_response)
        environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix(prefix)
        return inner(environ, start_response)

    assert look(Connection(f"{serve(gateway)}/model-registry/team/")) == NOTHING


@pytest.mark.usefixtures("own_loop")
def test_a_notebook_with_a_running_loop_may_call(sandbox: Server) -> None:
    async def cell() -> tuple[Existing, bool]:
        loop = asyncio.get_running_loop()
        found = look(sandbox.connect())
        return found, asyncio.get_running_loop() is loop

    assert asyncio.run(cell()) == (NOTHING, True)


@pytest.mark.usefixtures("own_loop")
def test_no_thread_and_no_loop_is_left_behind(sandbox: Server) -> None:
    loop = asyncio.get_event_loop_policy().get_event_loop()
    look(sandbox.connect())
    assert asyncio.get_event_loop_policy().get_event_loop() is loop
    assert [thread.name for thread in threading.enumerate() if thread.name == "model-registry"] == []


@pytest.mark.parametrize(
    "app",
    [
        answering("200 OK", b"<html>welcome</html>", "text/html"),
        answering("200 OK", b"<html>welcome</html>"),
        answering("200 OK", b"\xff\xfe"),
        answering("200 OK", b"{}"),
        answering("200 OK", b"[]"),
        answering("200 OK", b"null"),
        answering("200 OK", b""),
        answering("404 Not Found", b"<html>nothing here</html>", "text/html"),
        answering("302 Found", b"", "text/html", Location="/login"),
    ],
    ids=["page", "page as JSON", "no text", "other JSON", "list", "null", "empty", "404", "login"],
)
def test_what_is_no_model_registry_is_called_so(serve: Serve, app: WSGIApplication) -> None:
    url = serve(app)
    with pytest.raises(ModelRegistryError) as raised:
        look(Connection(url))
    assert str(raised.value) == f"{url} is not a Model Registry"
    assert raised.value.hint is not None
    assert "MODEL_REGISTRY_URL" in raised.value.hint
    assert not raised.value.retryable


def test_a_registry_that_answers_with_half_an_entity_is_called_so(serve: Serve) -> None:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        body = NO_MODELS if environ["PATH_INFO"].endswith("s") else json.dumps({"id": "1"}).encode()
        return answering("200 OK", body)(environ, start_response)

    with pytest.raises(ModelRegistryError, match="is not a Model Registry"):
        look(Connection(serve(app)))


def test_a_proxy_is_used_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_empty() as proxy:
        monkeypatch.setenv("http_proxy", f"http://robot:p%40ss@127.0.0.1:{proxy.server_port}")
        assert look(Connection("http://registry.invalid")) == NOTHING
        assert [url.partition("?")[0] for url, _ in proxy.told] == [
            f"http://registry.invalid{NEW}/registered_models",
            f"http://registry.invalid{NEW}/registered_model",
        ]
        assert {headers["Proxy-Authorization"] for _, headers in proxy.told} == {"Basic cm9ib3Q6cEBzcw=="}
        monkeypatch.setenv("no_proxy", "registry.invalid")
        with pytest.raises(ModelRegistryError, match="cannot be reached"):
            look(Connection("http://registry.invalid", attempts=1))


def test_a_proxy_that_gives_no_tunnel_is_named_and_is_not_shown_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_empty() as proxy:
        monkeypatch.setenv("all_proxy", f"http://robot:pass@127.0.0.1:{proxy.server_port}")
        with pytest.raises(ModelRegistryError, match="cannot be reached: the proxy answered 403"):
            look(Connection("https://registry.invalid", token=TOKEN, attempts=1))
    ((address, headers),) = proxy.told
    assert address == "registry.invalid:443"
    assert headers["Proxy-Authorization"] == "Basic cm9ib3Q6cGFzcw=="
    assert "Authorization" not in headers


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_failure_that_may_pass_is_asked_again(sandbox: Server, faults: Faults, status: int) -> None:
    faults.add(Fault.answer("GET", "/registered_model$", status, headers={"Retry-After": "0"}))
    assert look(sandbox.connect()) == NOTHING
    assert faults.fired == 1


@pytest.mark.parametrize("status", [400, 405, 422])
def test_a_refusal_is_not_asked_again_and_quoted(sandbox: Server, faults: Faults, status: int) -> None:
    faults.add(Fault.answer("GET", "/registered_model$", status, body=b'{"message": "not\\n so"}', times=9))
    with pytest.raises(ModelRegistryError) as raised:
        look(sandbox.connect())
    assert str(raised.value) == f"the Model Registry at {sandbox.url} answered {status}: not so"
    assert faults.fired == 1


def test_a_server_that_keeps_failing_is_given_up(sandbox: Server, faults: Faults) -> None:
    faults.add(Fault.answer("GET", "/registered_model$", 500, body=b'{"message": "Data too long"}', times=9))
    with pytest.raises(ModelRegistryError, match=r"answered 500: Data too long$"):
        look(sandbox.connect())
    assert faults.fired == 3


def test_a_cut_connection_is_made_again(sandbox: Server, faults: Faults) -> None:
    faults.add(Fault.cut_answer("GET", "/registered_models$", 0, reset=True))
    faults.add(Fault.cut_answer("GET", "/registered_model$", 5))
    assert look(sandbox.connect()) == NOTHING
    assert faults.fired == 2


def test_a_failed_question_for_the_version_is_asked_again_later(sandbox: Server, faults: Faults) -> None:
    connection = Connection(sandbox.url, attempts=1)
    faults.add(Fault.answer("GET", "/registered_models$", 503))
    with pytest.raises(ModelRegistryError, match="answered 503"):
        look(connection)
    assert look(connection) == NOTHING


def test_nobody_listening_is_said(unused_address: str) -> None:
    with pytest.raises(ModelRegistryError) as raised:
        look(Connection(f"http://{unused_address}", attempts=1))
    assert "cannot be reached: " in str(raised.value)
    assert raised.value.retryable


def test_an_unknown_host_is_said() -> None:
    with pytest.raises(ModelRegistryError, match=r"http://registry\.invalid cannot be reached: "):
        look(Connection("http://registry.invalid", attempts=1))
