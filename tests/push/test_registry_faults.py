"""Faults of registries, by proxies before the sandbox's and before real ones: an image that is right, or one error."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import pytest

from fault_proxy import Change, Headers, byte_proxy, reverse_proxy
from image_checks import UnpackedImage
from model_files import Files, shard
from modelcar.distribution.client import Access, Registry, Timeouts
from modelcar.distribution.destination import Destination
from modelcar.distribution.ladder import Ladder
from modelcar.distribution.registries import find_registry
from modelcar.distribution.repository import Repository
from modelcar.errors import DistributionError
from modelcar.push import PushedImage
from modelcar_sandbox.oci_registry import create_app
from modelcar_sandbox.oci_registry.tokens import Auth
from modelcar_sandbox.service import Service
from real_servers import require
from wsgi_faults import Fault, Faults, Recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PushFiles = Callable[..., PushedImage]
Pull = Callable[[Destination, str], UnpackedImage]
MIB = 1 << 20
UPLOADS = "/blobs/uploads/$"
SESSION = "/blobs/uploads/."
MANIFEST = "/manifests/(?!.*journal)"
MODEL = {
    "config.json": b"{}",
    "model.safetensors": shard(4 * MIB + 1),
}
DIGEST = "sha256:cd4b465d0e52b6d35ae3086bd9b9ec4e9c365933ba11c6b37a733bd7e40b41c7"
SMALL = {"config.json": b"{}", "model.safetensors": shard(40_000)}
ECR = "1.dkr.ecr.eu-central-1.amazonaws.com"
BASIC = {"WWW-Authenticate": 'Basic realm="r"'}


def code(name: str) -> bytes:
    return json.dumps({"errors": [{"code": name}]}).encode()


@pytest.fixture(
    params=[
        "sandbox",
        pytest.param("REAL_OCI_REGISTRY", marks=pytest.mark.real),
        pytest.param("REAL_ZOT", marks=pytest.mark.real),
    ]
)
def upstream(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a registry."""
    if request.param == "sandbox":
        with Service(create_app(tmp_path / "registry")) as service:
            yield service.address
    else:
        yield require(request.param)


class Front:
    """A registry behind a proxy that makes faults.

    Attributes:
        address: Of the proxy.
        registry: Through the proxy.
        repository: A new one there.
        direct: The same one, past it.
    """

    def __init__(self, address: str, upstream: str, faults: Faults, recorder: Recorder, timeouts: Timeouts) -> None:
        self.address, self.faults, self.recorder = address, faults, recorder
        name = f"team/model-{uuid.uuid4().hex}"
        self.registry = Registry(address, name, Access(timeouts=timeouts))
        self.repository = Repository(self.registry, name)
        self.direct = Repository(Registry(upstream, name, Access(plain_http=True)), name)

    def patched(self) -> int:
        """Uploads that were taken by `PATCH`."""
        return len([r for r in self.recorder.seen("PATCH") if r.status in (201, 202)])


StandBefore = Callable[..., Front]


@pytest.fixture
def stand_before(upstream: str) -> Iterator[StandBefore]:
    """Put a proxy before the registry that makes these faults."""
    running: list[Service] = []

    def begin(
        *faults: Fault,
        change: Change | None = None,
        wrap: Callable[[WSGIApplication], WSGIApplication] = lambda app: app,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - frozen
    ) -> Front:
        broken = Faults(wrap(reverse_proxy(upstream, change)), *faults)
        recorder = Recorder(broken)
        running.append(Service(recorder))
        running[-1].start()
        return Front(running[-1].address, upstream, broken, recorder, timeouts)

    yield begin
    for service in running:
        service.stop()


@dataclass(frozen=True)
class Case:
    """What goes wrong, and what is seen of it.

    Attributes:
        name: A few words.
        faults: Made by the proxy.
        fired: How many there must have been; None where it is for the client to say.
    """

    name: str
    faults: tuple[Fault, ...]
    fired: int | None = 1


def once(name: str, *faults: Fault) -> Case:
    return Case(name, faults, len(faults))


