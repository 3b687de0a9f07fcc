"""Against the sandbox's Hub; `test_hub_download` has what a network does to the bytes."""

from __future__ import annotations

import hashlib
import os
import socket
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelcar.errors import (
    InvalidInput,
    InvalidReference,
    PromotionError,
    SourceAccessDenied,
    SourceError,
    SourceNotFound,
    UnsafeContent,
)
from modelcar.reference import Digest
from modelcar.snapshot import ModelFile
from modelcar.sources import download
from modelcar.sources.open import open_source
from modelcar_sandbox.hub import Hub, User, create_app
from modelcar_sandbox.service import Service
from wsgi_faults import Fault, Faults, Recorder

WEIGHTS = bytes(range(256)) * 8000
CONFIG = b'{"model_type": "llama"}'
FILES: dict[str, bytes | Path] = {
    "config.json": CONFIG,
    "model.safetensors": WEIGHTS,
    "sub dir/n\u00f6tes.txt": b"deep",
}
TOKENS = {"hf_member": User("member", frozenset({"org/private", "org/gated"})), "hf_stranger": User("stranger")}


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Served:
    hub: Hub
    faults: Faults
    recorder: Recorder
    host: str
    clock: Clock


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    hub = Hub(tmp_path_factory.mktemp("hub"))
    hub.publish("org/model", FILES)
    hub.publish("org/private", FILES, private=True)
    hub.publish("org/gated", FILES, gated=True)
    hub.publish("org/pickles", {"pytorch_model.bin": b"x", "config.json": CONFIG})
    clock = Clock()
    faults = Faults(create_app(hub.directory, tokens=TOKENS, clock=clock))
    recorder = Recorder(faults)
    with Service(recorder) as service:
        yield Served(hub, faults, recorder, service.address, clock)


