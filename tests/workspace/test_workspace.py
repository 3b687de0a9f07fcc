"""A directory afterwards holds exactly the snapshot's files, and what is right in it is not read again."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from model_files import Files, shard
from modelcar.errors import InvalidInput, PromotionError, SourceError
from modelcar.sources.open import open_source
from modelcar.workspace.download import Downloaded, download

WEIGHTS = shard(1 << 20, seed=1)
MODEL = {"config.json": b"{}", "empty.txt": b"", "model.safetensors": WEIGHTS, "sub dir/nötes/ß.txt": b"deep"}
SIZE_BYTES = sum(map(len, MODEL.values()))


def run(source: Files, directory: Path, **options: object) -> Downloaded:
    return download(source.snapshot(), source, directory, **options)  # type: ignore[arg-type]


def contents(directory: Path) -> Mapping[str, bytes]:
    """What a build of the directory would find in it."""
    source = open_source(directory.as_uri(), allow=["*"], allow_pickle=["*"])
    return {file.path: (directory / file.path).read_bytes() for file in source.snapshot().files}


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A directory that `MODEL` was downloaded into."""
    run(Files(MODEL), tmp_path / "model")
    return tmp_path / "model"


def test_a_new_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    source = Files(MODEL)
    downloaded = run(source, tmp_path / "a" / "b")

    assert contents(tmp_path / "a" / "b") == MODEL
    assert (downloaded.directory, downloaded.snapshot) == (tmp_path / "a" / "b", source.snapshot())
    assert (downloaded.bytes_read, downloaded.bytes_reused) == (SIZE_BYTES, 0)
    assert downloaded.seconds > 0


def test_the_source_is_closed_whether_it_was_read_to_its_end_or_not(tmp_path: Path) -> None:
    whole, broken = Files(MODEL), Files(MODEL)
    broken.break_off("config.json", 0, SourceError("config.json is gone"))
    run(whole, tmp_path / "whole")
    with pytest.raises(SourceError, match="is gone"):
        run(broken, tmp_path / "broken")
    assert (whole.closed, broken.closed) == (1, 1)


