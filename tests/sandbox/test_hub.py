"""Against the unmodified huggingface_hub, and where that hides something, against the bare answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest
import requests
from huggingface_hub import HfApi, HfFileSystem, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile, RepoFolder

from modelcar_sandbox.hub import Hub, User, create_app
from modelcar_sandbox.service import Service

WEIGHTS = bytes(range(256)) * 40
CARD = b"# card\n"
FILES: dict[str, bytes | Path] = {"README.md": CARD, "model.safetensors": WEIGHTS, "sub dir/n\u00f6tes.txt": b"deep"}
REPOSITORY = "org/model"
TOKENS = {"hf_member": User("member", frozenset({"org/private", "org/gated"})), "hf_stranger": User("stranger")}


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Served:
    hub: Hub
    url: str
    clock: Clock
    commit_hash: str

    def api(self, token: str | bool = False) -> HfApi:
        return HfApi(endpoint=self.url, token=token)

    def get(self, path: str, **options: object) -> requests.Response:
        return requests.request(str(options.pop("method", "GET")), self.url + path, timeout=30, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    hub = Hub(tmp_path_factory.mktemp("hub"))
    commit_hash = hub.publish(REPOSITORY, FILES)
    hub.publish("org/private", {"x": b"secret"}, private=True)
    hub.publish("org/gated", {"x": b"on request", "w.bin": b"large"}, gated=True)
    clock = Clock()
    with Service(create_app(hub.directory, tokens=TOKENS, link_lifetime_s=60, clock=clock)) as service:
        yield Served(hub, service.url, clock, commit_hash)


def test_model_info_tells_the_commit_and_the_files(served: Served) -> None:
    info = served.api().model_info(REPOSITORY)
    assert info.sha == served.commit_hash
    assert [file.rfilename for file in info.siblings or ()] == sorted(FILES)
    assert (info.private, info.gated) == (False, False)


def test_model_info_tells_sizes_and_ids_when_asked(served: Served) -> None:
    files = {file.rfilename: file for file in served.api().model_info(REPOSITORY, files_metadata=True).siblings or ()}
    large = files["model.safetensors"].lfs
    assert large is not None
    assert (large.sha256, large.size, large.pointer_size) == (sha256(WEIGHTS).hexdigest(), len(WEIGHTS), 130)
    assert (files["README.md"].size, files["README.md"].lfs) == (len(CARD), None)


def test_the_tree_holds_files_and_directories(served: Served) -> None:
    tree = list(served.api().list_repo_tree(REPOSITORY, revision=served.commit_hash, recursive=True))
    assert [(type(entry), entry.path) for entry in tree] == [
        (RepoFile, "README.md"),
        (RepoFile, "model.safetensors"),
        (RepoFolder, "sub dir"),
        (RepoFile, "sub dir/n\u00f6tes.txt"),
    ]


def test_the_tree_of_a_directory_holds_what_lies_in_it(served: Served) -> None:
    assert [entry.path for entry in served.api().list_repo_tree(REPOSITORY, "sub dir")] == ["sub dir/n\u00f6tes.txt"]


def test_a_tree_of_more_than_a_thousand_entries_comes_in_pages(served: Served) -> None:
    paths = [f"part-{number:04d}.txt" for number in range(2300)]
    served.hub.publish("org/many", dict.fromkeys(paths, b"x"))
    assert [entry.path for entry in served.api().list_repo_tree("org/many", recursive=True)] == paths
    assert len(served.get("/api/models/org/many/tree/main").json()) == 1000


def test_paths_info_leaves_out_what_is_not_there(served: Served) -> None:
    found = served.api().get_paths_info(REPOSITORY, ["model.safetensors", "nothing", "sub dir"])
    assert [entry.path for entry in found] == ["model.safetensors", "sub dir"]


@pytest.mark.parametrize("path", sorted(FILES))
def test_a_downloaded_file_has_the_published_bytes(served: Served, tmp_path: Path, path: str) -> None:
    file = hf_hub_download(REPOSITORY, path, endpoint=served.url, cache_dir=tmp_path, token=False)
    assert Path(file).read_bytes() == FILES[path]


def test_a_downloaded_snapshot_passes_the_clients_own_check(served: Served, tmp_path: Path) -> None:
    snapshot = snapshot_download(REPOSITORY, endpoint=served.url, cache_dir=tmp_path, token=False)
    assert Path(snapshot).name == served.commit_hash
    found = served.api().verify_repo_checksums(REPOSITORY, local_dir=snapshot)
    assert (found.checked_count, found.mismatches, found.missing_paths) == (3, [], [])


def test_a_file_can_be_read_in_pieces(served: Served) -> None:
    with HfFileSystem(endpoint=served.url, token=False).open(f"{REPOSITORY}/model.safetensors", "rb") as file:
        file.seek(1000)
        assert file.read(16) == WEIGHTS[1000:1016]


def test_a_file_can_be_streamed(served: Served) -> None:
    files = HfFileSystem(endpoint=served.url, token=False)
    with files.open(f"{REPOSITORY}@{served.commit_hash}/model.safetensors", "rb", block_size=0) as file:
        assert file.read() == WEIGHTS


def test_a_branch_with_a_slash_and_a_tag_name_their_commits(served: Served, tmp_path: Path) -> None:
    first = served.hub.publish("org/branches", {"x": b"1"})
    second = served.hub.publish("org/branches", {"x": b"2"}, revision="refs/pr/1")
    served.hub.tag("org/branches", "v1", first)
    api = served.api()
    assert api.model_info("org/branches", revision="refs/pr/1").sha == second
    assert api.model_info("org/branches", revision="v1").sha == first
    file = hf_hub_download("org/branches", "x", revision="refs/pr/1", endpoint=served.url, cache_dir=tmp_path)
    assert Path(file).read_bytes() == b"2"
    refs = api.list_repo_refs("org/branches")
    assert [(ref.name, ref.target_commit) for ref in refs.branches] == [("main", first), ("refs/pr/1", second)]
    assert [(ref.name, ref.target_commit) for ref in refs.tags] == [("v1", first)]


def test_a_commit_can_be_downloaded_after_the_branch_moved_on(served: Served, tmp_path: Path) -> None:
    first = served.hub.publish("org/moving", {"w.bin": b"1"})
    served.hub.publish("org/moving", {"w.bin": b"2"})
    file = hf_hub_download("org/moving", "w.bin", revision=first, endpoint=served.url, cache_dir=tmp_path)
    assert Path(file).read_bytes() == b"1"


def test_a_repository_may_be_named_like_a_part_of_an_address(served: Served, tmp_path: Path) -> None:
    served.hub.publish("resolve/resolve", {"w.bin": b"1"})
    file = hf_hub_download("resolve/resolve", "w.bin", endpoint=served.url, cache_dir=tmp_path)
    assert Path(file).read_bytes() == b"1"


def test_a_missing_repository_is_not_found_with_and_without_a_token(served: Served) -> None:
    with pytest.raises(RepositoryNotFoundError) as without:
        served.api().model_info("org/nothing")
    with pytest.raises(RepositoryNotFoundError) as with_token:
        served.api("hf_stranger").model_info("org/nothing")
    assert (without.value.response.status_code, with_token.value.response.status_code) == (401, 404)


@pytest.mark.parametrize("revision", ["nothing", "0" * 40, "9bf26a6"])
def test_a_missing_revision_is_not_found(served: Served, revision: str) -> None:
    with pytest.raises(RevisionNotFoundError):
        served.api().model_info(REPOSITORY, revision=revision)


def test_a_missing_file_is_not_found_and_the_commit_is_told(served: Served, tmp_path: Path) -> None:
    with pytest.raises(RemoteEntryNotFoundError) as error:
        hf_hub_download(REPOSITORY, "nothing", endpoint=served.url, cache_dir=tmp_path, token=False)
    assert error.value.response.headers["X-Repo-Commit"] == served.commit_hash


def test_a_missing_directory_is_not_found(served: Served) -> None:
    with pytest.raises(RemoteEntryNotFoundError):
        list(served.api().list_repo_tree(REPOSITORY, "nothing"))


def test_a_private_repository_is_as_one_that_is_not_there(served: Served) -> None:
    missing, private = (served.get(f"/api/models/org/{name}") for name in ("nothing", "private"))
    assert (private.status_code, private.content) == (missing.status_code, missing.content)
    with pytest.raises(RepositoryNotFoundError):
        served.api("hf_stranger").model_info("org/private")
    assert served.api("hf_member").model_info("org/private").private is True


def test_a_gated_repository_shows_its_files_but_does_not_give_them(served: Served, tmp_path: Path) -> None:
    assert served.api().model_info("org/gated").gated == "manual"
    assert [entry.path for entry in served.api().list_repo_tree("org/gated")] == ["w.bin", "x"]
    for token, status in ((False, 401), ("hf_stranger", 403)):
        with pytest.raises(GatedRepoError) as error:
            hf_hub_download("org/gated", "w.bin", endpoint=served.url, cache_dir=tmp_path, token=token)
        assert error.value.response.status_code == status
    file = hf_hub_download("org/gated", "w.bin", endpoint=served.url, cache_dir=tmp_path, token="hf_member")
    assert Path(file).read_bytes() == b"large"


def test_a_wrong_token_is_refused_even_where_none_is_needed(served: Served) -> None:
    with pytest.raises(HfHubHTTPError) as error:
        served.api("hf_wrong").model_info(REPOSITORY)
    assert error.value.response.headers["X-Error-Message"] == "Invalid credentials in Authorization header"
    assert error.value.response.status_code == 401


def test_whoami_tells_the_user_of_a_token(served: Served) -> None:
    assert served.api("hf_member").whoami()["name"] == "member"
    assert served.get("/api/whoami-v2").status_code == 401


def test_the_list_of_harnesses_is_empty(served: Served) -> None:
    assert served.get("/api/agent-harnesses").json() == {"standardEnvVars": [], "harnesses": {}}


def test_a_large_file_is_behind_a_redirect_that_already_tells_what_it_is(served: Served) -> None:
    answer = served.get(f"/{REPOSITORY}/resolve/main/model.safetensors", method="HEAD", allow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(f"{served.url}/cdn/{REPOSITORY}/")
    assert answer.headers["X-Repo-Commit"] == served.commit_hash
    assert answer.headers["X-Linked-Etag"] == f'"{sha256(WEIGHTS).hexdigest()}"'
    assert answer.headers["X-Linked-Size"] == str(len(WEIGHTS))


def link(served: Served) -> str:
    answer = served.get(f"/{REPOSITORY}/resolve/main/model.safetensors", allow_redirects=False)
    return answer.headers["Location"].removeprefix(served.url)


def test_the_address_of_a_large_file_can_be_used_until_it_expires(served: Served) -> None:
    path = link(served)
    served.clock.now += 59
    assert served.get(path).content == WEIGHTS
    served.clock.now += 1
    assert served.get(path).status_code == 403


@pytest.mark.parametrize(
    ("old", "new"),
    [("Expires=1", "Expires=2"), ("Signature=", "Signature=\u00e9"), ("Expires=", "Nothing="), ("/org/", "/other/")],
)
def test_a_changed_address_is_refused(served: Served, old: str, new: str) -> None:
    assert served.get(link(served).replace(old, new)).status_code == 403


def test_a_range_of_a_large_file_is_sent(served: Served) -> None:
    answer = served.get(link(served), headers={"Range": "bytes=100-199"})
    assert (answer.status_code, answer.content) == (206, WEIGHTS[100:200])
    assert answer.headers["Content-Range"] == f"bytes 100-199/{len(WEIGHTS)}"


def test_a_range_beyond_the_end_is_refused_with_the_right_length(served: Served) -> None:
    answer = served.get(link(served), headers={"Range": f"bytes={len(WEIGHTS)}-"})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{len(WEIGHTS)}")


def test_a_small_file_comes_at_once_with_its_blob_id(served: Served) -> None:
    answer = served.get(f"/{REPOSITORY}/resolve/main/README.md", allow_redirects=False)
    assert (answer.status_code, answer.content) == (200, CARD)
    assert answer.headers["ETag"] == '"245d3238005659d13c827cc53e6f921a01fb6da1"'


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/api/models/org", 404),
        ("/api/models/..%2F..%2Fetc/passwd", 401),
        (f"/{REPOSITORY}/resolve/main/..%2F..%2Fsettings.json", 404),
        (f"/{REPOSITORY}/resolve/main/%FF", 404),
        (f"/api/models/{REPOSITORY}/tree/main?cursor=x", 400),
        (f"/cdn/{REPOSITORY}/main/x", 403),
    ],
)
def test_nonsense_is_refused_in_json(served: Served, path: str, status: int) -> None:
    answer = served.get(path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


def test_a_method_that_is_not_offered_is_refused(served: Served) -> None:
    answer = served.get(f"/api/models/{REPOSITORY}", method="DELETE")
    assert (answer.status_code, set(answer.headers["Allow"].split(", "))) == (405, {"GET", "HEAD"})