@pytest.fixture
def served(running: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("HF_ENDPOINT", f"http://{running.host}")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    running.recorder.clear()
    yield running
    running.faults.clear()


def failure(uri: str, **options: str) -> PromotionError:
    with pytest.raises(PromotionError) as caught:
        open_source(uri, **options).snapshot()
    return caught.value


def test_a_model_is_listed_with_the_published_digests(served: Served) -> None:
    commit_hash = served.hub.publish("org/model", FILES)
    snapshot = open_source("hf://org/model").snapshot()
    assert (snapshot.uri, snapshot.revision, snapshot.commit_hash) == ("hf://org/model", "main", commit_hash)
    assert snapshot.files == (
        ModelFile("config.json", len(CONFIG), git_blob_id=blob_id(CONFIG)),
        ModelFile("model.safetensors", len(WEIGHTS), sha256=Digest.of(WEIGHTS)),
        ModelFile("sub dir/n\u00f6tes.txt", 4, git_blob_id=blob_id(b"deep")),
    )


@pytest.mark.parametrize("path", FILES)
@pytest.mark.parametrize("offset", [0, 3])
def test_each_file_arrives_from_any_offset(served: Served, path: str, offset: int) -> None:
    source = open_source("hf://org/model")
    file = next(file for file in source.snapshot().files if file.path == path)
    with source.open(file, offset) as blocks:
        received = list(blocks)
    assert b"".join(received) == bytes(FILES[path])[offset:]
    assert all(0 < len(block) <= 1 << 20 for block in received)


def test_a_file_is_opened_without_a_listing_before(served: Served) -> None:
    with open_source("hf://org/model").open(ModelFile("config.json", len(CONFIG))) as blocks:
        assert b"".join(blocks) == CONFIG


def test_the_revision_stays_the_one_that_was_resolved(served: Served) -> None:
    served.hub.publish("org/moving", {"a.txt": b"old"})
    source = open_source("hf://org/moving")
    file = source.snapshot().files[0]
    served.hub.publish("org/moving", {"a.txt": b"new"})
    with source.open(file) as blocks:
        assert b"".join(blocks) == b"old"


def test_a_source_that_is_closed_fetches_only_what_is_asked_for(served: Served) -> None:
    served.hub.publish("org/many", {f"{number}.txt": b"x" for number in range(9)})
    source = open_source("hf://org/many")
    files = source.snapshot().files
    source.close()
    served.recorder.clear()
    for file in files[:4]:
        with source.open(file) as blocks:
            assert b"".join(blocks) == b"x"
    asked = [one.path.rpartition("/")[2] for one in served.recorder.seen("GET", "/resolve/")]
    assert asked == [file.path for file in files[:4]]


def test_an_address_that_expired_is_asked_for_again(served: Served) -> None:
    served.faults.add(Fault.answer("GET", "^/cdn/", 403))
    source = open_source("hf://org/model@main")
    file = next(file for file in source.snapshot().files if file.sha256 is not None)
    with pytest.raises(SourceError, match="does not accept the signed address") as caught, source.open(file):
        pass
    assert caught.value.retryable is True
    with source.open(file) as blocks:
        assert b"".join(blocks) == WEIGHTS
    assert len(served.recorder.seen("GET", "/resolve/")) == 2


def test_a_revision_is_named_in_the_uri_or_beside_it(served: Served) -> None:
    branch = served.hub.publish("org/model", {"config.json": b"{}"}, revision="refs/pr/1")
    assert open_source("hf://org/model@refs/pr/1").snapshot().commit_hash == branch
    snapshot = open_source("hf://org/model", revision=branch).snapshot()
    assert (snapshot.revision, snapshot.commit_hash, snapshot.uri) == (branch, branch, "hf://org/model")


def test_two_different_revisions_are_one_too_many(served: Served) -> None:
    with pytest.raises(InvalidReference, match="names a revision, and so does revision 'v2'"):
        open_source("hf://org/model@main", revision="v2")
    assert open_source("hf://org/model@main", revision="main").snapshot().revision == "main"


def test_missing_or_private_is_said_in_one_sentence(served: Served) -> None:
    for name in ("org/none", "org/private"):
        error = failure(f"hf://{name}")
        assert str(error) == f"{served.host} has no model {name}, or it is private"
        assert error.hint == "Check the name; if the model is private, set HF_TOKEN to a token that may read it."
        assert isinstance(error, SourceNotFound)


def test_a_token_opens_a_private_model_and_goes_along(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_member")
    source = open_source("hf://org/private")
    with source.open(source.snapshot().files[0]) as blocks:
        assert b"".join(blocks) == CONFIG
    assert all(request.authorized for request in served.recorder.requests)


def test_a_strangers_token_is_told_that_it_may_not_read(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_stranger")
    assert failure("hf://org/private").hint == "Check the name; if the model is private, use a token that may read it."


def test_a_gated_model_is_refused_before_any_file_is_read(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    without = failure("hf://org/gated")
    assert str(without) == f"the model org/gated on {served.host} is gated, and there is no token"
    assert isinstance(without, SourceAccessDenied)
    monkeypatch.setenv("HF_TOKEN", "hf_stranger")
    assert str(failure("hf://org/gated")).endswith("is gated, and the token's account was not let in")
    monkeypatch.setenv("HF_TOKEN", "hf_member")
    assert len(open_source("hf://org/gated").snapshot().files) == 3
    assert served.recorder.seen("GET", "/resolve/") == []


def test_a_wrong_token_is_told_from_a_missing_model(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    error = failure("hf://org/model")
    assert str(error) == f"{served.host} does not accept the Hugging Face token"
    assert "hf_expired" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("token", ["hf_\u00f6", "hf_a b", "hf_a\x01b"])
def test_a_garbled_token_is_not_repeated(served: Served, monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    error = failure("hf://org/model")
    assert str(error) == "the Hugging Face token has characters that no token has"
    assert token not in "".join(traceback.format_exception(error))
    assert served.recorder.requests == []


def test_a_missing_revision_is_named(served: Served) -> None:
    assert str(failure("hf://org/model@v9")) == "the model org/model has no revision 'v9'"


def test_a_model_of_pickles_is_refused(served: Served) -> None:
    error = failure("hf://org/pickles")
    assert isinstance(error, UnsafeContent)
    assert str(error).endswith("and no safetensors: pytorch_model.bin")


def test_an_unreachable_hub_is_retryable_and_says_what_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    with Service(lambda *_: []) as gone:
        address = gone.address
    monkeypatch.setenv("HF_ENDPOINT", f"http://{address}")
    error = failure("hf://org/model")
    assert str(error) == f"{address} cannot be reached: Connection refused"
    assert (error.retryable, error.hint) == (True, "Check the network, and HF_ENDPOINT if you use a mirror.")


def test_a_hub_that_never_answers_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "DOCUMENT_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("HF_ENDPOINT", f"http://{host}")
        assert str(failure("hf://org/model")) == f"{host} cannot be reached: no answer in time"


@pytest.mark.parametrize(("status", "retry_after_s"), [(429, 7.0), (503, 7.0)])
def test_a_hub_in_trouble_is_retryable_after_the_time_that_it_asks_for(
    served: Served, status: int, retry_after_s: float
) -> None:
    served.faults.add(Fault.answer("GET", "/revision/", status, headers={"Retry-After": "7"}))
    error = failure("hf://org/model")
    assert (type(error), error.retryable, error.retry_after_s) == (SourceError, True, retry_after_s)


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"[]", b"{}", b'{"sha": "short"}', b"null"])
def test_what_is_no_hub_is_told(served: Served, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    served.faults.add(Fault.answer("GET", "/revision/", 200, headers=headers, body=body))
    assert str(failure("hf://org/model")) == f"{served.host} does not answer as a Hugging Face Hub does"


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[1]",
        b'[{"type": "file"}]',
        b'[{"type": "file", "path": "a", "size": -1, "oid": "0"}]',
        b'[{"type": "file", "path": "a", "size": 1, "oid": "zz"}]',
        b'[{"type": "file", "path": "a", "size": 1, "oid": "", "lfs": {"oid": "zz"}}]',
    ],
)
def test_a_listing_without_sense_is_told(served: Served, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    served.faults.add(Fault.answer("GET", "/tree/", 200, headers=headers, body=body))
    assert str(failure("hf://org/model")) == f"{served.host} does not answer as a Hugging Face Hub does"


def test_a_name_that_leaves_the_models_directory_is_refused(served: Served) -> None:
    body = b'[{"type": "file", "path": "../../x", "size": 1, "oid": "%s"}]' % (b"0" * 40)
    served.faults.add(Fault.answer("GET", "/tree/", 200, headers={"Content-Type": "application/json"}, body=body))
    assert isinstance(failure("hf://org/model"), UnsafeContent)


def test_offline_mode_is_named(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert str(failure("hf://org/model")) == "HF_HUB_OFFLINE is set, and a model on a Hub was asked for"


@pytest.mark.parametrize("endpoint", ["ftp://hub", "hub.example", "http://", "http://hub:port", "http://[::1"])
def test_an_endpoint_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(InvalidInput, match=r"^HF_ENDPOINT is not the address of a server$"):
        open_source("hf://org/model")


def test_a_password_in_the_endpoint_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://me:geheim@hub.example")
    with pytest.raises(InvalidInput, match=r"^HF_ENDPOINT has a name or a password in it$"):
        open_source("hf://org/model")


def test_nothing_is_asked_but_the_model_and_nothing_is_written(served: Served) -> None:
    home = Path(os.environ["HF_HOME"])
    before = sorted(home.rglob("*"))
    source = open_source("hf://org/model")
    for file in source.snapshot().files:
        with source.open(file) as blocks:
            assert sum(map(len, blocks)) == file.size_bytes
    assert sorted(home.rglob("*")) == before
    first = {request.path.split("/")[1] for request in served.recorder.requests}
    assert first == {"api", "org", "cdn"}
    assert not served.recorder.seen("GET", "agent")
    assert len(served.recorder.seen("GET", "^/org/model/resolve/")) == 3
