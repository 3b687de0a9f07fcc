"""A model goes from a Hub to a commit in git; a second time nothing moves; a new version moves what is new."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests

from modelcar.promotion import promote
from modelcar.spec import load_spec
from modelcar_sandbox.demo_model import SHARDS, write_demo_model
from modelcar_sandbox.git_tree import MANIFEST
from modelcar_sandbox.sandbox import Sandbox
from promotion.place import MODEL_LABEL, PLACEHOLDER, VERSION_LABEL, Place
from promotion.services import Services, publish

DIGEST = "sha256:785dfbb8b1e9eff05fe27776204ae5f8131a535fcd21bd6f45b8e73c129e5c3d"
COMMIT_HASH = "9bf26a6361740d85714bcebc195767a5d5e5d8a1"


def replaced(text: bytes, *pairs: tuple[str, str]) -> bytes:
    for old, new in pairs:
        assert text.count(old.encode()) == 1, old
        text = text.replace(old.encode(), new.encode())
    return text


def test_a_promotion_leaves_an_image_a_version_a_live_artifact_and_a_commit(place: Place, original: bytes) -> None:
    promotion = place.promote()

    image = f"{place.registry}/{place.repository}@{DIGEST}"
    assert promotion.push.image == image
    manifest = requests.get(
        f"http://{place.registry}/v2/{place.repository}/manifests/{DIGEST}",
        headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        timeout=60,
    )
    assert (manifest.status_code, manifest.headers["Docker-Content-Digest"]) == (200, DIGEST)
    tags = requests.get(f"http://{place.registry}/v2/{place.repository}/tags/list", timeout=60).json()["tags"]
    assert sorted(tags) == ["latest", f"modelcar-{DIGEST.removeprefix('sha256:')}"]

    [version] = place.versions()
    assert version["name"] == "785dfbb8b1e9"
    [artifact] = place.artifacts(version["id"])
    assert (artifact["uri"], artifact["state"]) == (f"oci://{image}", "LIVE")
    assert artifact["id"] == promotion.register.model_artifact_id
    told = {key: value["string_value"] for key, value in version["customProperties"].items() if "string_value" in value}
    assert told["modelcar_content_key"] == promotion.push.content_key
    assert (told["modelcar_source_uri"], told["modelcar_commit_hash"]) == (f"hf://{place.model}", COMMIT_HASH)
    assert promotion.register.created == ("registered_model", "model_version", "model_artifact")

    [commit, _seed] = place.commits()
    assert (promotion.patch.commit, promotion.patch.changed) == (commit, True)
    assert place.changed_paths(commit) == [MANIFEST]
    assert place.message(commit).rstrip().split("\n\n")[-1].splitlines() == [
        f"Promotion-Key: {promotion.promotion_key}",
        f"Image-Digest: {DIGEST}",
        f"Previous-Digest: {PLACEHOLDER}",
        f"Model-Version-Id: {version['id']}",
        f"Model-Source: hf://{place.model}",
        f"Model-Commit: {COMMIT_HASH}",
    ]


def test_only_the_bytes_that_should_change_in_the_manifest_do(place: Place, original: bytes) -> None:
    registered = place.promote().register

    placeholder = re.search(rb"storageUri: (\S+)", original)
    assert placeholder is not None
    assert place.manifest() == replaced(
        original,
        (placeholder[1].decode(), f"oci://{place.registry}/{place.repository}@{DIGEST}"),
        (f'{MODEL_LABEL}: "0"', f'{MODEL_LABEL}: "{registered.registered_model_id}"'),
        (f'{VERSION_LABEL}: "0"', f'{VERSION_LABEL}: "{registered.model_version_id}"'),
        ('serving.kserve.io/stop: "true"', 'serving.kserve.io/stop: "false"'),
    )


def test_a_second_promotion_moves_nothing(place: Place) -> None:
    first = place.promote()
    second = place.promote()

    assert second.push.digest == first.push.digest
    assert (second.push.bytes_read, second.push.bytes_uploaded) == (0, 0)
    assert all(layer.reused for layer in second.push.layers)
    assert second.register.created == ()
    assert (second.patch.commit, second.patch.changed, second.patch.diff) == (first.patch.commit, False, "")
    assert second.promotion_key == first.promotion_key
    assert len(place.versions()) == 1
    assert len(place.commits()) == 2


def test_a_second_promotion_writes_nothing_but_the_question_whether_it_might(
    sandbox_place: Place, services: Services
) -> None:
    sandbox_place.promote()
    for service in (services.registry, services.model_registry, services.hub):
        service.recorder.clear()
    refs = (services.git_directory / "refs" / "heads" / "main").read_text()

    sandbox_place.promote()

    [asked, given_back] = services.registry.writes()
    assert asked == "POST /v2/models/demo-llama/blobs/uploads/"
    assert re.fullmatch(r"DELETE /v2/models/demo-llama/blobs/uploads/[^/]+", given_back)
    assert services.model_registry.writes() == []
    assert services.hub.recorder.seen("GET", "/resolve/") == []
    assert services.registry.recorder.seen("GET", "/blobs/sha256:") == services.registry.recorder.seen(
        "GET", "base/blobs"
    )
    assert (services.git_directory / "refs" / "heads" / "main").read_text() == refs


def test_a_new_version_of_the_model_moves_the_shard_that_changed(place: Place, tmp_path: Path) -> None:
    first = place.promote()
    before = place.manifest()
    commit_hash = publish(tmp_path / "sandbox", variant=2)

    second = place.promote()

    sent = [layer.files for layer in second.push.layers if not layer.reused]
    assert sent == [(SHARDS[1],)]
    shard_bytes = (tmp_path / "sandbox" / "model-2" / SHARDS[1]).stat().st_size
    assert second.push.bytes_read == shard_bytes
    assert shard_bytes < second.push.bytes_uploaded < shard_bytes + (1 << 20)
    assert second.push.digest != first.push.digest

    assert second.register.created == ("model_version", "model_artifact")
    assert second.register.registered_model_id == first.register.registered_model_id
    assert {version["name"] for version in place.versions()} == {first.push.digest.short, second.push.digest.short}

    assert len(place.commits()) == 3
    assert f"Model-Commit: {commit_hash}\n" in place.message("main")
    assert f"Previous-Digest: {first.push.digest}\n" in place.message("main")
    assert place.manifest() == replaced(
        before,
        (str(first.push.digest), str(second.push.digest)),
        (
            f'{VERSION_LABEL}: "{first.register.model_version_id}"',
            f'{VERSION_LABEL}: "{second.register.model_version_id}"',
        ),
    )


def test_layers_of_the_image_that_serves_are_reused_under_another_tag(sandbox_place: Place, services: Services) -> None:
    sandbox_place.promote(tag="spring")
    services.publish(variant=2)

    second = sandbox_place.promote(tag="autumn")

    assert [layer.files for layer in second.push.layers if not layer.reused] == [(SHARDS[1],)]


def test_the_sandbox_as_it_comes_up_takes_the_promotion_that_it_offers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox(tmp_path) as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        promotion = promote(load_spec(sandbox.promotion_spec))
        again = promote(load_spec(sandbox.promotion_spec))

    assert (str(promotion.push.digest), promotion.patch.changed) == (DIGEST, True)
    assert (again.push.bytes_read, again.push.bytes_uploaded, again.patch.changed) == (0, 0, False)


def test_a_directory_with_the_same_files_is_the_same_image_and_promotes_nothing_new(
    sandbox_place: Place, tmp_path: Path
) -> None:
    hub = sandbox_place.promote()
    write_demo_model(tmp_path / "model")

    directory = sandbox_place.promote(source=(tmp_path / "model").as_uri())

    assert directory.push.digest == hub.push.digest
    assert directory.push.bytes_uploaded == 0
    assert directory.register.created == ()
    assert (directory.patch.commit, directory.patch.changed) == (None, False)
    assert len(sandbox_place.commits()) == 2
