"""Registries behind a company's proxy, and OpenShift's own as a pod reaches it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

from certificates import write_certificate
from fault_proxy import byte_proxy
from forward_proxy import ForwardProxy, forward_proxy
from modelcar.distribution.client import Access, Registry
from modelcar.distribution.credentials import find_credentials
from modelcar.distribution.repository import Repository
from modelcar.distribution.upload import Content
from modelcar.errors import DistributionError, InvalidInput, RegistryAccessDenied
from modelcar.reference import Digest
from modelcar_sandbox.oci_registry import create_app
from modelcar_sandbox.oci_registry.tokens import Auth
from registry_service import serve
from wsgi_faults import Fault

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

BLOB = b"blob" * 1000
DIGEST = Digest.of(BLOB)
PLAIN = "registry.test:5000"
CLUSTER = "image-registry.openshift-image-registry.svc"


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForwardProxy]:
    """The proxy that the environment names."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with forward_proxy() as it:
        monkeypatch.setenv("HTTPS_PROXY", it.url.replace("http://", "http://us:s3cret@"))
        monkeypatch.setenv("HTTP_PROXY", it.url)
        yield it


@contextmanager
def serve_tls(app: WSGIApplication, certificate: Path) -> Iterator[str]:
    server = Server(("127.0.0.1", 0), app, numthreads=4)
    server.ssl_adapter = BuiltinSSLAdapter(str(certificate), str(certificate))
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield f"127.0.0.1:{server.bind_addr[1]}"
    server.stop()
    thread.join()


def repository(host: str, access: Access) -> Repository:
    return Repository(Registry(host, "team/model", access), "team/model")


def write_and_read(there: Repository) -> None:
    there.write_blob(Content(BLOB), DIGEST)
    assert there.read_blob(DIGEST) == BLOB


def test_a_registry_with_tls_is_reached_through_a_tunnel_and_its_certificate_still_counts(
    tmp_path: Path, proxy: ForwardProxy
) -> None:
    certificate = write_certificate(tmp_path / "registry.pem", "registry.test")
    with serve_tls(create_app(tmp_path / "registry"), certificate) as address:
        proxy.routes["registry.test:443"] = address
        write_and_read(repository("registry.test", Access(ca_file=certificate)))
        assert set(proxy.asked) == {("CONNECT", "registry.test:443")}
        with pytest.raises(DistributionError, match=r"registry\.test cannot be trusted"):
            repository("registry.test", Access()).has_blob(DIGEST)


def test_the_proxys_password_goes_to_the_proxy(tmp_path: Path, proxy: ForwardProxy) -> None:
    certificate = write_certificate(tmp_path / "registry.pem", "registry.test")
    with serve_tls(create_app(tmp_path / "registry"), certificate) as address:
        proxy.routes["registry.test:443"] = address
        repository("registry.test", Access(ca_file=certificate)).has_blob(DIGEST)
    assert set(proxy.credentials) == {"Basic dXM6czNjcmV0"}


def test_a_registry_without_tls_is_asked_by_the_proxy(tmp_path: Path, proxy: ForwardProxy) -> None:
    with serve(tmp_path / "registry") as running:
        proxy.routes[PLAIN] = running.address
        write_and_read(repository(PLAIN, Access(plain_http=True)))
        assert ("PUT", PLAIN) in proxy.asked
        assert len([r for r in running.recorder.requests if r.method == "PUT"]) == 1


@pytest.mark.parametrize("named", ["registry.test", ".test", "other.test,registry.test"])
def test_a_registry_that_is_named_as_near_is_not_asked_by_the_proxy(
    monkeypatch: pytest.MonkeyPatch, proxy: ForwardProxy, named: str
) -> None:
    monkeypatch.setenv("NO_PROXY", named)
    with pytest.raises(DistributionError, match="did not answer"):
        repository("registry.test", Access()).has_blob(DIGEST)
    assert proxy.asked == []


def test_loopback_is_never_asked_by_a_proxy(tmp_path: Path, proxy: ForwardProxy) -> None:
    with serve(tmp_path / "registry") as running:
        write_and_read(running.repository())
    assert proxy.asked == []


def test_a_blob_that_lies_with_another_host_is_fetched_through_the_proxy_even_if_the_registry_is_near(
    tmp_path: Path, proxy: ForwardProxy
) -> None:
    with serve(tmp_path / "registry") as running, serve(tmp_path / "storage") as storage:
        storage.repository().write_blob(Content(BLOB), DIGEST)
        proxy.routes["storage.test:80"] = storage.address
        target = f"http://storage.test/v2/team/model/blobs/{DIGEST}"
        running.faults.add(Fault.answer("GET", "/blobs/", 307, headers={"Location": target}))
        assert running.repository().read_blob(DIGEST) == BLOB
    assert proxy.asked == [("GET", "storage.test:80")]


