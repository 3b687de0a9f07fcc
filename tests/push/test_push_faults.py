"""A registry that fails once in the middle: the push still ends in the same image."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from image_checks import UnpackedImage
from model_files import Files, shard
from modelcar.distribution.destination import Destination
from modelcar.errors import DistributionError
from modelcar.push import PushedImage
from registry_service import Running
from wsgi_faults import Fault

PushFiles = Callable[..., PushedImage]
Pull = Callable[[Destination, str], UnpackedImage]
MIB = 1 << 20
MODEL = {
    "config.json": b"{}",
    "model-1.safetensors": shard(4 * MIB, seed=1),
    "model-2.safetensors": shard(4 * MIB + 1, seed=2),
}
DIGEST = "sha256:2c2b92e5433e43c0636fed635f38c44790e4113c11d0da465dd437becee9e388"
IMAGES = "/manifests/(?!modelcar-journal)"
BASIC = {"WWW-Authenticate": 'Basic realm="r"'}
PLACES = [
    ("POST", "/blobs/uploads/$"),
    ("PATCH", "/blobs/uploads/."),
    ("PUT", "/blobs/uploads/."),
    ("HEAD", "/blobs/sha256:"),
    ("GET", "/manifests/"),
    ("PUT", "/manifests/"),
]


def is_upload(method: str) -> bool:
    return method in ("PATCH", "PUT")


FAULTS = [
    *(Fault.answer(method, path, status, nth=2) for method, path in PLACES for status in (401, 429, 500, 503)),
    *(Fault.cut_request(method, path, 0, nth=2) for method, path in PLACES if is_upload(method)),
    *(Fault.cut_answer(method, path, 0, nth=2) for method, path in PLACES),
    Fault.cut_request("PATCH", "/uploads/", 2 * MIB),
    Fault.cut_request("PATCH", "/uploads/", 2 * MIB, times=2, reset=False),
    Fault.answer("PATCH", "/uploads/", 500, after_body_bytes=2 * MIB),
    Fault.answer("PATCH", "/uploads/", 503, after_body_bytes=2 * MIB, drain=False),
]


def name_of(fault: Fault) -> str:
    what = fault.status if fault.kind == "answer" else fault.kind
    return f"{fault.method} {fault.path} {what} after {fault.after_bytes}".replace("/", "")


@pytest.mark.parametrize("fault", FAULTS, ids=name_of)
def test_one_failure_in_the_middle_changes_nothing(
    running: Running, push_files: PushFiles, pull: Pull, fault: Fault
) -> None:
    running.faults.add(fault)
    pushed = push_files(Files(MODEL), running.repository(), tags=("v1", "lasting"))
    assert running.faults.fired == fault.times
    assert str(pushed.digest) == DIGEST
    assert pull(running.repository(), "v1").model == MODEL
    nobody_knows_it = fault.kind == "cut_answer" and fault.method == "POST"
    assert running.sessions_left == nobody_knows_it


def test_a_password_that_is_asked_for_in_the_middle_is_given(
    running: Running, push_files: PushFiles, pull: Pull, log_in: Callable[[str], object]
) -> None:
    log_in(running.address)
    for method, path in PLACES:
        running.faults.add(Fault.answer(method, path, 401, headers=BASIC))
    pushed = push_files(Files(MODEL), running.repository(), concurrency=1)
    assert str(pushed.digest) == DIGEST
    assert pull(running.repository(), "v1").model == MODEL


@pytest.mark.parametrize(("method", "path"), PLACES[1:3])
def test_a_registry_that_always_fails_is_told_in_one_sentence_and_names_nothing(
    running: Running, push_files: PushFiles, method: str, path: str
) -> None:
    running.faults.add(Fault.answer(method, path, 500, times=999))
    with pytest.raises(DistributionError) as caught:
        push_files(Files(MODEL), running.repository())
    assert str(caught.value) == f"{running.address}: push to team/model: HTTP 500"
    assert running.recorder.seen("PUT", IMAGES) == []
    assert running.sessions_left == 0


def test_a_manifest_that_is_always_refused_is_told_in_one_sentence(running: Running, push_files: PushFiles) -> None:
    running.faults.add(Fault.answer("PUT", IMAGES, 500, times=999))
    with pytest.raises(DistributionError) as caught:
        push_files(Files(MODEL), running.repository())
    assert str(caught.value) == f"{running.address}: push team/model@{DIGEST}: HTTP 500"


def test_what_arrived_before_a_failed_push_is_still_right_for_the_next(
    running: Running, push_files: PushFiles, pull: Pull
) -> None:
    running.faults.add(Fault.answer("PUT", IMAGES, 400))
    with pytest.raises(DistributionError):
        push_files(Files(MODEL), running.repository())
    assert str(push_files(Files(MODEL), running.repository()).digest) == DIGEST
    assert pull(running.repository(), "v1").model == MODEL
