"""The step image is named by digest where it is a tag of the cluster's own registry, and as it was given elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from canned_answers import Answer, Canned, serve_answers
from modelcar import bearer
from modelcar.errors import InvalidInput, PromotionError
from modelcar_pipelines.catalog import compile_pipelines
from modelcar_pipelines.step_image import resolve_image
from modelcar_sandbox.kubernetes import write_kubeconfig

REGISTRY = "image-registry.openshift-image-registry.svc:5000"
NEW, OLD = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
LIST = "/apis/image.openshift.io/v1/namespaces/team/imagestreams"


def stream(name: str, **tags: list[str]) -> dict[str, Any]:
    """An ImageStream; digests of a tag from the newest on."""
    items = {tag: [{"image": one, "dockerImageReference": f"{REGISTRY}/x@{one}"} for one in tags[tag]] for tag in tags}
    return {"metadata": {"name": name}, "status": {"tags": [{"tag": tag, "items": items[tag]} for tag in tags]}}


def streams(*items: Mapping[str, Any]) -> Answer:
    return Answer(200, {"kind": "ImageStreamList", "items": list(items)})


@pytest.fixture
def canned() -> Iterator[Canned]:
    with serve_answers(streams(stream("step", v1=[NEW, OLD], v2=[]), stream("other", v1=[OLD]))) as server:
        yield server


@pytest.fixture
def env(canned: Canned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Of a shell that is logged in to the cluster."""
    monkeypatch.setattr(bearer, "SERVICE_ACCOUNT_TOKEN", tmp_path / "pod" / "token")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, canned.url, "team")
    return {"KUBECONFIG": str(path)}


def test_a_tag_of_the_clusters_registry_becomes_the_digest_that_is_behind_it_now(
    canned: Canned, env: dict[str, str]
) -> None:
    assert resolve_image(f"{REGISTRY}/team/step:v1", env) == f"{REGISTRY}/team/step@{NEW}"
    assert canned.asked == [f"GET {LIST}"]


@pytest.mark.parametrize(
    "image", [f"{REGISTRY}/team/step@{OLD}", f"{REGISTRY}/team/step:v1@{OLD}", "quay.io/team/step:v1"]
)
def test_any_other_image_is_named_as_it_was_and_nobody_is_asked(
    canned: Canned, env: dict[str, str], image: str
) -> None:
    assert resolve_image(image, env) == image
    assert canned.asked == []


@pytest.mark.parametrize(
    ("image", "message", "hint"),
    [
        ("none:v1", "the cluster has no ImageStream for IMAGE", "That namespace has other, step."),
        ("step:v3", "there is no image behind IMAGE", "Its ImageStream has images for v1."),
        ("step:v2", "there is no image behind IMAGE", "Its ImageStream has images for v1."),
    ],
)
def test_a_tag_with_nothing_behind_it_is_refused(env: dict[str, str], image: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        resolve_image(f"{REGISTRY}/team/{image}", env)
    assert (str(raised.value), raised.value.hint) == (message.replace("IMAGE", f"{REGISTRY}/team/{image}"), hint)


def test_a_name_that_no_image_stream_has_is_refused_without_asking(canned: Canned, env: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="where images are called NAMESPACE/NAME"):
        resolve_image(f"{REGISTRY}/step:v1", env)
    assert canned.asked == []


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [(403, "does not let you list imagestreams.image.openshift.io in namespace team", 2), (500, "answered 500", 1)],
)
def test_a_cluster_that_does_not_tell_is_named_with_the_way_out(
    canned: Canned, env: dict[str, str], status: int, error: str, code: int
) -> None:
    canned.answers = [Answer(status, {}, {"Retry-After": "0"})]
    with pytest.raises(PromotionError, match="is known to its cluster only, which cannot be asked") as raised:
        resolve_image(f"{REGISTRY}/team/step:v1", env)
    assert error in str(raised.value)
    assert raised.value.exit_code == code
    assert raised.value.hint == "Name the image by its digest, or log in to the cluster with oc login."


def test_a_cluster_that_knows_no_image_streams_is_none_of_openshift(canned: Canned, env: dict[str, str]) -> None:
    canned.answers = [Answer(404, b"404 page not found\n", {"Content-Type": "text/plain"})]
    with pytest.raises(InvalidInput, match=": it has no ImageStreams"):
        resolve_image(f"{REGISTRY}/team/step:v1", env)


def test_all_pipelines_of_one_compilation_name_the_digest_of_one_look(
    canned: Canned, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", env["KUBECONFIG"])
    compiled = compile_pipelines(["promote-model", "promote-models"], f"{REGISTRY}/team/step:v1")
    images = [
        one["container"]["image"]
        for pipeline in compiled
        for one in pipeline.file.spec["deploymentSpec"]["executors"].values()
    ]
    assert set(images) == {f"{REGISTRY}/team/step@{NEW}"}
    assert len(canned.asked) == 1
