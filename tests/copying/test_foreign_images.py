"""`oci://` of images that other tools have made: listed from headers, read by ranges, never unpacked."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from copying_checks import at, contents, files_of
from foreign_images import GZIP, PLAIN, link, make_tar, packed, push_image
from model_files import shard
from modelcar.build import BuildRequest, prepare
from modelcar.distribution.blob import StoredBlob
from modelcar.distribution.client import Access
from modelcar.errors import (
    ContentMismatch,
    DistributionError,
    ImageNotFound,
    PromotionError,
    RegistryAccessDenied,
    SourceNotFound,
    UnsafeContent,
)
from modelcar.image_source import ImageSource
from modelcar.jobs import Cancelled, wait_unless
from modelcar.push import PushedImage
from modelcar.reference import Digest, Platform
from modelcar.sources.patterns import Patterns
from registry_service import Running
from wsgi_faults import Fault

if TYPE_CHECKING:
    pass

Copy = Callable[..., PushedImage]
MIB = 1 << 20
CUT_TAR = make_tar({"models/a": b"x" * 9999})[:4096]
KINDS = pytest.mark.parametrize("kind", [PLAIN, GZIP], ids=["plain", "gzip"])
FORMATS = pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])


def source_of(running: Running, tag: str = "1", ignore: tuple[str, ...] = ()) -> ImageSource:
    uri = f"oci://{running.address}/team/foreign:{tag}"
    return ImageSource(uri, Patterns(ignore=ignore), Platform("linux", "amd64"), Access())


def read(source: ImageSource, path: str, offset: int = 0) -> bytes:
    [file] = [file for file in source.snapshot().files if file.path == path]
    with source.open(file, offset) as blocks:
        return b"".join(blocks)


def layers_of(model: Path, kind: str, tar_format: int) -> list[tuple[str, bytes]]:
    """As olot lays a model out: a base, then a layer for each file, each with its directory again."""
    base = make_tar({"bin/": None, "bin/sh": b"sh" * 999, "bin/ash": link(tarfile.SYMTYPE, "sh")})
    layers = [packed(base, GZIP)]
    for path, content in sorted(contents(model).items()):
        parents = {f"models/{path}".rpartition("/")[0] + "/": None}
        layers.append(packed(make_tar({**parents, f"models/{path}": content}, tar_format=tar_format), kind))
    return layers


@KINDS
@FORMATS
def test_a_foreign_image_becomes_the_image_that_a_push_from_anywhere_makes(
    running: Running, model: Path, push: Copy, kind: str, tar_format: int
) -> None:
    push_image(running.repository("team/foreign"), "1", layers_of(model, kind, tar_format))
    straight = push(model, at(running, "team/straight"))
    copy = push(f"oci://{at(running, 'team/foreign')}", at(running, "team/copy"))
    assert copy.digest == straight.digest
    assert files_of(running, "team/copy") == contents(model)


@KINDS
def test_one_layer_with_everything_is_read_in_parts(running: Running, model: Path, push: Copy, kind: str) -> None:
    tar = make_tar({"./models/": None, **{f"./models/{path}": c for path, c in contents(model).items()}})
    push_image(running.repository("team/foreign"), "1", [packed(tar, kind)])
    copy = push(f"oci://{at(running, 'team/foreign')}", at(running, "team/copy"))
    assert files_of(running, "team/copy") == contents(model)
    assert copy.bytes_read == sum(map(len, contents(model).values()))


def test_a_plain_layer_is_listed_without_reading_what_is_in_it(running: Running) -> None:
    big = {f"models/{number}.safetensors": shard(8 * MIB, seed=number) for number in range(3)}
    push_image(running.repository("team/foreign"), "1", [(PLAIN, make_tar(big))])
    running.recorder.clear()
    files = source_of(running).snapshot().files
    assert [(file.path, file.size_bytes, file.sha256) for file in files] == [
        (f"{number}.safetensors", 8 * MIB, None) for number in range(3)
    ]
    asked = [
        r.headers["range"].partition("-")[0] for r in running.recorder.seen("GET", "/blobs/") if "range" in r.headers
    ]
    assert len(asked) == 3


def test_a_gzip_layer_is_listed_with_the_digests_of_its_files(running: Running) -> None:
    content = b"text" * 999
    push_image(running.repository("team/foreign"), "1", [packed(make_tar({"models/a.txt": content}), GZIP)])
    [file] = source_of(running).snapshot().files
    assert (file.size_bytes, file.sha256) == (len(content), Digest.of(content))


@KINDS
@pytest.mark.parametrize("offset", [0, 1, 511, MIB, 3 * MIB - 1, 3 * MIB])
def test_a_file_is_read_from_anywhere_in_it(running: Running, kind: str, offset: int) -> None:
    content = random.Random(1).randbytes(3 * MIB)
    tar = make_tar({"models/before": b"x" * 5000, "models/a.txt": content, "models/z": b"z"})
    push_image(running.repository("team/foreign"), "1", [packed(tar, kind)])
    assert read(source_of(running), "a.txt", offset) == content[offset:]


def test_many_small_files_of_a_gzip_layer_are_read_in_one_go(running: Running, push: Copy) -> None:
    files = {f"{number:03}.txt": b"%d" % number * 99 for number in range(300)}
    _, stored = packed(make_tar({f"models/{path}": content for path, content in files.items()}), GZIP)
    push_image(running.repository("team/foreign"), "1", [(GZIP, stored)])
    push(f"oci://{at(running, 'team/foreign')}", at(running, "team/copy"))
    assert len(running.recorder.seen("GET", f"/blobs/{Digest.of(stored)}")) == 2  # listed, and read
    assert files_of(running, "team/copy") == files


@KINDS
def test_layers_replace_and_delete_what_lies_below(running: Running, kind: str) -> None:
    layers = [
        {"models/config.json": b"old", "models/gone": b"1", "models/d/a": b"1", "models/d/b": b"1"},
        {"models/config.json": b"new", "models/.wh.gone": b"", "models/d/.wh..wh..opq": b"", "models/d/c": b"2"},
    ]
    push_image(running.repository("team/foreign"), "1", [packed(make_tar(layer), kind) for layer in layers])
    source = source_of(running)
    assert [file.path for file in source.snapshot().files] == ["config.json", "d/c"]
    assert read(source, "config.json") == b"new"


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        (link(tarfile.SYMTYPE, "config.json"), "a symbolic link"),
        (link(tarfile.LNKTYPE, "models/config.json"), "a hard link"),
        (link(tarfile.CHRTYPE), "a device"),
        (link(tarfile.FIFOTYPE), "a pipe"),
    ],
)
def test_what_is_neither_file_nor_directory_is_refused_unless_it_is_left_out(
    running: Running, entry: tarfile.TarInfo, what: str
) -> None:
    tar = make_tar({"models/config.json": b"{}", "models/a/x": entry})
    push_image(running.repository("team/foreign"), "1", [(PLAIN, tar)])
    with pytest.raises(UnsafeContent) as caught:
        source_of(running).snapshot()
    assert str(caught.value) == f"/models/a/x of image {running.address}/team/foreign:1 is {what}"
    snapshot = source_of(running, ignore=("a/*",)).snapshot()
    assert [file.path for file in snapshot.files] == ["config.json"]
    assert [(file.path, file.reason) for file in snapshot.left_out] == [("a/x", "ignore pattern a/*")]


def test_a_link_in_the_place_of_models_is_refused(running: Running) -> None:
    tar = make_tar({"data/a": b"x", "models": link(tarfile.SYMTYPE, "data")})
    push_image(running.repository("team/foreign"), "1", [(PLAIN, tar)])
    with pytest.raises(UnsafeContent, match=r"^/models/\. of image .* is a symbolic link$"):
        source_of(running).snapshot()


def test_an_image_without_models_is_no_modelcar(running: Running) -> None:
    push_image(running.repository("team/foreign"), "1", [packed(make_tar({"etc/passwd": b"x"}), GZIP)])
    with pytest.raises(SourceNotFound) as caught:
        source_of(running).snapshot()
    assert str(caught.value) == f"image {running.address}/team/foreign:1 has no files in /models"


@pytest.mark.parametrize("kind", [f"{PLAIN}+zstd", "application/vnd.docker.ai.gguf.v3"])
def test_a_layer_of_another_kind_is_refused_by_its_name(running: Running, kind: str) -> None:
    push_image(running.repository("team/foreign"), "1", [(kind, b"stored")])
    with pytest.raises(DistributionError) as caught:
        source_of(running).snapshot()
    assert str(caught.value) == (
        f"image {running.address}/team/foreign:1 has a layer of type {kind}, which is not read here"
    )


@pytest.mark.parametrize(
    ("kind", "stored", "error", "message"),
    [
        (PLAIN, b"x" * 2048, DistributionError, "is no tar, or is damaged"),
        (GZIP, gzip.compress(b"x" * 2048, mtime=0), DistributionError, "is no tar, or is damaged"),
        (GZIP, b"x" * 2048, DistributionError, "is no gzip stream"),
        (PLAIN, CUT_TAR, ContentMismatch, "ends in the middle of a file"),
        (
            GZIP,
            gzip.compress(make_tar({"models/a": b"x" * 9999})[:4096], mtime=0),
            ContentMismatch,
            "ends in the middle",
        ),
    ],
    ids=["no tar", "no tar in gzip", "no gzip", "cut tar", "cut tar in gzip"],
)
def test_a_layer_that_is_not_what_its_type_says_is_told(
    running: Running, kind: str, stored: bytes, error: type[PromotionError], message: str
) -> None:
    # The registry's own checks are on digests only, so what a layer holds may be anything.
    config = {"rootfs": {"type": "layers", "diff_ids": [str(Digest("0" * 64))]}}
    push_image(running.repository("team/foreign"), "1", [("text/plain", stored)], **config)
    manifest = running.repository("team/foreign").find_manifest("1")
    assert manifest is not None
    changed = json.loads(manifest.content)
    changed["layers"][0]["mediaType"] = kind
    running.repository("team/foreign").write_manifest(json.dumps(changed).encode(), manifest.media_type, ["1"])
    with pytest.raises(error, match=message):
        source_of(running).snapshot()


def test_a_gzip_layer_that_is_damaged_on_its_way_is_told_when_it_is_listed(running: Running) -> None:
    _, stored = packed(make_tar({"models/a": b"a" * 100}), GZIP)
    _, other = packed(make_tar({"models/a": b"b" * 100}), GZIP)
    push_image(running.repository("team/foreign"), "1", [(GZIP, stored)])
    running.faults.add(Fault.answer("GET", f"/blobs/{Digest.of(stored)}", 200, body=other.ljust(len(stored), b"\0")))
    with pytest.raises(ContentMismatch, match="did not arrive as its manifest says"):
        source_of(running).snapshot()


@KINDS
@pytest.mark.parametrize(
    "fault",
    [
        lambda path: Fault.cut_answer("GET", path, 2 * MIB, nth=2),
        lambda path: Fault.answer("GET", path, 429, headers={"Retry-After": "0"}, nth=2),
        lambda path: Fault.answer("GET", path, 502, nth=2),
    ],
    ids=["cut", "429", "502"],
)
def test_a_file_whose_layer_breaks_off_arrives_all_the_same(
    running: Running, push: Copy, kind: str, fault: Callable[[str], Fault]
) -> None:
    content = shard(5 * MIB)
    _, stored = packed(make_tar({"models/model.safetensors": content}), kind)
    push_image(running.repository("team/foreign"), "1", [(kind, stored)])
    running.faults.add(fault(f"/team/foreign/blobs/{Digest.of(stored)}"))
    push(f"oci://{at(running, 'team/foreign')}", at(running, "team/copy"))
    assert running.faults.fired == 1
    assert files_of(running, "team/copy") == {"model.safetensors": content}


@KINDS
def test_a_registry_that_ignores_ranges_gives_the_same_bytes(
    unranged: Running, model: Path, push: Copy, kind: str
) -> None:
    push_image(unranged.repository("team/foreign"), "1", layers_of(model, kind, tarfile.GNU_FORMAT))
    push(f"oci://{at(unranged, 'team/foreign')}", at(unranged, "team/copy"))
    assert files_of(unranged, "team/copy") == contents(model)


def test_a_registry_that_ignores_ranges_is_read_through_once_more_at_most(unranged: Running) -> None:
    big = {f"models/{number}.safetensors": shard(4 * MIB, seed=number) for number in range(6)}
    tar = make_tar(big)
    push_image(unranged.repository("team/foreign"), "1", [(PLAIN, tar)])
    unranged.recorder.clear()
    assert len(source_of(unranged).snapshot().files) == 6
    assert sum(r.bytes_sent for r in unranged.recorder.seen("GET", "/blobs/")) < 2 * len(tar)


def test_what_is_only_read_through_ends_when_the_work_does(unranged: Running) -> None:
    content = shard(8 * MIB)
    push_image(unranged.repository("team/foreign"), "1", [(PLAIN, content)])
    ended = threading.Event()
    ended.set()
    blob = StoredBlob(
        unranged.repository("team/foreign"), Digest.of(content), len(content), what="it", wait=wait_unless(ended)
    )
    with pytest.raises(Cancelled):
        next(blob.again(7 * MIB, 8 * MIB))


def test_a_copy_by_skopeo_is_the_same_model(running: Running, model: Path, push: Copy, tmp_path: Path) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not installed")
    push(model, at(running, "team/ours"))
    registry = running.address
    command = ["skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--dest-compress"]
    command += [f"docker://{registry}/team/ours:1", f"dir:{tmp_path / 'image'}"]
    subprocess.run(command, check=True, capture_output=True)
    back = [
        "skopeo",
        "copy",
        "--dest-tls-verify=false",
        f"dir:{tmp_path / 'image'}",
        f"docker://{registry}/team/foreign:1",
    ]
    subprocess.run(back, check=True, capture_output=True)
    copy = push(f"oci://{at(running, 'team/foreign')}", at(running, "team/copy"))
    assert files_of(running, "team/copy") == contents(model)
    assert copy.digest == push(model, at(running, "team/straight")).digest


def test_an_image_by_buildah_is_the_same_model(
    running: Running, model: Path, push: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("buildah") is None:
        pytest.skip("buildah is not installed")
    monkeypatch.setenv("STORAGE_DRIVER", "vfs")
    root = ["buildah", f"--root={tmp_path / 'root'}", f"--runroot={tmp_path / 'run'}"]

    def buildah(*arguments: str) -> str:
        ran = subprocess.run([*root, *arguments], capture_output=True, text=True, check=False)
        if "newuidmap" in ran.stderr or "operation not permitted" in ran.stderr.lower():
            pytest.skip("buildah may not build here")
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    container = buildah("from", "scratch")
    buildah("copy", container, str(model), "/models")
    buildah("commit", container, "modelcar")
    buildah("push", "--tls-verify=false", "modelcar", f"docker://{running.address}/team/foreign:1")
    copy = push(f"oci://{at(running, 'team/foreign')}", at(running, "team/copy"))
    assert copy.digest == push(model, at(running, "team/straight")).digest


UNFIT: dict[str, tuple[Fault, dict[str, str]]] = {
    "the destination": (Fault.answer("POST", "/v2/team/copy/blobs/uploads/", 403, times=99), {}),
    "the base": (Fault.answer("GET", "/v2/team/none/", 404, times=99), {"base_image": "team/none"}),
    "a sibling": (Fault.answer("GET", "/v2/team/none/", 404, times=99), {"siblings": "team/none"}),
}


@pytest.mark.parametrize("what", sorted(UNFIT))
def test_what_stops_a_push_is_found_before_a_gzip_layer_is_read_to_be_listed(
    running: Running, elsewhere: Running, model: Path, push: Copy, what: str
) -> None:
    fault, more = UNFIT[what]
    push_image(elsewhere.repository("team/foreign"), "1", layers_of(model, GZIP, tarfile.GNU_FORMAT))
    running.faults.add(fault)
    base = at(running, more["base_image"]) if "base_image" in more else None
    siblings = (at(running, more["siblings"]),) if "siblings" in more else ()
    elsewhere.recorder.clear()
    with pytest.raises((RegistryAccessDenied, ImageNotFound)):
        push(f"oci://{at(elsewhere, 'team/foreign')}", at(running, "team/copy"), base, siblings=siblings)
    assert elsewhere.recorder.seen("GET", "/blobs/") == []


def test_a_plan_begins_no_upload(running: Running, elsewhere: Running, model: Path) -> None:
    push_image(elsewhere.repository("team/foreign"), "1", layers_of(model, GZIP, tarfile.GNU_FORMAT))
    source, to = f"oci://{at(elsewhere, 'team/foreign')}", at(running, "team/copy")
    prepare(BuildRequest(source, to, None, (Platform("linux", "amd64"),)), Access())
    assert running.recorder.seen("POST") == []
