from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcar.errors import (
    ContentMismatch,
    InvalidReference,
    PromotionError,
    SourceAccessDenied,
    SourceNotFound,
)
from modelcar.snapshot import ModelFile, Source
from modelcar.sources.local import LocalSource
from modelcar.sources.open import open_source

WEIGHTS = random.Random(1).randbytes(3 * (1 << 20) + 17)


def source(directory: Path, *ignore: str, allow: tuple[str, ...] = ()) -> Source:
    return open_source(f"file://{directory}", ignore=ignore, allow=allow)


def paths(directory: Path, *ignore: str) -> list[str]:
    return [file.path for file in source(directory, *ignore).snapshot().files]


def read(source: Source, file: ModelFile, offset: int = 0) -> bytes:
    with source.open(file, offset) as blocks:
        return b"".join(blocks)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    (directory / "sub").mkdir(parents=True)
    (directory / "config.json").write_bytes(b"{}")
    (directory / "Z.txt").write_bytes(b"")
    (directory / "sub" / "config.json").write_bytes(b"{ }")
    (directory / "weights.gguf").write_bytes(WEIGHTS)
    return directory


def test_a_directory_is_listed_with_sizes_and_without_digests(model: Path) -> None:
    snapshot = source(model).snapshot()
    assert snapshot.uri == f"file://{model}"
    assert (snapshot.revision, snapshot.commit_hash, snapshot.left_out) == (None, None, ())
    assert snapshot.files == (
        ModelFile("Z.txt", 0),
        ModelFile("config.json", 2),
        ModelFile("sub/config.json", 3),
        ModelFile("weights.gguf", len(WEIGHTS)),
    )


@pytest.mark.parametrize("offset", [0, 1, 1 << 20, len(WEIGHTS) - 1, len(WEIGHTS)])
def test_a_file_is_read_from_any_offset(model: Path, offset: int) -> None:
    assert read(source(model), ModelFile("weights.gguf", len(WEIGHTS)), offset) == WEIGHTS[offset:]


def test_blocks_are_at_most_a_mebibyte_never_empty_and_keep_their_content(model: Path) -> None:
    local = source(model)
    with local.open(local.snapshot().files[3]) as blocks:
        kept = list(blocks)
    assert [len(block) for block in kept] == [*[256 << 10] * 12, 17]
    assert b"".join(kept) == WEIGHTS


def test_the_names_are_the_same_whatever_the_locale(model: Path) -> None:
    (model / "\u00e9t\u00e9.txt").write_bytes(b"")
    script = (
        "import sys; from modelcar.sources.open import open_source;"
        "print(ascii([f.path for f in open_source(sys.argv[1]).snapshot().files]))"
    )
    for locale in ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, {"LC_ALL": "C.UTF-8"}):
        command = [sys.executable, "-c", script, f"file://{model}"]
        done = subprocess.run(command, env={**os.environ, **locale}, capture_output=True, check=True, text=True)
        assert done.stdout.strip().endswith(r"'weights.gguf', '\xe9t\xe9.txt']")


def test_a_uri_is_percent_decoded(tmp_path: Path) -> None:
    (tmp_path / "my model").mkdir()
    (tmp_path / "my model" / "a").write_bytes(b"")
    encoded = f"file://{tmp_path}/my%20model"
    assert (
        open_source(encoded).snapshot().uri == open_source(encoded.replace("%20", " ") + "/").snapshot().uri == encoded
    )


@pytest.mark.parametrize("uri", ["file://./x", "file://models/x", "file:/data", "file://", "file:///a%00b"])
def test_only_an_absolute_path_will_do(uri: str) -> None:
    with pytest.raises(InvalidReference, match="does not name a directory by its absolute path") as caught:
        open_source(uri)
    assert (caught.value.hint or "").startswith("Write file:///")


