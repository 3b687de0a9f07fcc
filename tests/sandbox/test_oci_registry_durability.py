"""The sandbox's registry killed, crowded, and loaded with more than it may hold in memory."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from modelcar_sandbox.oci_registry import create_app
from modelcar_sandbox.service import Service
from oci_api import OciApi, codes, digest_of, image

MIB = 1 << 20
SERVER = """
import sys
from pathlib import Path
from modelcar_sandbox.oci_registry import create_app
from modelcar_sandbox.service import Service
with Service(create_app(Path(sys.argv[1]))) as service:
    print(service.url, flush=True)
    sys.stdin.readline()
"""
Process = tuple[subprocess.Popen[str], OciApi]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Process]]:
    """Start a registry over the same directory in a process of its own, as often as called."""
    started: list[Process] = []

    def begin() -> Process:
        command = [sys.executable, "-c", SERVER, str(tmp_path)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        started.append((process, OciApi(process.stdout.readline().strip())))
        return started[-1]

    yield begin
    for process, api in started:
        api.session.close()
        process.kill()
        process.communicate()


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_an_upload_goes_on_after_the_registry_was_killed(start: Callable[[], Process]) -> None:
    content = os.urandom(5 * MIB)
    process, api = start()
    location = api.begin("a/b")

    def stop_half_way() -> Iterator[bytes]:
        yield content[: 3 * MIB]
        while requests.get(api.url + location, timeout=10).headers["Range"] == "0-0":
            pass
        kill(process)
        yield content[3 * MIB :]

    with pytest.raises(requests.ConnectionError):
        api.patch(location, stop_half_way())
    _, api = start()
    status = api.call("GET", location)
    arrived = int(status.headers["Range"].removeprefix("0-")) + 1
    assert 1 < arrived <= 3 * MIB
    answer = api.patch(location, content[arrived:], f"{arrived}-{len(content) - 1}")
    assert answer.status_code == 202
    assert api.finish(location, digest_of(content)).status_code == 201
    assert api.call("GET", f"a/b/blobs/{digest_of(content)}").content == content


def test_no_half_blob_is_visible_after_the_registry_was_killed(start: Callable[[], Process], tmp_path: Path) -> None:
    content = os.urandom(5 * MIB)
    process, api = start()
    location = api.begin("a/b")

    def stop_at_the_end() -> Iterator[bytes]:
        yield content[:-1]
        kill(process)
        yield content[-1:]

    with pytest.raises(requests.ConnectionError):
        api.finish(location, digest_of(content), stop_at_the_end())
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []
    _, api = start()
    assert api.call("HEAD", f"a/b/blobs/{digest_of(content)}").status_code == 404
    assert api.push_blob("a/b", content) == digest_of(content)


def test_killed_at_any_line_the_registry_serves_the_old_image_or_the_new_one(tmp_path: Path) -> None:
    program = Path(__file__).with_name("oci_registry_kills.py")
    environment = {**os.environ, "PYTHONPATH": str(program.parent.parent)}
    command = [sys.executable, str(program), str(tmp_path), "9"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 20


def push_large(url: str, name: str, size_mib: int, chunked: str | None) -> int:
    """Push without holding the blob, by one chunk of everything, small chunks or a stated length; return the status."""
    block = name.encode().ljust(MIB, b"\0")
    hasher = hashlib.sha256()
    for _ in range(size_mib):
        hasher.update(block)
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    connection.request("POST", f"/v2/{name}/blobs/uploads/")
    answer = connection.getresponse()
    answer.read()
    connection.putrequest("PUT", f"{answer.headers['Location']}?digest=sha256:{hasher.hexdigest()}")
    if chunked is None:
        connection.putheader("Content-Length", str(size_mib * MIB))
    else:
        connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    if chunked == "one":
        connection.send(b"%x\r\n" % (size_mib * MIB))
    for _ in range(size_mib):
        connection.send(b"%x\r\n%s\r\n" % (MIB, block) if chunked == "small" else block)
    if chunked is not None:
        connection.send(b"\r\n0\r\n\r\n" if chunked == "one" else b"0\r\n\r\n")
    status = connection.getresponse().status
    connection.close()
    return status


def test_memory_is_bounded_by_blocks_whatever_is_uploaded(start: Callable[[], Process]) -> None:
    process, api = start()
    with ThreadPoolExecutor(4) as pool:
        ways = [("a", None), ("b", "one"), ("c", "small"), ("d", None)]
        statuses = list(pool.map(lambda way: push_large(api.url, way[0], 128, way[1]), ways))
    assert statuses == [201] * 4
    refused = api.call("PUT", "a/blobs/uploads/none", data=bytes(64 * MIB))
    assert refused.status_code == 404
    peak_kib = int(re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())[0])
    assert peak_kib < 80 * 1024


def test_many_clients_push_the_same_image_at_once(tmp_path: Path) -> None:
    with Service(create_app(tmp_path)) as service:

        def push(number: int) -> bytes:
            with OciApi(service.url) as api:
                return api.push_image(f"team/{number % 3}", "latest", b"the same layer")

        with ThreadPoolExecutor(12) as pool:
            assert len(set(pool.map(push, range(48)))) == 1
        with OciApi(service.url) as api:
            for number in range(3):
                assert api.call("GET", f"team/{number}/tags/list").json()["tags"] == ["latest"]
    assert len(list((tmp_path / "blobs/sha256").iterdir())) == 2
    assert list((tmp_path / "uploads").iterdir()) == []


def test_pushes_and_deletions_at_once_never_leave_a_broken_blob(tmp_path: Path) -> None:
    digest = digest_of(b"contended")
    with Service(create_app(tmp_path)) as service:

        def work(number: int) -> set[tuple[int, bytes]]:
            seen = set()
            with OciApi(service.url) as api:
                for _ in range(15):
                    name = f"team/{number % 2}"
                    api.push_blob(name, b"contended")
                    answer = api.call("GET", f"{name}/blobs/{digest}")
                    seen.add((answer.status_code, answer.content if answer.ok else codes(answer)[0].encode()))
                    api.call("DELETE", f"{name}/blobs/{digest}")
            return seen

        with ThreadPoolExecutor(6) as pool:
            seen = set().union(*pool.map(work, range(6)))
    assert seen <= {(200, b"contended"), (404, b"BLOB_UNKNOWN")}
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_two_requests_do_not_write_to_one_upload_at_once(tmp_path: Path) -> None:
    with Service(create_app(tmp_path)) as service, OciApi(service.url) as api, ThreadPoolExecutor(8) as pool:
        location = api.begin("a/b")

        def append(_: int) -> int:
            return requests.patch(service.url + location, data=iter([b"x" * 5000] * 10), timeout=60).status_code

        assert list(pool.map(append, range(8))) == [202] * 8
        assert api.finish(location, digest_of(b"x" * 400_000)).status_code == 201


def test_uploads_of_long_ago_are_forgotten_at_the_start(tmp_path: Path) -> None:
    with Service(create_app(tmp_path)) as service, OciApi(service.url) as api:
        old, new = (api.patch(api.begin("a/b"), b"half").headers["Location"] for _ in range(2))
    (file,) = (tmp_path / "uploads" / old.rpartition("/")[2]).iterdir()
    os.utime(file, (0, 0))
    with Service(create_app(tmp_path)) as service, OciApi(service.url) as api:
        assert api.call("GET", old).status_code == 404
        assert api.call("GET", new).status_code == 204


def test_what_a_killed_process_was_writing_is_swept_at_the_start(tmp_path: Path) -> None:
    create_app(tmp_path)
    (tmp_path / "staging" / "tmpleft").write_bytes(b"half a manifest")
    create_app(tmp_path)
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_blob_deleted_while_it_is_pulled_arrives_whole(tmp_path: Path) -> None:
    content = os.urandom(8 * MIB)
    with Service(create_app(tmp_path)) as service, OciApi(service.url) as api:
        digest = api.push_blob("a/b", content)
        pulled = api.call("GET", f"a/b/blobs/{digest}", stream=True)
        first = pulled.raw.read(1000)
        with OciApi(service.url) as other:
            assert other.call("DELETE", f"a/b/blobs/{digest}").status_code == 202
        assert first + pulled.raw.read() == content


def test_a_manifest_is_readable_all_the_time_while_its_tag_moves(tmp_path: Path) -> None:
    with Service(create_app(tmp_path)) as service, OciApi(service.url) as api:
        api.push_image("a/b", "latest")
        images = [image(annotations={"n": str(n)}) for n in range(30)]

        def pull(_: int) -> set[int]:
            with OciApi(service.url) as other:
                return {other.call("GET", "a/b/manifests/latest").status_code for _ in range(20)}

        with ThreadPoolExecutor(3) as pool:
            pulls = pool.map(pull, range(3))
            for document in images:
                api.put_manifest("a/b", "latest", document)
            assert set().union(*pulls) == {200}


def test_a_directory_that_cannot_be_made_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        create_app(tmp_path / "file")
