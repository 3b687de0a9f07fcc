from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcar.distribution.layout import REF_NAME, Layout
from modelcar.distribution.repository import Repository
from modelcar.distribution.upload import Content
from modelcar.errors import ContentMismatch, DistributionError, InvalidInput, SourceError
from modelcar.reference import Digest
from registry_service import serve
from wsgi_faults import Fault

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
DIGEST = Digest.of(b"blob")


class Stream:
    def __init__(self, *, broken: bool = False) -> None:
        self.digest: Digest | None = None
        self._broken = broken

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[bytes]:
        yield b"bl"
        if self._broken:
            raise SourceError("broke off")
        yield b"ob"
        self.digest = DIGEST


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "layout"


def files_of(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())


def index_of(directory: Path) -> list[tuple[str, str | None]]:
    entries = json.loads((directory / "index.json").read_bytes())["manifests"]
    return [(entry["digest"], entry.get("annotations", {}).get(REF_NAME)) for entry in entries]


def test_nothing_is_made_before_something_is_written(directory: Path) -> None:
    layout = Layout(directory)
    assert (layout.find_manifest("v1"), layout.has_blob(DIGEST), directory.exists()) == (None, False, False)


def test_a_blob_is_a_file_named_by_its_digest(directory: Path) -> None:
    layout = Layout(directory)
    layout.write_blob(Content(b"blob"), DIGEST)
    assert (directory / "blobs/sha256" / DIGEST.hex).read_bytes() == b"blob"
    assert json.loads((directory / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    assert layout.has_blob(DIGEST)


def test_a_stream_is_a_file_named_by_the_digest_that_it_turned_out_to_have(directory: Path) -> None:
    assert Layout(directory).write_stream(Stream()) == DIGEST
    assert (directory / "blobs/sha256" / DIGEST.hex).read_bytes() == b"blob"


def test_everybody_may_read_what_is_written(directory: Path) -> None:
    Layout(directory).write_blob(Content(b"blob"), DIGEST)
    modes = {path.stat().st_mode & 0o777 for path in directory.rglob("*") if path.is_file()}
    assert modes == {0o644}


def test_a_blob_of_another_digest_is_not_kept(directory: Path) -> None:
    layout = Layout(directory)
    with pytest.raises(ContentMismatch, match=f"as {DIGEST} has the digest {Digest.of(b'other')}"):
        layout.write_blob(Content(b"other"), DIGEST)
    assert files_of(directory) == ["oci-layout"]


def test_a_stream_that_breaks_off_leaves_nothing(directory: Path) -> None:
    with pytest.raises(SourceError, match="broke off"):
        Layout(directory).write_stream(Stream(broken=True))
    assert files_of(directory) == ["oci-layout"]


def test_a_manifest_is_found_by_each_of_its_tags_and_by_its_digest(directory: Path) -> None:
    layout = Layout(directory)
    layout.write_manifest(b"{}", MANIFEST_TYPE, ["v1", "v2"])
    digest = Digest.of(b"{}")
    found = [layout.find_manifest(reference) for reference in ("v1", "v2", str(digest))]
    assert [stored and (stored.content, stored.media_type, stored.digest) for stored in found] == [
        (b"{}", MANIFEST_TYPE, digest)
    ] * 3
    assert index_of(directory) == [(str(digest), "v1"), (str(digest), "v2")]


def test_a_tag_moves_and_other_tags_stay(directory: Path) -> None:
    layout = Layout(directory)
    layout.write_manifest(b"{}", MANIFEST_TYPE, ["v1", "latest"])
    layout.write_manifest(b"[]", MANIFEST_TYPE, ["latest"])
    assert index_of(directory) == [(str(Digest.of(b"{}")), "v1"), (str(Digest.of(b"[]")), "latest")]


def test_a_manifest_without_a_tag_is_named_once(directory: Path) -> None:
    layout = Layout(directory)
    for _ in range(2):
        layout.write_manifest(b"{}", MANIFEST_TYPE, [])
    assert index_of(directory) == [(str(Digest.of(b"{}")), None)]
    layout.write_manifest(b"{}", MANIFEST_TYPE, ["v1"])
    assert index_of(directory) == [(str(Digest.of(b"{}")), "v1")]


def test_what_others_wrote_into_the_index_stays(directory: Path) -> None:
    directory.mkdir()
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    theirs = {"mediaType": MANIFEST_TYPE, "digest": str(DIGEST), "size": 4, "annotations": {"theirs": "1"}}
    index = {"schemaVersion": 2, "manifests": [theirs], "annotations": {"theirs": "2"}}
    (directory / "index.json").write_text(json.dumps(index))
    Layout(directory).write_manifest(b"{}", MANIFEST_TYPE, ["v1"])
    written = json.loads((directory / "index.json").read_bytes())
    assert (written["manifests"][0], written["annotations"]) == (theirs, {"theirs": "2"})


def test_two_layouts_of_one_directory_lose_nothing(directory: Path) -> None:
    def write(number: int) -> None:
        Layout(directory).write_manifest(b"%d" % number, MANIFEST_TYPE, [f"v{number}"])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(index_of(directory)) == sorted((str(Digest.of(b"%d" % n)), f"v{n}") for n in range(12))


def test_a_file_is_no_layout(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="file is not a directory"):
        Layout(tmp_path / "file")


def test_a_directory_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(InvalidInput, match="has files in it and is not an OCI layout"):
        Layout(tmp_path)


def test_what_a_push_left_that_was_killed_early_is_a_layout_to_be(directory: Path) -> None:
    (directory / "blobs/sha256").mkdir(parents=True)
    (directory / ".incoming-abc").write_text("half")
    Layout(directory).write_blob(Content(b"blob"), DIGEST)
    assert Layout(directory).has_blob(DIGEST)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"manifests":7}', '{"manifests":[{}]}', '{"manifests":[{"digest":"sha256:1"}]}']
)
def test_an_index_that_makes_no_sense_is_named(directory: Path, text: str) -> None:
    layout = Layout(directory)
    layout.check_access()
    (directory / "index.json").write_text(text)
    with pytest.raises(DistributionError) as caught:
        layout.find_manifest("v1")
    assert str(caught.value) == f"{directory}/index.json is not the index of an OCI layout"


