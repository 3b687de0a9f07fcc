from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from modelcar.distribution.client import Access, Registry
from modelcar.distribution.repository import Repository
from modelcar.distribution.upload import Content
from modelcar.errors import DistributionError, InvalidInput
from modelcar.reference import Digest
from modelcar_sandbox.oci_registry import create_app
from modelcar_sandbox.service import Service
from registry_service import Running, serve
from wsgi_faults import Fault, Faults

DIGEST = Digest.of(b"blob")
NOT_LOOPBACK = "0.0.0.0"  # noqa: S104 - Linux connects it to this machine, and no list of loopback addresses has it


class Authority:
    """A certificate authority of its own in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Team CA")])
        self.file = self._write("ca.pem", self._sign(self.name, self.key, None))

    def issue(self, host: str) -> tuple[Path, Path]:
        """Certificate and key for one address."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return self._write("server.pem", self._sign(subject, key, names)), self._write("server.key", private)

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, names: x509.SubjectAlternativeName | None
    ) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        usage = x509.KeyUsage(names is not None, False, False, False, False, names is None, names is None, False, False)
        builder = (
            x509.CertificateBuilder(self.name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _write(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(content)
        return path


@contextmanager
def tls_registry(directory: Path, authority: Authority, host: str = "127.0.0.1", *faults: Fault) -> Iterator[str]:
    certificate, key = authority.issue(host)
    server = Server(("127.0.0.1", 0), Faults(create_app(directory / "registry"), *faults), numthreads=4)
    server.ssl_adapter = BuiltinSSLAdapter(str(certificate), str(key))
    # Handshakes that fail are what is tested here.
    server.error_log = lambda *_args, **_kwargs: None  # type: ignore[method-assign]
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield f"127.0.0.1:{server.bind_addr[1]}"
    server.stop()
    thread.join()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def registry_of(host: str, ca_file: Path | None = None, *, plain_http: bool = False) -> Registry:
    return Registry(host, "team/model", Access(ca_file=ca_file, plain_http=plain_http))


def look(registry: Registry) -> bool:
    response = registry.request("HEAD", f"/v2/team/model/blobs/{DIGEST}", scope="")
    return response.status_code == 200


@pytest.mark.parametrize("plain_http", [False, True])
def test_a_registry_of_ones_own_ca_is_reached_when_the_ca_is_named(
    tmp_path: Path, authority: Authority, plain_http: bool
) -> None:
    with tls_registry(tmp_path, authority) as host:
        repository = Repository(registry_of(host, authority.file, plain_http=plain_http), "team/model")
        repository.write_blob(Content(b"blob"), DIGEST)
        assert repository.read_blob(DIGEST) == b"blob"


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_ca_may_be_named_by_the_environment(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(authority.file))
    with tls_registry(tmp_path, authority) as host:
        assert not look(registry_of(host))


@pytest.mark.parametrize("plain_http", [False, True])
def test_an_unknown_ca_is_told_with_the_way_out(tmp_path: Path, authority: Authority, plain_http: bool) -> None:
    with tls_registry(tmp_path, authority) as host, pytest.raises(DistributionError) as caught:
        look(registry_of(host, plain_http=plain_http))
    assert str(caught.value) == f"{host} cannot be trusted: unable to get local issuer certificate"
    assert caught.value.hint == "Name the CA's certificate with --ca-file."
    assert not caught.value.retryable


def test_a_certificate_for_another_name_is_told_as_such(tmp_path: Path, authority: Authority) -> None:
    with tls_registry(tmp_path, authority, "127.0.0.9") as host, pytest.raises(DistributionError) as caught:
        look(registry_of(host, authority.file))
    assert "IP address mismatch" in str(caught.value)
    assert caught.value.hint == "Name the registry as its certificate does."


def test_a_loopback_registry_without_tls_is_reached_although_a_ca_is_named(
    tmp_path: Path, authority: Authority
) -> None:
    with Service(create_app(tmp_path / "registry")) as service:
        assert not look(registry_of(service.address, authority.file))


def test_a_registry_without_tls_elsewhere_is_not_spoken_to(tmp_path: Path) -> None:
    with Service(create_app(tmp_path / "registry")) as service, pytest.raises(DistributionError) as caught:
        look(registry_of(service.address.replace("127.0.0.1", NOT_LOOPBACK)))
    assert "does not speak TLS" in str(caught.value)
    assert caught.value.hint == "It may speak plain HTTP: then --plain-http says that this is meant."
    assert not caught.value.retryable


def test_a_registry_without_tls_elsewhere_is_reached_when_that_is_meant(tmp_path: Path) -> None:
    with Service(create_app(tmp_path / "registry")) as service:
        assert not look(registry_of(service.address.replace("127.0.0.1", NOT_LOOPBACK), plain_http=True))


@pytest.mark.parametrize("text", ["", "no certificate", None])
def test_a_ca_file_without_certificates_is_an_error(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidInput, match=f"{path} cannot be read as PEM certificates"):
        registry_of("quay.io", path)


def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


def test_a_registry_that_is_down_may_come_back() -> None:
    host = f"127.0.0.1:{closed_port()}"
    with pytest.raises(DistributionError) as caught:
        look(registry_of(host))
    assert str(caught.value) == f"{host} did not answer: Connection refused"
    assert caught.value.retryable


def test_a_name_that_does_not_exist_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_name(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    with pytest.raises(DistributionError) as caught:
        look(registry_of("registry.invalid"))
    assert str(caught.value) == "registry.invalid did not answer: Name or service not known"
    assert not caught.value.retryable


def test_tls_that_is_cut_in_the_middle_may_work_the_next_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            for _ in range(2):
                connection, _address = server.accept()
                connection.recv(10)
                connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        registry = registry_of(f"{NOT_LOOPBACK}:{server.getsockname()[1]}")
        for _ in range(2):
            with pytest.raises(DistributionError) as caught:
                look(registry)
            assert caught.value.retryable
        thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1", NOT_LOOPBACK])
def test_tls_that_is_cut_is_no_reason_to_speak_plain_http(host: str) -> None:
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            for _ in range(2):
                connection, _address = server.accept()
                seen.append(connection.recv(1))
                connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        registry = registry_of(f"{host}:{server.getsockname()[1]}", plain_http=True)
        with pytest.raises(DistributionError):
            look(registry)
        thread.join()
    assert seen == [b"\x16", b"\x16"]  # TLS records of a handshake, both times


def test_docker_hub_is_asked_under_the_name_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def note(host: object, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", note)
    registry = registry_of("docker.io")
    with pytest.raises(DistributionError):
        look(registry)
    assert (registry.host, asked) == ("docker.io", ["registry-1.docker.io"])


def test_certificates_and_names_are_checked_and_old_tls_is_not_spoken() -> None:
    registry = registry_of("quay.io")
    adapter = registry._session.get_adapter("https://quay.io")
    context: ssl.SSLContext = adapter.poolmanager.connection_pool_kw["ssl_context"]  # type: ignore[attr-defined]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Running]:
    """Where a registry keeps its blobs: another host, without TLS."""
    with serve(tmp_path / "storage") as running:
        running.repository().write_blob(Content(b"blob"), DIGEST)
        running.recorder.clear()
        yield running


def plain(storage: Running, host: str, path: str) -> dict[str, str]:
    return {"Location": f"http://{storage.address.replace('127.0.0.1', host)}/v2/team/model/blobs/{path}"}


def test_no_upload_goes_from_tls_to_plain_http_elsewhere(
    tmp_path: Path, authority: Authority, storage: Running
) -> None:
    fault = Fault.answer("POST", "/uploads/", 202, headers=plain(storage, NOT_LOOPBACK, "uploads/1"))
    with tls_registry(tmp_path, authority, "127.0.0.1", fault) as host, pytest.raises(DistributionError) as caught:
        Repository(registry_of(host, authority.file), "team/model").write_blob(Content(b"blob"), DIGEST)
    assert str(caught.value) == f"{host} speaks TLS and leads to {NOT_LOOPBACK} by plain HTTP"
    assert "--plain-http says that this is meant" in (caught.value.hint or "")
    assert (caught.value.retryable, storage.recorder.requests) == (False, [])


def test_no_blob_is_fetched_from_tls_by_plain_http_elsewhere(
    tmp_path: Path, authority: Authority, storage: Running
) -> None:
    fault = Fault.answer("GET", "/blobs/sha256", 307, headers=plain(storage, NOT_LOOPBACK, str(DIGEST)))
    with tls_registry(tmp_path, authority, "127.0.0.1", fault) as host, pytest.raises(DistributionError) as caught:
        Repository(registry_of(host, authority.file), "team/model").read_blob(DIGEST)
    assert str(caught.value) == f"{host} speaks TLS and leads to {NOT_LOOPBACK} by plain HTTP"
    assert storage.recorder.requests == []


@pytest.mark.parametrize(("elsewhere", "plain_http"), [("127.0.0.1", False), (NOT_LOOPBACK, True)])
def test_plain_http_elsewhere_is_followed_where_it_is_meant_or_on_loopback(
    tmp_path: Path, authority: Authority, storage: Running, elsewhere: str, plain_http: bool
) -> None:
    fault = Fault.answer("GET", "/blobs/sha256", 307, headers=plain(storage, elsewhere, str(DIGEST)))
    with tls_registry(tmp_path, authority, "127.0.0.1", fault) as host:
        registry = registry_of(host, authority.file, plain_http=plain_http)
        assert Repository(registry, "team/model").read_blob(DIGEST) == b"blob"
    assert [request.path for request in storage.recorder.requests] == [f"/v2/team/model/blobs/{DIGEST}"]
