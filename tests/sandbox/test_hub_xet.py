"""A Hub that says that it keeps large files in Xet, as the real one does; against the unmodified huggingface_hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import RepoFile

from modelcar.sources.open import open_source
from modelcar_sandbox.hub import Hub, create_app
from modelcar_sandbox.service import Service

WEIGHTS = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def commit_hash(directory: Path) -> str:
    return Hub(directory).publish("org/model", {"config.json": b"{}", "model.safetensors": WEIGHTS})


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def url(directory: Path, commit_hash: str) -> Iterator[str]:
    assert commit_hash
    with Service(create_app(directory, xet=True)) as service:
        yield service.url


def test_large_files_have_a_name_in_xet_and_small_ones_none(url: str) -> None:
    tree = HfApi(endpoint=url, token=False).list_repo_tree("org/model")
    names = {entry.path: entry.xet_hash for entry in tree if isinstance(entry, RepoFile)}
    assert names["config.json"] is None
    assert len(names["model.safetensors"] or "") == 64


def test_the_redirect_tells_the_name_and_where_a_token_is_given(url: str, commit_hash: str) -> None:
    address = hf_hub_url("org/model", "model.safetensors", endpoint=url)
    metadata = get_hf_file_metadata(address, token=False, endpoint=url)
    entry = HfApi(endpoint=url, token=False).get_paths_info("org/model", "model.safetensors")[0]
    assert metadata.xet_file_data is not None
    assert isinstance(entry, RepoFile)
    assert metadata.xet_file_data.file_hash == entry.xet_hash
    assert metadata.xet_file_data.refresh_route == f"{url}/api/models/org/model/xet-read-token/{commit_hash}"
    assert (metadata.size, metadata.location.partition("/cdn/")[0]) == (
        len(WEIGHTS),
        url.replace("127.0.0.1", "localhost"),
    )


def test_the_client_that_does_without_xet_gets_the_file(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    file = hf_hub_download("org/model", "model.safetensors", endpoint=url, cache_dir=tmp_path, token=False)
    assert Path(file).read_bytes() == WEIGHTS


def test_who_asks_for_a_token_to_xet_is_told_that_there_is_none(url: str, tmp_path: Path, commit_hash: str) -> None:
    answer = requests.get(f"{url}/api/models/org/model/xet-read-token/{commit_hash}", timeout=30)
    assert answer.status_code == 501
    with pytest.raises(HfHubHTTPError, match=r"This Hub has no Xet storage .* HF_HUB_DISABLE_XET=1"):
        hf_hub_download("org/model", "model.safetensors", endpoint=url, cache_dir=tmp_path, token=False)


def test_our_source_reads_the_file_by_http(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", url)
    source = open_source("hf://org/model")
    file = next(file for file in source.snapshot().files if file.path == "model.safetensors")
    with source.open(file, 100) as blocks:
        assert b"".join(blocks) == WEIGHTS[100:]
