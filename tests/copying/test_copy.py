"""`oci://` of an image that this package has made: layers are mounted or copied, and never unpacked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from base_images import push_base, push_index
from copying_checks import at, contents, files_of, read_whole
from modelcar.build import BuildRequest, prepare
from modelcar.distribution.client import Access
from modelcar.errors import ContentMismatch, DistributionError, ImageNotFound, InvalidInput, InvalidReference
from modelcar.forecast import make_forecast
from modelcar.push import PushedImage
from modelcar.reference import Digest, LayoutReference, Platform
from registry_service import Running
from wsgi_faults import Fault

Copy = Callable[..., PushedImage]
MIB = 1 << 20
ARM64 = Platform("linux", "arm64")


def weight_bytes(running: Running) -> tuple[int, int]:
    """What came in as blobs and what went out as blobs, since the recorder was cleared."""
    out = sum(r.bytes_sent for r in running.recorder.seen("GET", "/blobs/"))
    return running.blob_bytes_received, out


def test_a_copy_within_a_registry_mounts_every_layer_and_no_byte_of_them_moves(
    running: Running, model: Path, push: Copy
) -> None:
    first = push(model, at(running, "team/model"))
    running.recorder.clear()
    second = push(f"oci://{at(running, 'team/model')}", at(running, "team/copy"))
    assert second.digest == first.digest
    assert second.bytes_read == 0
    assert all(layer.reused for layer in second.layers if layer.files)
    received, sent = weight_bytes(running)
    assert received < 16 << 10  # the config, and the layer of directories, which is made anew
    assert sent == 0
    assert files_of(running, "team/copy") == contents(model)


def test_another_base_below_the_same_layers_moves_none_of_them(running: Running, model: Path, push: Copy) -> None:
    push_base(running.repository("team/base"), "1")
    on_scratch = push(model, at(running, "team/model"))
    running.recorder.clear()
    on_base = push(f"oci://{at(running, 'team/model')}", at(running, "team/copy"), at(running, "team/base"))
    assert on_base.digest != on_scratch.digest
    assert on_base.layers[1:] != ()
    assert [layer.digest for layer in on_base.layers[1:]] == [layer.digest for layer in on_scratch.layers]
    received, sent = weight_bytes(running)
    assert received < 16 << 10
    assert sent < 4 << 10  # the base's config
    straight = push(model, at(running, "team/straight"), at(running, "team/base"))
    assert straight.digest == on_base.digest


def test_another_base_in_the_same_repository_looks_layers_up_and_sends_none(
    running: Running, model: Path, push: Copy
) -> None:
    push_base(running.repository("team/base"), "1")
    push(model, at(running, "team/model"))
    running.recorder.clear()
    push(f"oci://{at(running, 'team/model')}", at(running, "team/model", "2"), at(running, "team/base"))
    assert [r.query for r in running.recorder.seen("POST") if "from=team%2Fmodel" in r.query] == []
    assert weight_bytes(running)[0] < 16 << 10


def test_a_copy_to_another_registry_reads_each_layer_once_and_sends_it_by_its_digest(
    running: Running, elsewhere: Running, model: Path, push: Copy
) -> None:
    first = push(model, at(elsewhere, "team/model"))
    elsewhere.recorder.clear()
    second = push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"))
    assert second.digest == first.digest
    layers = sum(layer.size_bytes for layer in first.layers if layer.files)
    assert second.bytes_read == layers
    assert sum(r.bytes_sent for r in elsewhere.recorder.seen("GET", "/blobs/")) == layers
    assert running.recorder.seen("PATCH") == []
    assert files_of(running, "team/copy") == contents(model)


def test_a_copy_that_is_there_moves_nothing(running: Running, elsewhere: Running, model: Path, push: Copy) -> None:
    push(model, at(elsewhere, "team/model"))
    push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"))
    again = push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"))
    assert (again.bytes_read, again.bytes_uploaded) == (0, 0)


def test_a_copy_to_a_layout_directory_is_the_same_image(
    running: Running, model: Path, push: Copy, tmp_path: Path
) -> None:
    first = push(model, at(running, "team/model"))
    layout = LayoutReference(tmp_path / "layout", "1")
    assert push(f"oci://{at(running, 'team/model')}", layout).digest == first.digest


def test_without_reuse_every_file_is_read_from_within_its_layer_and_the_image_is_the_same(
    running: Running, elsewhere: Running, model: Path, push: Copy
) -> None:
    first = push(model, at(elsewhere, "team/model"))
    second = push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"), reuse=False)
    assert second.digest == first.digest
    assert second.bytes_read == sum(map(len, contents(model).values()))


def test_what_is_left_out_makes_new_layers_of_the_rest(running: Running, model: Path, push: Copy) -> None:
    push(model, at(running, "team/model"))
    copy = push(f"oci://{at(running, 'team/model')}", at(running, "team/copy"), ignore=("notes/",))
    assert files_of(running, "team/copy") == {
        path: content for path, content in contents(model).items() if not path.startswith("notes/")
    }
    assert [layer.reused for layer in copy.layers if "safetensors" in layer.title and len(layer.files) == 1] == [
        True,
        True,
    ]


def test_the_snapshot_names_the_image_by_its_digest_and_the_tag_that_was_asked_for(
    running: Running, model: Path, push: Copy
) -> None:
    first = push(model, at(running, "team/model"))
    snapshot = push(f"oci://{at(running, 'team/model')}", at(running, "team/copy")).snapshot
    assert snapshot.uri == f"oci://{running.address}/team/model@{first.digest}"
    assert (snapshot.revision, snapshot.commit_hash) == ("1", None)
    assert all(file.sha256 is not None for file in snapshot.files)


@pytest.mark.parametrize("kept", [True, False])
def test_the_base_can_stay_the_same_without_its_own_registry(
    running: Running, elsewhere: Running, model: Path, push: Copy, kept: bool
) -> None:
    base = None
    if kept:
        push_base(elsewhere.repository("team/base"), "1")
        base = at(elsewhere, "team/base")
    first = push(model, at(elsewhere, "team/model"), base)
    elsewhere.faults.add(Fault.answer("GET", r"/v2/team/base/", 404, times=99))
    copy = push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"), base_image="same")
    assert copy.digest == first.digest
    assert files_of(running, "team/copy") == contents(model)


def test_an_index_is_copied_with_its_bases_platform_by_platform(
    running: Running, elsewhere: Running, model: Path, push: Copy
) -> None:
    push_index(elsewhere.repository("team/base"), "1", "amd64", "arm64")
    both = (Platform("linux", "amd64"), ARM64)
    first = push(model, at(elsewhere, "team/model"), at(elsewhere, "team/base"), platforms=both)
    copy = push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"), base_image="same", platforms=both)
    assert copy.digest == first.digest
    assert copy.platforms == first.platforms
    one = push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/one"), base_image="same", platforms=(ARM64,))
    assert one.digest == first.platforms[ARM64]


def test_a_model_of_one_platform_goes_onto_a_base_of_another(running: Running, model: Path, push: Copy) -> None:
    push_base(running.repository("team/base"), "arm", "arm64")
    push(model, at(running, "team/model"))
    push(
        f"oci://{at(running, 'team/model')}",
        at(running, "team/copy"),
        at(running, "team/base", "arm"),
        platforms=(ARM64,),
    )
    assert files_of(running, "team/copy") == contents(model)


def test_a_sibling_gives_its_layers_to_a_push_from_anywhere(running: Running, model: Path, push: Copy) -> None:
    push(model, at(running, "team/model"))
    running.recorder.clear()
    pushed = push(model, at(running, "other/model"), siblings=(at(running, "team/model"),))
    assert all(layer.reused for layer in pushed.layers if layer.files)
    assert weight_bytes(running)[0] < 16 << 10
    assert len([r for r in running.recorder.seen("POST") if "mount=" in r.query and r.status == 201]) == 3


def test_a_registry_that_mounts_nothing_is_sent_the_layers(plain: Running, model: Path, push: Copy) -> None:
    first = push(model, at(plain, "team/model"))
    second = push(f"oci://{at(plain, 'team/model')}", at(plain, "team/copy"))
    assert second.digest == first.digest
    assert second.bytes_read == sum(layer.size_bytes for layer in first.layers if layer.files)
    assert plain.sessions_left == 0
    assert files_of(plain, "team/copy") == contents(model)


def test_a_siblings_layer_that_is_gone_is_read_from_the_source(plain: Running, model: Path, push: Copy) -> None:
    first = push(model, at(plain, "team/model"))
    lost = next(layer for layer in first.layers if layer.files)
    plain.faults.add(Fault.answer("GET", f"/v2/team/model/blobs/{lost.digest}", 404, times=9))
    pushed = push(model, at(plain, "other/model"), siblings=(at(plain, "team/model"),))
    assert pushed.digest == first.digest
    assert files_of(plain, "other/model") == contents(model)


@pytest.mark.parametrize(
    ("source", "more", "error", "message"),
    [
        ("oci://{here}/team/none:1", {}, ImageNotFound, "image {here}/team/none:1 is not there"),
        ("oci://{here}/team/model:2", {}, ImageNotFound, "image {here}/team/model:2 is not there"),
        ("oci:{here}/team/model:1", {}, InvalidReference, "'oci:{here}/team/model:1' is not an image"),
        (
            "oci://{here}/team/model:1",
            {"revision": "main"},
            InvalidReference,
            "'oci://{here}/team/model:1' is an image and has no revision 'main'",
        ),
    ],
)
def test_wrong_sources_are_told(
    running: Running,
    model: Path,
    push: Copy,
    source: str,
    more: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    push(model, at(running, "team/model"))
    with pytest.raises(error) as caught:
        push(source.format(here=running.address), at(running, "team/copy"), **more)
    assert message.format(here=running.address) in str(caught.value)
    assert running.repository("team/copy").find_manifest("1") is None


def test_a_sibling_in_another_registry_is_refused_before_anything_moves(
    running: Running, elsewhere: Running, model: Path, push: Copy
) -> None:
    with pytest.raises(InvalidInput) as caught:
        push(model, at(running, "team/model"), siblings=(at(elsewhere, "team/model"),))
    assert str(caught.value) == (
        f"{elsewhere.address}/team/model:1 is in another registry than {running.address}/team/model:1"
    )
    assert running.recorder.seen("POST") == []


def test_only_an_image_has_a_base_to_keep(running: Running, model: Path, push: Copy) -> None:
    with pytest.raises(InvalidInput, match=r"is no image, so it has no base to keep$"):
        push(model, at(running, "team/model"), base_image="same")


FAULTS: dict[str, Callable[[str], Fault]] = {
    "cut": lambda path: Fault.cut_answer("GET", path, 3 * MIB),
    "reset": lambda path: Fault.cut_answer("GET", path, 3 * MIB, reset=True),
    "too many requests": lambda path: Fault.answer("GET", path, 429, headers={"Retry-After": "0"}),
    "out of order": lambda path: Fault.answer("GET", path, 503),
    "401 in the middle": lambda path: Fault.answer("GET", path, 401),
}


def shard_of(pushed: PushedImage) -> Digest:
    """The layer of a shard of five MiB."""
    return next(layer.digest for layer in pushed.layers if layer.size_bytes > 4 * MIB)


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_layer_whose_copy_breaks_off_arrives_all_the_same(
    running: Running, elsewhere: Running, model: Path, push: Copy, fault: str
) -> None:
    first = push(model, at(elsewhere, "team/model"))
    elsewhere.faults.add(FAULTS[fault](f"/blobs/{shard_of(first)}"))
    copy = push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"))
    assert elsewhere.faults.fired == 1
    assert copy.digest == first.digest
    assert files_of(running, "team/copy") == contents(model)


def test_what_arrived_of_a_layer_before_it_was_cut_is_not_asked_for_again(
    running: Running, elsewhere: Running, model: Path, push: Copy
) -> None:
    first = push(model, at(elsewhere, "team/model"))
    [size_bytes] = {layer.size_bytes for layer in first.layers if layer.size_bytes > 4 * MIB}
    elsewhere.recorder.clear()
    elsewhere.faults.add(FAULTS["cut"](f"/blobs/{shard_of(first)}"))
    push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"))
    [asked] = [r for r in elsewhere.recorder.seen("GET", "/blobs/") if "range" in r.headers]
    assert asked.headers["range"] == f"bytes={3 * MIB}-{size_bytes - 1}"
    assert asked.status == 206


def test_a_copy_that_is_cut_at_its_destination_goes_on_there_and_asks_the_origin_only_for_what_got_lost(
    running: Running, elsewhere: Running, model: Path, push: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelcar.distribution.ladder.SINGLE_PUT_BYTES", MIB)
    first = push(model, at(elsewhere, "team/model"))
    [size_bytes] = {layer.size_bytes for layer in first.layers if layer.size_bytes > 4 * MIB}
    elsewhere.recorder.clear()
    running.faults.add(Fault.cut_request("PATCH", "/blobs/uploads/.", 4 * MIB))
    copy = push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"))
    assert (copy.digest, files_of(running, "team/copy")) == (first.digest, contents(model))
    [rest] = [r for r in running.recorder.seen("PATCH") if "content-range" in r.headers]
    assert rest.headers["content-range"] == f"{4 * MIB}-{size_bytes - 1}"
    whole, *again = elsewhere.recorder.seen("GET", f"/blobs/{shard_of(first)}")
    assert "range" not in whole.headers
    assert all(r.headers["range"].startswith(f"bytes={4 * MIB}-") for r in again)


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "other": (lambda layer: b"x" + layer[1:], "is not what its annotation says: it has another header than that of "),
    "longer": (lambda layer: layer + b"x", "did not arrive as its manifest says: "),
    "shorter": (lambda layer: layer[:-1], "did not arrive as its manifest says: "),
}


@pytest.mark.parametrize("damage", sorted(DAMAGE))
def test_a_layer_that_is_damaged_on_its_way_is_never_named(
    running: Running, elsewhere: Running, model: Path, push: Copy, damage: str
) -> None:
    change, message = DAMAGE[damage]
    first = push(model, at(elsewhere, "team/model"))
    layer = next(layer for layer in first.layers if layer.files)
    content = read_whole(elsewhere.repository(), layer.digest)
    elsewhere.faults.add(Fault.answer("GET", f"/blobs/{layer.digest}", 200, body=change(content), times=99))
    with pytest.raises(ContentMismatch) as caught:
        push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"))
    what = "config.json" if damage == "other" else f"{layer.digest}, {layer.size_bytes} bytes"
    assert str(caught.value) == f"a layer of image {elsewhere.address}/team/model:1 {message}{what}"
    assert running.repository("team/copy").find_manifest("1") is None
    assert not running.repository("team/copy").has_blob(layer.digest)
    assert running.sessions_left == 0


def test_a_layer_that_is_not_there_any_more_is_told(
    running: Running, elsewhere: Running, model: Path, push: Copy
) -> None:
    first = push(model, at(elsewhere, "team/model"))
    layer = next(layer for layer in first.layers if layer.files)
    elsewhere.faults.add(Fault.answer("GET", f"/blobs/{layer.digest}", 404, times=99))
    with pytest.raises(ImageNotFound, match=f"pull team/model@{layer.digest}: HTTP 404"):
        push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"))
    assert running.repository("team/copy").find_manifest("1") is None


def test_a_copy_that_failed_half_way_goes_on_with_what_is_missing(
    running: Running, elsewhere: Running, model: Path, push: Copy
) -> None:
    first = push(model, at(elsewhere, "team/model"))
    *before, last = [layer for layer in first.layers if layer.files]
    elsewhere.faults.add(Fault.answer("GET", f"/blobs/{last.digest}", 404, times=2))
    with pytest.raises(ImageNotFound):
        push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"), concurrency=1)
    assert all(running.repository("team/copy").has_blob(layer.digest) for layer in before)
    elsewhere.faults.clear()
    elsewhere.recorder.clear()
    copy = push(f"oci://{at(elsewhere, 'team/model')}", at(running, "team/copy"))
    assert (copy.digest, copy.bytes_read) == (first.digest, last.size_bytes)
    assert len(elsewhere.recorder.seen("GET", "/blobs/")) == 1


def test_a_plan_tells_what_a_copy_would_read_and_send(
    running: Running, elsewhere: Running, model: Path, push: Copy
) -> None:
    first = push(model, at(elsewhere, "team/model"))
    layers = sum(layer.size_bytes for layer in first.layers if layer.files)
    directories = sum(layer.size_bytes for layer in first.layers if not layer.files)
    for registry, read_bytes, reused_bytes in ((running, layers, 0), (elsewhere, 0, layers)):
        source, to = f"oci://{at(elsewhere, 'team/model')}", at(registry, "team/copy")
        build = prepare(BuildRequest(source, to, None, (Platform("linux", "amd64"),)), Access())
        forecast = make_forecast(build)
        assert (forecast.read_bytes, build.plan.reused_bytes) == (read_bytes, reused_bytes)
        assert forecast.sent_bytes == read_bytes + directories
        assert forecast.compared_bytes == 0


def test_what_is_no_image_is_told(running: Running, push: Copy) -> None:
    running.repository("team/model").write_manifest(
        json.dumps(
            {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
        ).encode(),
        "application/vnd.oci.image.index.v1+json",
        ["1"],
    )
    with pytest.raises(DistributionError, match="has nothing for platform linux/amd64"):
        push(f"oci://{at(running, 'team/model')}", at(running, "team/copy"))
