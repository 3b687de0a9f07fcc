from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from certificates import write_certificate
from model_registry_server import Empty, Server, serve_empty
from modelcar import bearer
from modelcar.errors import InvalidInput, ModelRegistryError
from modelcar.model_registry.client import Connection
from modelcar.model_registry.credentials import SERVICE
from modelcar.model_registry.registration import Existing, check
from wsgi_faults import Recorder

NOTHING = Existing(None, None, None)


@dataclass(frozen=True, slots=True)
class Https:
    """A server behind TLS.

    Attributes:
        url: By the address that its certificate names.
        ca_file: Who signed for it.
        server: It.
    """

    url: str
    ca_file: Path
    server: Empty

    @property
    def authorizations(self) -> list[str | None]:
        return [headers.get("Authorization") for _, headers in self.server.told]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs for itself, and its key, in one file."""
    return write_certificate(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest.fixture
def https(certificate: Path) -> Iterator[Https]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serve_empty(context) as server:
        yield Https(f"https://127.0.0.1:{server.server_port}", certificate, server)


def look(connection: Connection) -> Existing:
    return check(connection, "nobody's", None)


def test_a_server_with_a_ca_of_its_own_is_trusted_when_that_is_named(https: Https) -> None:
    assert look(Connection(https.url, ca_file=https.ca_file, token="t0ken")) == NOTHING
    assert https.authorizations == ["Bearer t0ken"] * 2


def test_a_server_with_an_unknown_ca_is_not_trusted_and_not_asked_again(https: Https) -> None:
    with pytest.raises(ModelRegistryError, match=r"cannot be trusted: self.signed certificate") as raised:
        look(Connection(https.url, token="t0ken"))
    assert raised.value.hint is not None
    assert "MODEL_REGISTRY_CA_FILE" in raised.value.hint
    assert not raised.value.retryable
    assert https.authorizations == []


def test_a_certificate_for_another_name_is_not_trusted(https: Https) -> None:
    url = https.url.replace("127.0.0.1", "localhost")
    with pytest.raises(ModelRegistryError, match="cannot be trusted: "):
        look(Connection(url, ca_file=https.ca_file))


def test_a_plain_server_behind_https_is_called_so(sandbox: Server) -> None:
    with pytest.raises(ModelRegistryError, match="does not speak TLS"):
        look(Connection(sandbox.url.replace("http:", "https:")))


@pytest.mark.parametrize("name", ["MODEL_REGISTRY_CA_FILE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_the_environment_names_the_ca(https: Https, name: str) -> None:
    assert look(Connection.from_environment(https.url, {name: str(https.ca_file)})) == NOTHING


def test_the_model_registrys_own_ca_goes_before_the_others(https: Https, tmp_path: Path) -> None:
    env = {"MODEL_REGISTRY_CA_FILE": str(https.ca_file), "SSL_CERT_FILE": str(tmp_path / "missing.pem")}
    assert look(Connection.from_environment(https.url, env)) == NOTHING


def test_the_systems_authorities_stay(https: Https) -> None:
    alone = len(bearer.trust(SERVICE, None).get_ca_certs())
    assert len(bearer.trust(SERVICE, https.ca_file).get_ca_certs()) == alone + 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        ("no certificate", "holds no certificate"),
        ("", "holds no certificate"),
    ],
)
def test_a_ca_file_that_is_none_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidInput, match=f"the CA file {path} {message}"):
        Connection("https://registry.example", ca_file=path)


def test_in_a_pod_the_service_accounts_token_is_sent(
    https: Https, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounted").write_text("of-the-pod")
    monkeypatch.setattr(bearer, "SERVICE_ACCOUNT_TOKEN", tmp_path / "mounted")
    assert look(Connection.from_environment(https.url, {"SSL_CERT_FILE": str(https.ca_file)})) == NOTHING
    assert https.authorizations == ["Bearer of-the-pod"] * 2


def test_the_service_accounts_token_is_not_sent_in_the_clear(
    sandbox: Server, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mounted").write_text("of-the-pod")
    monkeypatch.setattr(bearer, "SERVICE_ACCOUNT_TOKEN", tmp_path / "mounted")
    assert look(Connection.from_environment(sandbox.url, {})) == NOTHING
    assert [r.authorized for r in recorder.requests] == [False, False]