def test_a_proxy_that_reaches_nothing_is_told_in_one_sentence(proxy: ForwardProxy) -> None:
    with pytest.raises(DistributionError) as caught:
        repository("registry.test", Access()).has_blob(DIGEST)
    assert str(caught.value).startswith("registry.test did not answer: ")
    assert proxy.asked[0] == ("CONNECT", "registry.test:443")


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    """What Kubernetes mounts into a pod."""
    directory = tmp_path / "serviceaccount"
    directory.mkdir()
    (directory / "token").write_text("first\n")
    write_certificate(directory / "service-ca.crt", CLUSTER)
    return directory


def test_in_a_pod_the_clusters_registry_takes_its_token_and_its_authority_is_trusted(
    tmp_path: Path, proxy: ForwardProxy, pod: Path
) -> None:
    app = create_app(tmp_path / "registry", auth=Auth({"serviceaccount": "first"}, flow="basic"))
    with serve_tls(app, pod / "service-ca.crt") as address:
        proxy.routes[f"{CLUSTER}:5000"] = address
        write_and_read(repository(f"{CLUSTER}:5000", Access(pod=pod)))


def test_a_token_that_was_renewed_is_read_again(tmp_path: Path, proxy: ForwardProxy, pod: Path) -> None:
    users = {"serviceaccount": "first"}
    app = create_app(tmp_path / "registry", auth=Auth(users, flow="basic"))
    with serve_tls(app, pod / "service-ca.crt") as address:
        proxy.routes[f"{CLUSTER}:5000"] = address
        there = repository(f"{CLUSTER}:5000", Access(pod=pod))
        there.write_blob(Content(BLOB), DIGEST)
        users["serviceaccount"] = "second"
        (pod / "token").write_text("second")
        assert there.has_blob(DIGEST)


def test_no_other_registry_gets_the_pods_token(pod: Path) -> None:
    for host in ("quay.io", "registry.test:5000", f"{CLUSTER}:8443", f"{CLUSTER}.evil.test:5000", f"x{CLUSTER}:5000"):
        assert find_credentials(host, "team/model", env={"HOME": "/nowhere"}, pod=pod) is None


def test_an_auth_file_that_names_the_clusters_registry_goes_before_the_pods_token(tmp_path: Path, pod: Path) -> None:
    authfile = tmp_path / "auth.json"
    authfile.write_text('{"auths": {"%s:5000": {"username": "robot", "password": "own"}}}' % CLUSTER)  # noqa: UP031
    found = find_credentials(f"{CLUSTER}:5000", "team/model", authfile=authfile, pod=pod)
    assert (found and found.username) == "robot"


def test_outside_a_pod_the_clusters_registry_is_asked_without_credentials(tmp_path: Path) -> None:
    assert find_credentials(f"{CLUSTER}:5000", "team/model", env={"HOME": "/nowhere"}, pod=tmp_path / "none") is None


def test_a_token_that_cannot_be_read_any_more_is_told_without_its_content(pod: Path) -> None:
    found = find_credentials(f"{CLUSTER}:5000", "team/model", env={"HOME": "/nowhere"}, pod=pod)
    assert found is not None
    (pod / "token").write_bytes(b"\xffs3cret")
    with pytest.raises(InvalidInput) as caught:
        _ = found.basic
    assert str(caught.value) == f"{pod / 'token'} cannot be read as a service account's token: it is no token"


def test_a_token_that_the_clusters_registry_refuses_is_told_with_its_file(
    tmp_path: Path, proxy: ForwardProxy, pod: Path
) -> None:
    app = create_app(tmp_path / "registry", auth=Auth({"serviceaccount": "other"}, flow="basic"))
    with serve_tls(app, pod / "service-ca.crt") as address:
        proxy.routes[f"{CLUSTER}:5000"] = address
        with pytest.raises(RegistryAccessDenied) as caught:
            repository(f"{CLUSTER}:5000", Access(pod=pod)).write_blob(Content(BLOB), DIGEST)
    assert f"as serviceaccount (from {pod / 'token'})" in str(caught.value)


def test_a_cut_at_the_first_contact_does_not_make_a_plain_registry_unreachable(tmp_path: Path) -> None:
    with serve(tmp_path / "registry") as running, byte_proxy(running.address) as proxy:
        proxy.arm(0, "reset")
        there = repository(proxy.address, Access())
        assert proxy.happened.is_set()
        write_and_read(there)
