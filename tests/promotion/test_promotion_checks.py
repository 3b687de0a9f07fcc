"""What would stop a promotion after hours of bytes stops it before the first; and keys that reruns go by stay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelcar.delivery.credentials import name_repository
from modelcar.distribution.client import Access
from modelcar.errors import (
    GitError,
    InvalidInput,
    ManifestShapeError,
    ModelRegistryError,
    RegistryAccessDenied,
    SourceNotFound,
)
from modelcar.lineage import Provenance, compute_promotion_key
from modelcar.model_registry.registration import RegisteredVersion
from modelcar.promotion import plan_promotion
from modelcar.push import PushedImage
from modelcar.reference import Digest, Platform
from modelcar.snapshot import ModelSnapshot
from modelcar.spec import PromotionSpec, parse_spec
from promotion.place import Place
from promotion.services import Services
from wsgi_faults import Fault

ALWAYS = 10_000
SPEC = """\
apiVersion: modelcar.dev/v1alpha1
kind: PromotionSpec
model: {source: hf://org/name}
image: {repository: registry.example/models/name, baseImage: scratch}
modelRegistry: {url: https://models.example, registeredModel: name, version: v1}
inferenceService:
  {repository: https://git.example/team/gitops.git, path: apps/name.yaml, name: name, namespace: serving}
"""
DIGEST = Digest("a" * 64)
IMAGE = PushedImage(
    image=f"registry.example/models/name@{DIGEST}",
    digest=DIGEST,
    platforms={Platform("linux", "amd64"): DIGEST},
    tags=("latest",),
    size_bytes=1,
    layers=(),
    snapshot=ModelSnapshot("hf://org/name", "main", "b" * 40, (), ()),
    content_key="c" * 64,
    bytes_read=0,
    bytes_uploaded=0,
    bytes_reused=1,
    seconds=0.0,
)
REGISTERED = RegisteredVersion("1", "2", "3", "name", "v1", f"oci://registry.example/models/name@{DIGEST}", ())


def test_no_such_inference_service(sandbox_place: Place, services: Services) -> None:
    with pytest.raises(ManifestShapeError, match="has no InferenceService other"):
        sandbox_place.promote(name="other")

    assert services.hub.recorder.requests == []
    assert services.registry.recorder.requests == []
    assert services.model_registry.recorder.requests == []


def test_a_spec_that_trains_first_is_not_promoted_untrained(sandbox_place: Place, services: Services) -> None:
    training = "training: {data: file:///data, entryPoint: trainer:train}\n"
    with pytest.raises(InvalidInput, match="has a training, and promoting alone trains nothing") as caught:
        sandbox_place.promote(more=training)
    assert str(caught.value.hint).startswith("Run the pipeline retrain-and-promote")
    with pytest.raises(InvalidInput, match="has a training"):
        plan_promotion(sandbox_place.spec(more=training), access=Access(plain_http=True), tell=lambda _: None)

    assert services.hub.recorder.requests == []
    assert services.model_registry.recorder.requests == []


def test_a_model_registry_that_does_not_let_us_in(sandbox_place: Place, services: Services) -> None:
    services.model_registry.faults.add(Fault.answer("GET", "/api/", 403, times=ALWAYS))

    with pytest.raises(ModelRegistryError, match="does not allow this"):
        sandbox_place.promote()

    assert services.hub.recorder.requests == []
    assert services.registry.recorder.requests == []


def test_a_registry_that_we_may_only_read(sandbox_place: Place, services: Services) -> None:
    services.registry.faults.add(Fault.answer("POST", "/uploads/", 403, times=ALWAYS))

    with pytest.raises(RegistryAccessDenied):
        sandbox_place.promote()

    assert services.hub.recorder.seen("GET", "/resolve/") == []
    assert services.model_registry.writes() == []
    assert len(sandbox_place.commits()) == 1


@pytest.mark.real
@pytest.mark.parametrize("place", ["REAL_OCI_REGISTRY"], indirect=True)
def test_a_git_server_that_we_may_only_read(place: Place, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELCAR_GIT_TOKEN")

    with pytest.raises(GitError, match="does not accept the credentials, or asks for some"):
        place.promote()

    assert services.hub.recorder.requests == []
    assert place.versions() == []


def test_no_such_model(sandbox_place: Place, services: Services) -> None:
    with pytest.raises(SourceNotFound):
        sandbox_place.promote(source="hf://sandbox/nothing")

    assert services.registry.writes() == []
    assert services.model_registry.writes() == []


def test_an_image_that_vanished_is_not_called_live(sandbox_place: Place, services: Services) -> None:
    # The registry says yes to the manifest and gives it back once, as one with an eager clean-up might.
    services.registry.faults.add(Fault.answer("GET", "/manifests/sha256:", 404, nth=3, times=ALWAYS))

    with pytest.raises(Exception, match="is not there any more"):
        sandbox_place.promote()

    [version] = sandbox_place.versions()
    assert [artifact["state"] for artifact in sandbox_place.artifacts(version["id"])] == ["PENDING"]
    assert len(sandbox_place.commits()) == 1

    services.registry.faults.clear()
    assert sandbox_place.promote().patch.changed
    assert [artifact["state"] for artifact in sandbox_place.artifacts(version["id"])] == ["LIVE"]


def key_of(spec: PromotionSpec, image: PushedImage, registered: RegisteredVersion) -> str:
    where = spec.inference_service
    return compute_promotion_key(where, where.namespace, Provenance.of(image), registered)


def spec(old: str = "", new: str = "") -> PromotionSpec:
    return parse_spec(SPEC.replace(old, new), name="promotion.yaml", env={})


def test_a_promotion_key_never_changes() -> None:
    # It stands in commits that reruns look for.
    assert key_of(spec(), IMAGE, REGISTERED) == "4fbfbf369a10170e3a93d342a3dc2cce62bc4e263f1e4ddc33e9158cccf5963d"


def test_a_promotion_key_tells_promotions_apart_and_nothing_else() -> None:
    snapshot = IMAGE.snapshot
    others = [
        key_of(spec(), replace(IMAGE, content_key="d" * 64), REGISTERED),
        key_of(spec(), replace(IMAGE, snapshot=replace(snapshot, uri="hf://org/fork")), REGISTERED),
        key_of(spec(), replace(IMAGE, snapshot=replace(snapshot, commit_hash="e" * 40)), REGISTERED),
        key_of(spec(), IMAGE, replace(REGISTERED, registered_model="other")),
        key_of(spec(), IMAGE, replace(REGISTERED, version="v2")),
        key_of(spec("git.example", "git.other"), IMAGE, REGISTERED),
        key_of(spec("path: ", "branch: next, path: "), IMAGE, REGISTERED),
        key_of(spec("apps/name.yaml", "apps/other.yaml"), IMAGE, REGISTERED),
        key_of(spec("name: name,", "name: other,"), IMAGE, REGISTERED),
        key_of(spec("serving", "staging"), IMAGE, REGISTERED),
    ]
    ours = key_of(spec(), IMAGE, REGISTERED)
    assert len({ours, *others}) == 1 + len(others)

    same = replace(IMAGE, tags=(), bytes_read=7, seconds=9.0, snapshot=replace(snapshot, revision="v1.0"))
    assert key_of(spec("https://models.example", "https://m.example"), same, REGISTERED) == ours


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://git.example/team/gitops.git", "git.example/team/gitops"),
        ("https://git.example/team/gitops", "git.example/team/gitops"),
        ("https://Git.Example:8443/team/gitops/", "git.example/team/gitops"),
        ("ssh://git@git.example:2222/team/gitops.git", "git.example/team/gitops"),
        ("git@git.example:team/gitops.git", "git.example/team/gitops"),
        ("git@git.example:/team/gitops", "git.example/team/gitops"),
        ("https://git.example/team/gitops.github.io", "git.example/team/gitops.github.io"),
        ("file:///srv/gitops.git", "/srv/gitops"),
        ("/srv/gitops.git", "/srv/gitops"),
        ("/srv/Gitops/", "/srv/Gitops"),
    ],
)
def test_a_repository_has_one_name_by_whatever_address(url: str, name: str) -> None:
    assert name_repository(url) == name