HEALED = [
    once("401 in mid-upload", Fault.answer("PATCH", SESSION, 401, after_body_bytes=2 * MIB, drain=False)),
    *(once(f"{status} to an upload", Fault.answer("PATCH", SESSION, status)) for status in (408, 500, 502, 503, 504)),
    *(once(f"{status} at its end", Fault.answer("PUT", SESSION, status, nth=2)) for status in (429, 500, 502, 503)),
    *(once(f"{status} to a manifest", Fault.answer("PUT", MANIFEST, status)) for status in (429, 500, 502, 503)),
    once("429 with Retry-After", Fault.answer("POST", UPLOADS, 429, nth=2, headers={"Retry-After": "1"})),
    once("500 in mid-upload", Fault.answer("PATCH", SESSION, 500, after_body_bytes=MIB, drain=False)),
    once("cut in mid-upload", Fault.cut_request("PATCH", SESSION, 3 * MIB)),
    once("ended in mid-upload", Fault.cut_request("PATCH", SESSION, 3 * MIB + 7, reset=False)),
    once("answer lost", Fault.cut_answer("PATCH", SESSION, 0)),
    once("answer lost at the end", Fault.cut_answer("PUT", SESSION, 0)),
    once("answer lost of a manifest", Fault.cut_answer("PUT", MANIFEST, 0)),
    once("upload unknown", Fault.answer("PATCH", SESSION, 404, body=code("BLOB_UPLOAD_UNKNOWN"))),
    once("upload unknown at the end", Fault.answer("PUT", SESSION, 404, body=code("BLOB_UPLOAD_UNKNOWN"))),
    once("digest mismatch", Fault.answer("PUT", SESSION, 400, body=code("DIGEST_INVALID"))),
    Case("no PATCH is taken", (Fault.answer("PATCH", SESSION, 405, times=99),), None),
    Case("no PATCH is known", (Fault.answer("PATCH", SESSION, 404, body=code("UNSUPPORTED"), times=99),), None),
    Case("4 MiB are the limit", (Fault.answer("PATCH", SESSION, 416, times=99, longer_than=4 * MIB, drain=False),), 1),
    Case(
        "a proxy limits bodies",
        tuple(Fault.answer(m, SESSION, 413, times=99, longer_than=3 * MIB, drain=False) for m in ("PATCH", "PUT")),
        2,
    ),
    Case(
        "parts land on different nodes",
        (
            Fault.answer("PATCH", SESSION, 413, times=99, longer_than=3 * MIB, drain=False),
            *(Fault.answer("PATCH", SESSION, 404, body=code("BLOB_UPLOAD_UNKNOWN"), nth=n) for n in range(6, 60, 2)),
        ),
        None,
    ),
]


@pytest.mark.parametrize("case", HEALED, ids=lambda case: case.name)
def test_the_image_is_right_in_spite_of(
    case: Case, stand_before: StandBefore, push_files: PushFiles, pull: Pull
) -> None:
    front = stand_before(*case.faults)
    pushed = push_files(Files(MODEL), front.repository, tags=("v1", "lasting"))
    assert front.faults.fired == case.fired or (case.fired is None and front.faults.fired > 0)
    assert str(pushed.digest) == DIGEST
    assert pull(front.direct, "v1").model == MODEL


REFUSED = [
    (
        "digest mismatch for ever",
        Fault.answer("PUT", SESSION, 400, body=code("DIGEST_INVALID"), times=999),
        "DIGEST_INVALID",
    ),
    ("layers too large", Fault.answer("PATCH", SESSION, 413, times=999), "HTTP 413"),
    ("no right to push", Fault.answer("PUT", SESSION, 403, times=999), "HTTP 403"),
    (
        "manifest invalid",
        Fault.answer("PUT", MANIFEST, 400, body=code("MANIFEST_INVALID"), times=999),
        "MANIFEST_INVALID",
    ),
    ("manifest too large", Fault.answer("PUT", MANIFEST, 413, times=999), "HTTP 413"),
    (
        "blob gone before the manifest",
        Fault.answer("PUT", MANIFEST, 400, body=code("MANIFEST_BLOB_UNKNOWN"), times=999),
        "MANIFEST_BLOB_UNKNOWN",
    ),
    ("uploads always cut", Fault.cut_request("PATCH", SESSION, 0, times=999), "did not answer"),
    ("manifests always cut", Fault.cut_request("PUT", MANIFEST, 0, times=999), "did not answer"),
    ("always busy", Fault.answer("PATCH", SESSION, 503, times=999), "HTTP 503"),
]


