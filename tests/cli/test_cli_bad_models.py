"""Models that must not become an image, as a user meets them in `push`: one sentence, the way out, nothing left behind.

The Hub here is one that a stranger runs: it lists what huggingface.co would not take.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cli.command import Fill, Run, Services, Wrong
from modelcar_sandbox.hub import Hub, create_app
from modelcar_sandbox.service import Service
from wsgi_faults import Fault, Faults

TO = "{registry}/bad/model:v1"
SCRATCH = ("--base-image", "scratch")
RENAME = "Rename the file, or leave it out (ignore)."
RENAME_ONE = "Rename one of them, or leave it out (ignore)."
PUT = "Put the file itself there, or leave it out (ignore)."
PUBLISH = "Publish the file again; a download that broke off looks like this, too."
BELOW = "does not stay below the model's directory"
DELETES = "begins with .wh., which deletes files when an image is unpacked"
ODD = "has a control character or a backslash"


def push(source: str, destination: str = TO, *options: str) -> tuple[str, ...]:
    return ("push", source, destination, *SCRATCH, *options)


# --- names


LISTED: Mapping[str, tuple[list[str], str, str]] = {
    "a way out": (["../../etc/cron.d/x"], f"the file name '../../etc/cron.d/x' {BELOW}", RENAME),
    "a way out and back": (["a/../config.json"], f"the file name 'a/../config.json' {BELOW}", RENAME),
    "an absolute name": (["/etc/passwd"], f"the file name '/etc/passwd' {BELOW}", RENAME),
    "no name": (["a//b"], f"the file name 'a//b' {BELOW}", RENAME),
    "a whiteout": (["a/.wh.config.json"], f"the file name 'a/.wh.config.json' {DELETES}", RENAME),
    "an opaque whiteout": ([".wh..wh..opq"], f"the file name '.wh..wh..opq' {DELETES}", RENAME),
    "half a surrogate pair": (["\ud800.json"], r"the file name '\ud800.json' is not UTF-8", RENAME),
    "a line break": (["a\nb.json"], rf"the file name 'a\nb.json' {ODD}", RENAME),
    "a separator of another system": (["..\\b.json"], rf"the file name '..\\b.json' {ODD}", RENAME),
    "one name twice": (["config.json", "config.json"], "the file name 'config.json' is listed twice", RENAME),
    "one name in two ways": (
        ["caf\u00e9.json", "cafe\u0301.json"],
        r"the names 'cafe\u0301.json' and 'caf\xe9.json' differ only in how their characters are composed",
        RENAME_ONE,
    ),
}


@pytest.mark.parametrize(("paths", "sentence", "hint"), LISTED.values(), ids=LISTED)
def test_a_name_that_a_hub_lists_and_no_image_can_hold_is_refused(
    paths: list[str],
    sentence: str,
    hint: str,
    modelcar: Run,
    place: Fill,
    services: Services,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Hub(tmp_path / "hub").publish("acme/model", {"config.json": b"{}"})
    listing = json.dumps([{"type": "file", "path": path, "size": 2, "oid": "0" * 40} for path in paths]).encode()
    headers = {"Content-Type": "application/json"}
    fault = Fault.answer("GET", "/tree/", 200, headers=headers, body=listing, times=9)
    with Service(Faults(create_app(tmp_path / "hub"), fault)) as service:
        monkeypatch.setenv("HF_ENDPOINT", service.url)
        Wrong(push("hf://acme/model"), sentence, hint).check(modelcar, place, services)


def whiteout(directory: Path) -> None:
    (directory / ".wh.config.json").write_bytes(b"")


def link(directory: Path) -> None:
    (directory / "token").symlink_to("/etc/passwd")


def link_to_directory(directory: Path) -> None:
    (directory / "more").symlink_to("/etc")


def pipe(directory: Path) -> None:
    os.mkfifo(directory / "pipe")


def latin(directory: Path) -> None:
    Path(os.fsdecode(os.fsencode(directory) + b"/caf\xe9.json")).write_bytes(b"{}")


def backslash(directory: Path) -> None:
    (directory / "a\\b.json").write_bytes(b"{}")


def composed(directory: Path) -> None:
    (directory / "caf\u00e9.json").write_bytes(b"{}")
    (directory / "cafe\u0301.json").write_bytes(b"{}")


FOUND: Mapping[str, tuple[Callable[[Path], None], str, str]] = {
    "a whiteout": (whiteout, f"the file name '.wh.config.json' {DELETES}", RENAME),
    "a link out of the tree": (link, "token is a symbolic link to '/etc/passwd'; links are not followed", PUT),
    "a link to a directory": (link_to_directory, "more is a symbolic link to '/etc'; links are not followed", PUT),
    "a pipe": (pipe, "pipe is a socket, a pipe or a device, not a file", PUT),
    "a name that is not UTF-8": (latin, r"the file name 'caf\udce9.json' is not UTF-8", RENAME),
    "a separator of another system": (backslash, rf"the file name 'a\\b.json' {ODD}", RENAME),
    "one name in two ways": (
        composed,
        r"the names 'cafe\u0301.json' and 'caf\xe9.json' differ only in how their characters are composed",
        RENAME_ONE,
    ),
}


@pytest.mark.parametrize(("make", "sentence", "hint"), FOUND.values(), ids=FOUND)
def test_what_a_directory_holds_and_no_image_can_is_refused(
    make: Callable[[Path], None],
    sentence: str,
    hint: str,
    modelcar: Run,
    place: Fill,
    services: Services,
    tmp_path: Path,
) -> None:
    directory = tmp_path / "bad"
    directory.mkdir()
    (directory / "config.json").write_bytes(b"{}")
    make(directory)
    Wrong(push(directory.as_uri()), sentence, hint).check(modelcar, place, services)


# --- weights


def shard(header: object, data_bytes: int, *, length: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + bytes(data_bytes)


def tensor(begin: int, end: int, elements: int | None = None) -> dict[str, object]:
    return {"dtype": "U8", "shape": [end - begin if elements is None else elements], "data_offsets": [begin, end]}


LYING: Mapping[str, tuple[bytes, str]] = {
    "cut within its length": (b"\x10\0\0", "it ends within its header"),
    "cut within its header": (shard({"a": tensor(0, 8)}, 8)[:40], "its header claims 60 bytes"),
    "cut within its data": (
        shard({"a": tensor(0, 8)}, 7),
        "its tensors do not cover its 7 bytes of data exactly",
    ),
    "a header of exbibytes": (shard({"a": tensor(0, 8)}, 8, length=1 << 62), f"its header claims {1 << 62} bytes"),
    "a header of nothing": (shard({"a": tensor(0, 8)}, 8, length=0), "its header claims 0 bytes"),
    "offsets beyond the end": (
        shard({"a": tensor(0, 1 << 40)}, 8),
        "its tensors do not cover its 8 bytes of data exactly",
    ),
    "tensors that overlap": (
        shard({"a": tensor(0, 8), "b": tensor(4, 12)}, 12),
        "its tensors do not cover its 12 bytes of data exactly",
    ),
    "a hole between tensors": (
        shard({"a": tensor(0, 4), "b": tensor(8, 12)}, 12),
        "its tensors do not cover its 12 bytes of data exactly",
    ),
    "a shape that is not its size": (
        shard({"a": tensor(0, 8, 9)}, 8),
        "tensor 'a' of shape [9] does not fit its 8 bytes",
    ),
}


@pytest.mark.parametrize(("content", "reason"), LYING.values(), ids=LYING)
def test_a_shard_whose_header_lies_leaves_no_image(
    content: bytes, reason: str, modelcar: Run, place: Fill, services: Services, tmp_path: Path
) -> None:
    directory = tmp_path / "bad"
    directory.mkdir()
    (directory / "config.json").write_bytes(b"{}")
    (directory / "model.safetensors").write_bytes(content)
    Wrong(push(directory.as_uri()), f"model.safetensors is not a sound safetensors file: {reason}", PUBLISH).check(
        modelcar, place, services, before=("pushed ", "reused ")
    )


def test_a_model_of_empty_files_only_is_an_image(modelcar: Run, place: Fill, tmp_path: Path) -> None:
    directory = tmp_path / "empty"
    (directory / "sub" / "nothing").mkdir(parents=True)
    (directory / "sub" / "a.txt").write_bytes(b"")
    ran = modelcar(*map(place, push(directory.as_uri(), "{registry}/bad/empty:v1", "--json")))
    told = json.loads(ran.stdout)
    assert (ran.code, told["digest"]) == (0, "sha256:cdbddca4b05eb34c9ea006e471a3e084ffa2aa3e11ef7f21fbbe99cd71c94e68")