def test_a_missing_directory_a_file_and_an_empty_directory_are_told_apart(model: Path) -> None:
    with pytest.raises(SourceNotFound, match=f"^there is no directory file://{model}/none$"):
        source(model / "none").snapshot()
    with pytest.raises(SourceNotFound, match=f"^file://{model}/config.json is not a directory$"):
        source(model / "config.json").snapshot()
    (model / "empty").mkdir()
    with pytest.raises(SourceNotFound, match=f"^file://{model}/empty has no files$"):
        source(model / "empty").snapshot()


def test_a_file_that_grew_shrank_or_was_written_after_the_listing_is_a_mismatch(model: Path) -> None:
    for content in (b"{ }", b"", b"[]"):
        (model / "config.json").write_bytes(b"{}")
        os.utime(model / "config.json", (1, 1))
        local = source(model)
        file = local.snapshot().files[1]
        (model / "config.json").write_bytes(content)
        with pytest.raises(ContentMismatch, match=r"^config\.json changed since it was listed$") as caught:
            read(local, file)
        assert caught.value.retryable is False


def test_a_file_that_changes_while_it_is_read_is_a_mismatch(model: Path) -> None:
    local = source(model)
    file = local.snapshot().files[3]

    def read_and_disturb(blocks: Iterator[bytes]) -> None:
        for _ in blocks:
            os.truncate(model / "weights.gguf", 2 << 20)

    with local.open(file) as blocks, pytest.raises(ContentMismatch, match="changed since it was listed"):
        read_and_disturb(blocks)


def test_a_link_in_the_place_of_a_listed_file_is_not_followed(model: Path) -> None:
    local = source(model)
    file = local.snapshot().files[1]
    (model / "config.json").unlink()
    (model / "config.json").symlink_to("/etc/hostname")
    with pytest.raises(PromotionError, match=r"^config\.json cannot be opened: Too many levels of symbolic links$"):
        read(local, file)


def test_a_pipe_in_the_place_of_a_listed_file_does_not_block(model: Path) -> None:
    local = source(model)
    file = local.snapshot().files[1]
    (model / "config.json").unlink()
    os.mkfifo(model / "config.json")
    with pytest.raises(ContentMismatch, match="changed since it was listed"):
        read(local, file)


def test_a_file_that_is_gone_is_not_found(model: Path) -> None:
    local = source(model)
    file = local.snapshot().files[1]
    (model / "config.json").unlink()
    with pytest.raises(SourceNotFound, match=r"^config\.json is not there any more$"):
        read(local, file)


def test_a_file_of_an_older_snapshot_is_compared_by_size(model: Path) -> None:
    with pytest.raises(ContentMismatch, match="changed since it was listed"):
        read(source(model), ModelFile("config.json", 3))
    with pytest.raises(SourceNotFound, match="nope is not there any more"):
        read(source(model), ModelFile("nope", 3))


UNREADABLE = """
import os, sys
from modelcar.errors import PromotionError
from modelcar.sources.open import open_source
if os.geteuid() == 0:  # whom no mode keeps out
    os.setuid(65534)
try:
    open_source(sys.argv[1], ignore=sys.argv[2:]).snapshot()
    print("listed")
except PromotionError as error:
    print(type(error).__name__, error)
"""


def test_what_cannot_be_read_is_told_before_the_push_begins() -> None:
    # Not below pytest's directory, which another user could not enter.
    with tempfile.TemporaryDirectory() as directory:
        model = Path(directory)
        model.chmod(0o755)
        (model / "a").write_bytes(b"")
        (model / "b").write_bytes(b"")
        (model / "a").chmod(0)
        (model / "dir").mkdir(mode=0)

        def attempt(*ignore: str) -> str:
            command = [sys.executable, "-c", UNREADABLE, f"file://{model}", *ignore]
            return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()

        assert attempt("dir/") == f"{SourceAccessDenied.__name__} a cannot be read: Permission denied"
        assert attempt("a") == f"{SourceAccessDenied.__name__} dir cannot be read: Permission denied"
        assert attempt("a", "dir") == "listed"


def test_a_local_source_is_what_a_file_uri_opens(model: Path) -> None:
    assert isinstance(source(model), LocalSource)