def test_an_empty_directory_is_taken_also_when_it_is_a_volume(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    run(Files(MODEL), tmp_path)

    assert contents(tmp_path) == MODEL


def test_a_relative_directory_is_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert run(Files(MODEL), Path("model")).directory == tmp_path / "model"


def test_run_again_it_asks_the_source_for_no_file(there: Path) -> None:
    source = Files(MODEL)
    again = run(source, there)

    assert (again.bytes_read, again.bytes_reused, source.opened) == (0, SIZE_BYTES, [])
    assert contents(there) == MODEL


def test_run_again_it_hashes_no_file_whose_size_and_time_fit(there: Path) -> None:
    status = (there / "model.safetensors").stat()
    with (there / "model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\0")  # what no size and time tell
    os.utime(there / "model.safetensors", ns=(status.st_atime_ns, status.st_mtime_ns))

    assert run(Files(MODEL), there).bytes_read == 0


def test_a_file_of_another_time_is_hashed_and_not_read_from_the_source(there: Path) -> None:
    os.utime(there / "model.safetensors", ns=(1, 1))
    source = Files(MODEL)

    assert run(source, there).bytes_reused == SIZE_BYTES
    assert source.bytes_read == 0
    assert run(source, there).bytes_read == 0
    assert contents(there) == MODEL


@pytest.mark.parametrize("cut_bytes", [0, 1, 5000])
def test_a_file_that_lost_its_end_is_read_from_where_it_ends(there: Path, cut_bytes: int) -> None:
    os.truncate(there / "model.safetensors", cut_bytes)
    source = Files(MODEL)
    run(source, there)

    assert source.opened == [("model.safetensors", cut_bytes)]
    assert contents(there) == MODEL


@pytest.mark.parametrize("other", [b"[]", b"{", b"[1, 2, 3]"], ids=["as long", "shorter", "longer"])
def test_a_file_that_somebody_changed_is_read_anew(there: Path, other: bytes) -> None:
    (there / "config.json").write_bytes(other)
    source = Files(MODEL)
    run(source, there)

    assert {path for path, _ in source.opened} == {"config.json"}
    assert contents(there) == MODEL


def test_a_file_that_somebody_removed_is_read_again(there: Path) -> None:
    (there / "model.safetensors").unlink()
    source = Files(MODEL)
    run(source, there)

    assert source.opened == [("model.safetensors", 0)]
    assert contents(there) == MODEL


@pytest.mark.parametrize("damage", [b"", b"nonsense\n", b'{"path": ["a"]}\n{"path": "config.json", "size'])
def test_without_a_record_what_is_there_is_hashed(there: Path, damage: bytes) -> None:
    (there / ".modelcar" / "finished.jsonl").write_bytes(damage)
    source = Files(MODEL)
    run(source, there)

    assert source.bytes_read == 0
    assert contents(there) == MODEL


def test_the_next_version_moves_only_what_changed_and_leaves_nothing_behind(there: Path) -> None:
    model = {"config.json": b'{"a": 1}', "model.safetensors": WEIGHTS, "sub dir": b"now a file"}
    source = Files(model)
    run(source, there)

    assert {path for path, _ in source.opened} == {"config.json", "sub dir"}
    assert contents(there) == model


def test_a_file_can_become_a_directory(there: Path) -> None:
    model = {"config.json/a/b": b"{}", "empty.txt": b""}
    run(Files(model), there)

    assert contents(there) == model
    assert not (there / "sub dir").exists()


@pytest.mark.parametrize("name", ["notes.txt", "sub dir/notes.txt", ".hidden"])
def test_what_somebody_else_put_there_is_refused_and_stays(there: Path, name: str) -> None:
    (there / name).write_text("mine")
    with pytest.raises(InvalidInput, match="no download put there"):
        run(Files(MODEL), there)

    assert (there / name).read_text() == "mine"


def test_what_a_download_put_there_and_somebody_changed_is_refused_and_stays(there: Path) -> None:
    (there / "config.json").write_text("mine")
    with pytest.raises(InvalidInput, match="no download put there"):
        run(Files({"model.safetensors": WEIGHTS}), there)

    assert (there / "config.json").read_text() == "mine"
    assert contents(there) == MODEL | {"config.json": b"mine"}


def test_what_a_download_put_there_goes_whatever_its_time(there: Path) -> None:
    os.utime(there / "config.json", ns=(1, 1))
    run(Files({"model.safetensors": WEIGHTS}), there)

    assert contents(there) == {"model.safetensors": WEIGHTS}


def test_links_are_not_followed(there: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (there / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(InvalidInput, match="has link in it"):
        run(Files({"link/a.txt": b"a"}), there)

    assert list((tmp_path / "outside").iterdir()) == []


def test_a_source_without_digests_is_read_every_time(tmp_path: Path) -> None:
    for _ in range(2):
        source = Files(MODEL, published=False)
        assert run(source, tmp_path / "model").bytes_read == SIZE_BYTES
        assert contents(tmp_path / "model") == MODEL


def test_only_one_file_at_a_time_is_under_way_with_a_concurrency_of_one(tmp_path: Path) -> None:
    model = {f"{number}.txt": b"x" * number for number in range(20)}
    source = Files(model)
    run(source, tmp_path / "model", concurrency=1)

    assert [path for path, _ in source.opened] == list(source.contents)


def test_several_files_move_at_once(tmp_path: Path) -> None:
    source = Files({"a": b"a", "b": b"b", "c": b"c"})
    together = threading.Barrier(3, timeout=30)
    source.on_block = lambda _path, _offset: print(together.wait())
    run(source, tmp_path / "model", concurrency=3)


class Told:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.moved: dict[int, int] = {}
        self.finished: dict[str, bool] = {}
        self._lock = threading.Lock()

    def layer_started(self, key: int, title: str, size_bytes: int) -> None:
        with self._lock:
            self.sizes[title] = size_bytes
            self.moved[key] = 0

    def bytes_moved(self, key: int, count: int) -> None:
        with self._lock:
            self.moved[key] += count

    def layer_finished(self, key: int, title: str, size_bytes: int, *, reused: bool) -> None:  # noqa: ARG002
        with self._lock:
            self.finished[title] = reused


def test_progress_is_told_of_every_byte_of_what_moves_and_of_what_does_not(there: Path) -> None:
    os.truncate(there / "model.safetensors", 5000)
    told = Told()
    run(Files(MODEL), there, progress=told)

    assert told.sizes == {"model.safetensors": len(WEIGHTS)}
    assert list(told.moved.values()) == [len(WEIGHTS)]
    assert told.finished == {path: path != "model.safetensors" for path in MODEL}


def test_a_failure_stops_the_other_files_and_leaves_the_directory_unfinished(tmp_path: Path) -> None:
    source = Files(MODEL)
    source.break_off("config.json", 1, SourceError("gone"))
    with pytest.raises(SourceError, match=r"^gone$"):
        run(source, tmp_path / "model")

    with pytest.raises(SourceError) as caught:
        open_source((tmp_path / "model").as_uri()).snapshot()
    assert str(caught.value) == f"the download into file://{tmp_path}/model is not finished"
    assert caught.value.hint == "Run it again; it goes on where it stopped."


def test_a_refused_directory_that_was_finished_stays_finished(there: Path) -> None:
    (there / "notes.txt").write_text("mine")
    with pytest.raises(PromotionError):
        run(Files(MODEL), there)

    assert contents(there) == MODEL | {"notes.txt": b"mine"}


def test_a_break_is_read_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.0)
    source = Files(MODEL)
    source.break_off("model.safetensors", 7000)
    downloaded = run(source, tmp_path / "model")

    assert ("model.safetensors", 7000) in source.opened
    assert downloaded.bytes_read == SIZE_BYTES
    assert contents(tmp_path / "model") == MODEL


def test_nothing_is_left_but_the_model_a_lock_and_a_record(there: Path) -> None:
    names = {str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()}

    assert names == {*MODEL, ".modelcar/lock", ".modelcar/finished.jsonl"}


def test_a_published_file_may_be_named_as_long_as_a_file_system_allows(tmp_path: Path) -> None:
    model = {"n" * 255: b"long"}
    run(Files(model), tmp_path / "model")

    assert contents(tmp_path / "model") == model