@pytest.mark.parametrize(("fault", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_nothing_is_named_and_one_sentence_is_told_of(
    fault: Fault, words: str, stand_before: StandBefore, push_files: PushFiles
) -> None:
    front = stand_before(fault)
    with pytest.raises(DistributionError, match=words) as caught:
        push_files(Files(SMALL | {"model.safetensors": shard(5 * MIB)}), front.repository, tags=("v1", "lasting"))
    assert "\n" not in str(caught.value)
    assert [front.direct.find_manifest(tag) for tag in ("v1", "lasting")] == [None, None]
    assert len(front.recorder.requests) < 250


@pytest.mark.parametrize("parts_get_lost", [True, False])
def test_a_layer_whose_digest_is_known_comes_in_parts_or_ends_the_push_when_they_land_on_different_nodes(
    stand_before: StandBefore, push_files: PushFiles, pull: Pull, parts_get_lost: bool
) -> None:
    front = stand_before()
    push_files(Files(MODEL), front.repository)
    for method in ("PUT", "PATCH"):
        front.faults.add(Fault.answer(method, SESSION, 413, times=9999, longer_than=3 * MIB, drain=False))
    if parts_get_lost:
        unknown = code("BLOB_UPLOAD_UNKNOWN")
        for nth in range(2, 200, 2):
            front.faults.add(Fault.answer("PATCH", SESSION, 404, body=unknown, nth=nth, longer_than=MIB - 1))
    changed = MODEL | {"model.safetensors": shard(4 * MIB + 1, seed=1)}  # hashed first, for it may be what is there
    if parts_get_lost:
        with pytest.raises(DistributionError, match="lost an upload to team/model-") as caught:
            push_files(Files(changed, published=False), front.repository)
        assert "\n" not in str(caught.value)
    else:
        push_files(Files(changed, published=False), front.repository)
    assert pull(front.direct, "v1").model == (MODEL if parts_get_lost else changed)
    assert len(front.recorder.requests) < 250


@pytest.mark.parametrize("code_name", ["MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"])
def test_a_blob_that_went_away_before_the_manifest_is_sent_again_by_the_next_push(
    stand_before: StandBefore, push_files: PushFiles, pull: Pull, code_name: str
) -> None:
    front = stand_before(Fault.answer("PUT", MANIFEST, 404, body=code(code_name)))
    with pytest.raises(DistributionError) as caught:
        push_files(Files(SMALL), front.repository)
    assert (
        caught.value.hint
        == "Something removes blobs while they are pushed; run it again: what is missing is sent again."
    )
    push_files(Files(SMALL), front.repository)
    assert pull(front.direct, "v1").model == SMALL


def test_a_layer_that_waits_for_its_next_attempt_ends_when_another_one_has_failed(
    stand_before: StandBefore, push_files: PushFiles
) -> None:
    front = stand_before(
        Fault.answer("PATCH", SESSION, 503, headers={"Retry-After": "200"}),
        Fault.answer("PUT", SESSION, 403),
    )
    started = time.monotonic()
    with pytest.raises(DistributionError, match="HTTP 403"):
        push_files(Files(SMALL), front.repository)
    assert time.monotonic() - started < 100


# What a registry answers, or where it sends its clients.


@pytest.mark.parametrize(("host", "asked"), [(ECR, 0), ("registry.example.com", 1)])
def test_a_patch_that_is_answered_by_201_and_a_range_that_says_nothing_begins_anew_after_a_cut(
    stand_before: StandBefore, push_files: PushFiles, pull: Pull, host: str, asked: int
) -> None:
    def like_ecr(method: str, path: str, status: int, headers: Headers) -> tuple[int, Headers]:
        if method not in ("PATCH", "GET") or "/uploads/" not in path or status >= 400:
            return status, headers
        answered = 201 if method == "PATCH" else status
        return answered, [*((name, value) for name, value in headers if name != "Range"), ("Range", "0-0")]

    front = stand_before(Fault.cut_request("PATCH", SESSION, 3 * MIB), change=like_ecr)
    front.registry.ladder = Ladder(find_registry(host))
    push_files(Files(MODEL), front.repository)
    assert front.faults.fired == 1
    assert len(front.recorder.seen("GET", SESSION)) == asked
    assert [request.status for request in front.recorder.seen("PATCH")].count(201) == 2
    assert sum(request.bytes_received for request in front.recorder.seen("PATCH")) > (3 + 4) * MIB
    assert pull(front.direct, "v1").model == MODEL


@pytest.mark.parametrize("form", ["relative", "path", "absolute", "query"])
def test_an_upload_goes_where_the_registry_says_in_whatever_form(
    stand_before: StandBefore, push_files: PushFiles, pull: Pull, form: str
) -> None:
    def elsewhere(_method: str, path: str, status: int, headers: Headers) -> tuple[int, Headers]:
        return status, [
            (name, _reform(value, path, form) if name == "Location" and status == 202 else value)
            for name, value in headers
        ]

    front = stand_before(change=elsewhere)
    push_files(Files(MODEL), front.repository)
    if form == "query":
        assert all("more=a%2Fb" in r.query for r in front.recorder.seen("PATCH"))
    assert pull(front.direct, "v1").model == MODEL


def test_no_password_follows_an_upload_to_another_host(
    stand_before: StandBefore, push_files: PushFiles, pull: Pull, log_in: Callable[[str], object]
) -> None:
    storage = stand_before()

    def at_storage(_method: str, _path: str, status: int, headers: Headers) -> tuple[int, Headers]:
        if status != 202:
            return status, headers
        return status, [(name, _at(value, storage.address) if name == "Location" else value) for name, value in headers]

    front = stand_before(change=at_storage)
    log_in(front.address)
    front = stand_before_again(front, Fault.answer("POST", UPLOADS, 401, headers=BASIC))
    push_files(Files(MODEL), front.repository)
    assert any(r.authorized for r in front.recorder.requests)
    assert len(storage.recorder.seen("PATCH")) == 2
    assert not any(r.authorized for r in storage.recorder.requests)
    assert pull(front.direct, "v1").model == MODEL


def stand_before_again(front: Front, fault: Fault) -> Front:
    """The same proxy, to a client that reads the auth file anew."""
    front.faults.add(fault)
    name = front.direct.name.partition("/")[2]
    front.repository = Repository(Registry(front.address, name, Access()), name)
    return front


def _at(location: str, address: str) -> str:
    return urlunsplit(urlsplit(location)._replace(scheme="http", netloc=address))


def _reform(location: str, path: str, form: str) -> str:
    parts = urlsplit(location)
    inner = parts._replace(scheme="", netloc="")
    if form == "path":
        return inner.geturl()
    if form == "relative":
        above = path.rpartition("/")[0] + "/"
        return inner._replace(path=parts.path.removeprefix(above)).geturl()
    if form == "query":
        return inner._replace(query=f"{parts.query}&more=a%2Fb" if parts.query else "more=a%2Fb").geturl()
    return location


# Silence.


class Silent:
    """Does the work of the first request of its kind, and answers when it is too late."""

    def __init__(self, app: WSGIApplication, method: str, path_part: str) -> None:
        self._app, self._method, self._part = app, method, path_part
        self._first = threading.Lock()
        self.over = threading.Event()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer = self._app(environ, start_response)
        is_meant = environ["REQUEST_METHOD"] == self._method and self._part in environ["PATH_INFO"]
        if is_meant and self._first.acquire(blocking=False):
            self.over.wait(30)
        return answer


@pytest.mark.parametrize(("method", "part"), [("PATCH", "/uploads/"), ("PUT", "/uploads/"), ("PUT", "/manifests/")])
def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(
    stand_before: StandBefore, push_files: PushFiles, pull: Pull, method: str, part: str
) -> None:
    silent: list[Silent] = []

    def fall_silent(app: WSGIApplication) -> WSGIApplication:
        silent.append(Silent(app, method, part))
        return silent[0]

    front = stand_before(wrap=fall_silent, timeouts=Timeouts(answer_s=0.5, commit_s=0.5))
    try:
        push_files(Files(SMALL), front.repository)
    finally:
        silent[0].over.set()
    assert pull(front.direct, "v1").model == SMALL


def test_a_peer_that_takes_no_more_bytes_is_left_after_a_while(
    upstream: str, push_files: PushFiles, pull: Pull
) -> None:
    big = SMALL | {"model.safetensors": shard(16 * MIB)}
    name = f"team/model-{uuid.uuid4().hex}"
    with byte_proxy(upstream) as proxy:
        access = Access(timeouts=Timeouts(send_s=0.5, answer_s=1, commit_s=2))
        repository = Repository(Registry(proxy.address, name, access), name)
        proxy.arm(2 * MIB, "stall")
        push_files(Files(big), repository)
        assert proxy.happened.is_set()
    assert pull(Repository(Registry(upstream, name, Access(plain_http=True)), name), "v1").model == big


# Tokens.


def test_a_token_that_expires_between_patch_and_put_is_renewed_and_no_byte_sent_again(
    tmp_path: Path, push_files: PushFiles, pull: Pull, log_in: Callable[[str], object]
) -> None:
    app = create_app(tmp_path / "registry", auth=Auth({"robot": "secret"}))
    faults = Faults(app)
    recorder = Recorder(faults)
    with Service(recorder) as service:
        log_in(service.address)
        realm = f'Bearer realm="http://{service.address}/token",service="modelcar-sandbox",error="invalid_token"'
        faults.add(Fault.answer("PUT", SESSION, 401, headers={"WWW-Authenticate": realm}, times=1, nth=2))
        repository = Repository(Registry(service.address, "team/model", Access()), "team/model")
        push_files(Files(MODEL), repository)
        assert pull(repository, "v1").model == MODEL
    assert faults.fired == 1
    assert sum(r.bytes_received for r in recorder.seen("PATCH")) < 9 * MIB
    assert len(recorder.seen("GET", "/token")) == 2


# Any byte.


@pytest.mark.parametrize("first", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(25, 200, 25))])
def test_a_connection_that_is_cut_at_any_byte_changes_nothing(
    upstream: str, push_files: PushFiles, pull: Pull, first: int, request: pytest.FixtureRequest
) -> None:
    def push_once(at: int | None, kind: str, host: str) -> tuple[int, PushedImage, list[int]]:
        """Through a proxy, to a registry that is taken for `host`; returns also from where the weights were read."""
        name, source = f"team/model-{uuid.uuid4().hex}", Files(MODEL)
        with byte_proxy(upstream) as proxy:
            registry = Registry(proxy.address, name, Access())
            registry.ladder = Ladder(find_registry(host))
            proxy.arm(at, kind)
            pushed = push_files(source, Repository(registry, name))
            passed = proxy.passed
            assert at is None or proxy.happened.is_set()
        assert pull(Repository(Registry(upstream, name, Access(plain_http=True)), name), "v1").model == MODEL
        return passed, pushed, [offset for path, offset in source.opened if path == "model.safetensors"]

    whole_bytes, whole, _ = push_once(None, "reset", "registry.example.com")
    resumed = replayed = 0
    for seed in range(first, first + 25):
        chance = random.Random(seed)
        at, kind = chance.randrange(whole_bytes * 9 // 10), chance.choice(["reset", "end"])
        _, pushed, offsets = push_once(at, kind, "registry.example.com" if seed % 2 else ECR)
        assert pushed.digest == whole.digest, f"seed {seed}: {kind} at {at}"
        resumed += any(offsets[1:])
        replayed += 0 in offsets[1:]
    assert replayed >= 8
    assert resumed >= 8 or "sandbox" not in request.node.name  # not every real one goes on
