"""Kills a registry at every line of its code that can change a file, and looks at what the next one finds.

Run as a program of its own, because it forks: `python oci_registry_kills.py DIRECTORY [STEP]` prints how many kills
there were. Each child does the same push and ends itself with SIGKILL at the n-th such line (1, 1 + STEP, …), until a
child survives. After each the parent opens the directory as a restarted registry would.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from werkzeug.test import Client

from modelcar_sandbox.oci_registry import create_app, store, uploads
from oci_api import OCI_MANIFEST, digest_of, image

CODE = (store.__file__, uploads.__file__)
OLD, LAYER = b"old layer" * 1000, b"new layer" * 1000
OLD_MANIFEST, MANIFEST = (json.dumps(image(layer)).encode() for layer in (OLD, LAYER))


def push(client: Client, layer: bytes, manifest: bytes) -> None:
    """Push in chunks, so that every kind of write is met, and move the tag."""
    for blob in (b"{}", layer):
        location = client.post("/v2/a/b/blobs/uploads/").headers["Location"]
        client.patch(location, data=blob[: len(blob) // 2])
        answer = client.put(f"{location}?digest={digest_of(blob)}", data=blob[len(blob) // 2 :])
        assert answer.status_code == 201, answer.text
    answer = client.put("/v2/a/b/manifests/latest", data=manifest, headers={"Content-Type": OCI_MANIFEST})
    assert answer.status_code == 201, answer.text


def kill_at(line: int) -> Callable[[FrameType, str, Any], Any]:
    """A trace function that ends the process before this line of the code, counted from 1."""
    passed = 0

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal passed
        if frame.f_code.co_filename not in CODE:
            return None
        passed += event == "line"
        if passed == line:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def check(directory: Path) -> None:
    """A new registry serves the old image or the new one, whole, no wrong blob, and takes the push again."""
    client = Client(create_app(directory))
    served = client.get("/v2/a/b/manifests/latest")
    assert served.data in (OLD_MANIFEST, MANIFEST), served.data
    for layer in (b"{}", OLD, LAYER):
        answer = client.get(f"/v2/a/b/blobs/{digest_of(layer)}")
        needed = layer == b"{}" or layer == (OLD if served.data == OLD_MANIFEST else LAYER)
        assert answer.status_code == 200 or not needed, layer[:9]
        assert answer.status_code == 404 or answer.data == layer, layer[:9]
    push(client, LAYER, MANIFEST)
    assert client.get("/v2/a/b/manifests/latest").data == MANIFEST
    assert list((directory / "staging").iterdir()) == []


def run(directory: Path, step: int) -> int:
    """Number of kills until a push survived."""
    seed = directory / "seed"
    push(Client(create_app(seed)), OLD, OLD_MANIFEST)
    for kills, line in enumerate(range(1, 10_000, step)):
        root = directory / str(line)
        shutil.copytree(seed, root)
        child = os.fork()
        if child == 0:
            sys.settrace(kill_at(line))
            push(Client(create_app(root)), LAYER, MANIFEST)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        check(root)
        shutil.rmtree(root)
        if status == 0:
            return kills
        assert os.WIFSIGNALED(status), f"the push itself failed at line {line}"
    message = "no push survived"
    raise AssertionError(message)


if __name__ == "__main__":
    print(run(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