def test_a_manifest_whose_file_is_gone_is_told_as_such(directory: Path) -> None:
    layout = Layout(directory)
    layout.write_manifest(b"{}", MANIFEST_TYPE, ["v1"])
    (directory / "blobs/sha256" / Digest.of(b"{}").hex).unlink()
    with pytest.raises(DistributionError, match="but cannot give it: No such file or directory"):
        layout.find_manifest("v1")


def test_a_manifest_whose_file_was_changed_is_refused(directory: Path) -> None:
    layout = Layout(directory)
    layout.write_manifest(b"{}", MANIFEST_TYPE, ["v1"])
    (directory / "blobs/sha256" / Digest.of(b"{}").hex).write_bytes(b"[]")
    with pytest.raises(ContentMismatch, match="holds other content"):
        layout.find_manifest("v1")


def test_a_place_that_cannot_be_written_to_is_told_before_anything_moves(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DistributionError) as caught:
        Layout(tmp_path / "file" / "layout").check_access()
    assert str(caught.value) == f"{tmp_path}/file/layout cannot be written to: Not a directory"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_told_as_such(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(directory)
    layout.check_access()

    def full(*_: object, **__: object) -> tuple[int, str]:
        return os.open("/dev/full", os.O_WRONLY), str(directory / ".incoming-full")

    monkeypatch.setattr("tempfile.mkstemp", full)
    monkeypatch.setattr("os.fchmod", lambda *_: None)
    with pytest.raises(DistributionError, match="cannot be written to: No space left on device"):
        layout.write_blob(Content(b"blob"), DIGEST)


class BaseBlob:
    """A blob as base images give them: each pass asks the registry."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.digest: Digest | None = None

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[bytes]:
        with self._repository.open_blob(DIGEST) as blocks:
            yield from blocks
        self.digest = DIGEST


@pytest.mark.parametrize("known", [True, False])
def test_a_base_registry_that_fails_once_is_asked_again(tmp_path: Path, directory: Path, known: bool) -> None:
    layout = Layout(directory)
    with serve(tmp_path / "registry") as running:
        running.repository().write_blob(Content(b"blob"), DIGEST)
        running.faults.add(Fault.answer("GET", "/blobs/", 503))
        blob = BaseBlob(running.repository())
        if known:
            layout.write_blob(blob, DIGEST)
        else:
            assert layout.write_stream(blob) == DIGEST
        assert running.faults.fired == 1
    assert files_of(directory) == [f"blobs/sha256/{DIGEST.hex}", "oci-layout"]


def test_a_manifest_that_is_none_by_its_size_is_not_read(directory: Path) -> None:
    layout = Layout(directory)
    layout.write_manifest(b"{}", MANIFEST_TYPE, ["v1"])
    os.truncate(directory / "blobs/sha256" / Digest.of(b"{}").hex, (4 << 20) + 1)
    with pytest.raises(DistributionError, match=r"which has more than 4194304 bytes$"):
        layout.find_manifest("v1")


def test_a_layout_has_no_siblings_to_take_blobs_from(directory: Path) -> None:
    assert not Layout(directory).mount(DIGEST, "team/base")


def test_some_bytes_of_a_blob_are_given_only_where_all_of_them_are_there(directory: Path) -> None:
    layout = Layout(directory)
    assert layout.read_range(DIGEST, 1, 3) is None
    layout.write_blob(Content(b"blob"), DIGEST)
    assert layout.read_range(DIGEST, 1, 3) == b"lo"
    assert layout.read_range(DIGEST, 2, 5) is None
