"""git over TLS behind an authority of one's own, by each way to name it."""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from git_http import GitServer, serve_git
from gitops import Bare, git, promote, storage_uri
from modelcar.errors import GitError, InvalidInput

VARIABLES = ["MODELCAR_GIT_CA_FILE", "GIT_SSL_CAINFO", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"]
TOKEN = "planted-c0ffee-token"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs for itself; its key is beside it, in server.key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.with_name("server.key").write_bytes(private)
    return path


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {*VARIABLES, "GIT_SSL_CAPATH"} & set(os.environ):
        monkeypatch.delenv(name)


@pytest.fixture
def server(bare: Bare, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    monkeypatch.setenv("MODELCAR_GIT_USERNAME", "robot")
    monkeypatch.setenv("MODELCAR_GIT_TOKEN", TOKEN)
    git(bare.directory, "config", "http.receivepack", "true")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("server.key"))
    with serve_git(bare.directory.parent, token=TOKEN, tls=context) as server:
        yield server


def address(server: GitServer) -> str:
    return f"{server.url}/gitops.git"


@pytest.mark.parametrize("name", VARIABLES)
def test_a_promotion_goes_through_when_the_authority_is_named(
    server: GitServer, bare: Bare, certificate: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(certificate))
    assert promote(address(server)).changed
    assert storage_uri("a") in bare.read().decode()
    assert {sent for _, sent in server.requests} == {server.authorization}


def test_authorities_may_be_a_directory(
    server: GitServer, certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    directory = tmp_path / "authorities"
    directory.mkdir()
    shutil.copy(certificate, directory)
    subprocess.run(["openssl", "rehash", str(directory)], check=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(directory))
    assert promote(address(server)).changed


def test_an_authority_that_nobody_named_is_not_trusted_and_hears_no_token(server: GitServer) -> None:
    with pytest.raises(GitError) as caught:
        promote(address(server))
    assert str(caught.value).startswith(f"the certificate of {address(server)} cannot be checked")
    assert caught.value.hint == "Set MODELCAR_GIT_CA_FILE to a PEM file with the authority that signed it."
    assert not caught.value.retryable
    assert server.requests == []


@pytest.mark.parametrize("first", range(len(VARIABLES) - 1))
def test_the_variables_count_in_order(
    server: GitServer, certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: int
) -> None:
    monkeypatch.setenv(VARIABLES[first], str(certificate))
    for name in VARIABLES[first + 1 :]:
        monkeypatch.setenv(name, str(tmp_path / "missing.pem"))
    assert promote(address(server)).changed


def test_an_empty_variable_counts_as_missing(
    server: GitServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELCAR_GIT_CA_FILE", "")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert promote(address(server)).changed


@pytest.mark.parametrize("name", VARIABLES)
def test_a_file_that_is_missing_is_named(
    server: GitServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv(name, str(tmp_path / "ca.pem"))
    with pytest.raises(InvalidInput) as caught:
        promote(address(server))
    assert str(caught.value) == f"{tmp_path}/ca.pem, named by {name}, cannot be read: No such file or directory"


def test_an_authority_that_nobody_needs_is_not_looked_at(
    bare: Bare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    assert promote(bare.url).changed
