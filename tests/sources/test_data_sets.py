"""Data sets: on the sandbox's Hub as the unmodified client asks for them, and in directories."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from modelcar.errors import InvalidReference, PromotionError, SourceAccessDenied, SourceNotFound
from modelcar.snapshot import Source
from modelcar.sources.open import open_data, open_source
from modelcar_sandbox.hub import Hub, User, create_app
from modelcar_sandbox.service import Service

FILES: dict[str, bytes | Path] = {
    "README.md": b"# answers",
    "data/train.jsonl": b'{"text": "hello"}\n' * 3,
    "original/train.bin": b"\x80\x04." * 1000,
    "train.parquet": bytes(range(256)) * 50_000,
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, str]]:
    hub = Hub(tmp_path_factory.mktemp("hub"))
    hub.publish("datasets/acme/answers", FILES)
    hub.publish("datasets/acme/gated", FILES, gated=True)
    hub.publish("acme/answers", {"config.json": b"{}"})
    with Service(create_app(hub.directory, tokens={"hf_x": User("x", frozenset({"datasets/acme/gated"}))})) as service:
        yield hub, service.url


@pytest.fixture(autouse=True)
def _endpoint(hub: tuple[Hub, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub[1])
    monkeypatch.delenv("HF_TOKEN", raising=False)


def contents(source: Source) -> dict[str, bytes]:
    found = {}
    for file in source.snapshot().files:
        with source.open(file) as blocks:
            found[file.path] = b"".join(blocks)
    return found


def test_a_data_set_on_a_hub_is_taken_whole(hub: tuple[Hub, str]) -> None:
    source = open_data("hf://datasets/acme/answers")
    snapshot = source.snapshot()
    assert (snapshot.uri, snapshot.revision) == ("hf://datasets/acme/answers", "main")
    tip = hub[0].resolve("datasets/acme/answers", "main")
    assert tip is not None
    assert snapshot.commit_hash == tip.commit_hash
    assert contents(source) == FILES
    assert snapshot.files[3].sha256 is not None


def test_a_data_set_is_named_with_its_revision(hub: tuple[Hub, str]) -> None:
    old = open_data("hf://datasets/acme/answers").snapshot().commit_hash
    hub[0].publish("datasets/acme/answers", {"a.jsonl": b"{}\n"}, revision="next")
    assert contents(open_data("hf://datasets/acme/answers", revision="next")) == {"a.jsonl": b"{}\n"}
    assert open_data(f"hf://datasets/acme/answers@{old}").snapshot().commit_hash == old


def test_a_data_set_is_not_the_model_of_the_same_name() -> None:
    assert set(contents(open_source("hf://acme/answers"))) == {"config.json"}


def test_the_unmodified_client_sees_it(hub: tuple[Hub, str]) -> None:
    info = HfApi(endpoint=hub[1]).dataset_info("acme/answers", files_metadata=True)
    assert info.id == "acme/answers"
    assert {sibling.rfilename for sibling in info.siblings or []} == set(FILES)


def test_a_gated_data_set_needs_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceAccessDenied, match=r"^the data set acme/gated on .* is gated, and there is no token$"):
        open_data("hf://datasets/acme/gated").snapshot()
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    assert contents(open_data("hf://datasets/acme/gated")) == FILES


@pytest.mark.parametrize(
    ("uri", "revision", "error", "message"),
    [
        ("hf://datasets/acme/none", None, SourceNotFound, r" has no data set acme/none, or it is private$"),
        ("hf://datasets/acme/answers", "v9", SourceNotFound, r"^the data set acme/answers has no revision 'v9'$"),
        ("hf://datasets/a b", None, InvalidReference, r"^'a b' in 'hf://datasets/a b' is not the name of a data set$"),
        ("hf://datasets/a/b@", None, InvalidReference, r"^'hf://datasets/a/b@' does not name a data set$"),
        ("hf://acme/answers", None, InvalidReference, r"^'hf://acme/answers' is not the address of a data set$"),
        ("s3://bucket", None, InvalidReference, r"^'s3://bucket' is not the address of a data set$"),
        ("file:///data", "v1", InvalidReference, r"^'file:///data' is a directory and has no revisions$"),
    ],
)
def test_what_is_no_data_set_is_told(uri: str, revision: str | None, error: type[PromotionError], message: str) -> None:
    with pytest.raises(error, match=message):
        open_data(uri, revision=revision).snapshot()


def test_a_directory_of_data_is_taken_whole(tmp_path: Path) -> None:
    (tmp_path / "original").mkdir()
    (tmp_path / "original/train.bin").write_bytes(b"\x80\x04.")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache/x").write_bytes(b"")
    assert contents(open_data(tmp_path.as_uri())) == {"original/train.bin": b"\x80\x04."}
