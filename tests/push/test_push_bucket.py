"""From a bucket to a registry: one image, whatever breaks on the way, or one clear error and nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

import pytest

from image_checks import UnpackedImage
from model_files import shard
from modelcar.distribution.destination import Destination
from modelcar.errors import SourceError
from modelcar.plan import PlatformBase, make_plan
from modelcar.push import PushedImage, push
from modelcar.reference import Platform
from modelcar.sources.open import open_source
from object_store_service import RunningStore, serve_store
from registry_service import Running
from wsgi_faults import Fault

Pull = Callable[[Destination, str], UnpackedImage]
MIB = 1 << 20
MODEL = {
    "config.json": b"{}",
    "model-1.safetensors": shard(4 * MIB, seed=1),
    "model-2.safetensors": shard(4 * MIB + 1, seed=2),
}
DIGEST = "sha256:2c2b92e5433e43c0636fed635f38c44790e4113c11d0da465dd437becee9e388"
"""Of the same files from memory, in `test_push_faults`."""
AMD64 = Platform("linux", "amd64")
PROGRAM = [sys.executable, "-c", "from modelcar.cli import main; main()"]


@pytest.fixture(scope="module")
def running_store() -> Iterator[RunningStore]:
    with serve_store() as store:
        yield store


@pytest.fixture
def store(running_store: RunningStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningStore]:
    monkeypatch.setattr("modelcar.image.content.wait_unless", lambda _cancelled: lambda _delay_s: None)
    for name, value in running_store.environment.items():
        monkeypatch.setenv(name, value)
    running_store.put(MODEL, "llama/")
    running_store.recorder.clear()
    yield running_store
    running_store.faults.clear()


def push_command(store: RunningStore, running: Running, *options: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own."""
    uri, image = f"s3://{store.bucket}/llama", f"{running.address}/team/model:v1"
    command = [*PROGRAM, "push", uri, image, "--base-image", "scratch", "--json", *options]
    environment = os.environ | store.environment | {"AWS_SECRET_ACCESS_KEY": "planted-secret"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_the_command_pushes_a_bucket(store: RunningStore, running: Running, pull: Pull) -> None:
    done = push_command(store, running)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["digest"] == DIGEST
    assert pull(running.repository(), "v1").model == MODEL
    assert sum(one.bytes_sent for one in store.recorder.seen("GET", "/llama/")) == sum(map(len, MODEL.values()))


def test_what_is_there_is_not_sent_again(store: RunningStore, running: Running) -> None:
    push_command(store, running)
    sent = running.blob_bytes_received
    again = json.loads(push_command(store, running).stdout)
    assert (again["digest"], running.blob_bytes_received - sent) == (DIGEST, 0)


def test_a_bucket_that_is_not_there_is_one_sentence(store: RunningStore, running: Running) -> None:
    image = f"{running.address}/team/model:v1"
    done = subprocess.run(
        [*PROGRAM, "push", "s3://absent/llama", image, "--base-image", "scratch"],
        env=os.environ | store.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"{store.address} has no bucket absent\n" in done.stderr
    assert "Traceback" not in done.stderr


FAULTS = [
    Fault.cut_answer("GET", "model-1", 2 * MIB),
    Fault.cut_answer("GET", "model-2", 2 * MIB, reset=True, times=2),
    Fault.cut_answer("GET", "config.json", 0),
    Fault.answer("GET", "model-1", 503),
    Fault.answer("GET", "model-2", 429, times=2),
]


def push_bucket(
    store: RunningStore, running: Running, then: Callable[[], None] = lambda: None, previous: Sequence[str] = ()
) -> PushedImage:
    """In this process; `then` is called between plan and push."""
    source = open_source(f"s3://{store.bucket}/llama")
    plan = make_plan(source.snapshot(), running.repository(), platforms=[PlatformBase(AMD64, None)], previous=previous)
    then()
    return push(plan, source, running.repository(), tags=lambda _: ("v1",))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind} {fault.path} {fault.status}")
def test_a_failure_in_the_middle_changes_nothing(
    store: RunningStore, running: Running, pull: Pull, fault: Fault
) -> None:
    store.faults.add(fault)
    assert str(push_bucket(store, running).digest) == DIGEST
    assert store.faults.fired == fault.times
    assert pull(running.repository(), "v1").model == MODEL


def test_of_a_bucket_no_samples_are_taken(
    store: RunningStore, running: Running, pull: Pull, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelcar.samples.LEAST_BYTES", 4 * MIB)
    push_bucket(store, running)
    store.put({"model-1.safetensors": shard(4 * MIB, seed=9)}, "llama/")
    store.recorder.clear()
    pushed = push_bucket(store, running, previous=["v1"])
    reads = {name: store.recorder.seen("GET", f"/llama/{name}") for name in ("model-1", "model-2")}
    assert {name: len(asked) for name, asked in reads.items()} == {"model-1": 2, "model-2": 1}
    assert not any("range" in one.headers for asked in reads.values() for one in asked)
    assert [layer.files for layer in pushed.layers if not layer.reused] == [("model-1.safetensors",)]
    assert pull(running.repository(), "v1").model == MODEL | {"model-1.safetensors": shard(4 * MIB, seed=9)}


def replace_shard(store: RunningStore) -> None:
    store.put({"model-1.safetensors": shard(4 * MIB, seed=9)}, "llama/")


def delete_shard(store: RunningStore) -> None:
    store.delete("llama/model-1.safetensors")


def refuse_shard(store: RunningStore) -> None:
    store.faults.add(Fault.cut_answer("GET", "model-1", 2 * MIB))
    store.faults.add(Fault.answer("GET", "model-1", 403, nth=2, times=999))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replace_shard, "model-1.safetensors of {uri} changed since it was listed"),
        (delete_shard, "model-1.safetensors of {uri} is gone since it was listed"),
        (refuse_shard, "{host} refuses model-1.safetensors of {uri}"),
    ],
)
def test_a_shard_that_cannot_be_read_to_its_end_is_one_sentence_and_no_image(
    store: RunningStore, running: Running, change: Callable[[RunningStore], None], message: str
) -> None:
    with pytest.raises(SourceError) as caught:
        push_bucket(store, running, lambda: change(store))
    assert str(caught.value) == message.format(host=store.address, uri=f"s3://{store.bucket}/llama")
    assert running.recorder.seen("PUT", "/manifests/v1") == []
    assert running.sessions_left == 0


def test_a_refusal_in_the_middle_is_told_by_the_command_without_a_secret(store: RunningStore, running: Running) -> None:
    refuse_shard(store)
    done = push_command(store, running)
    assert done.returncode == 2
    assert f"{store.address} refuses model-1.safetensors of s3://{store.bucket}/llama\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert "planted-secret" not in done.stderr
