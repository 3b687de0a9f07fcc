"""Copies and referrers in real registries: docker-registry, which has no referrers API, and zot, which has one."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from base_images import push_base
from copying_checks import contents, model_of, refer
from modelcar.distribution.client import Access, Registry
from modelcar.distribution.referrers import fallback_tag
from modelcar.distribution.repository import Repository
from modelcar.push import PushedImage
from modelcar.reference import ImageReference
from real_servers import require

pytestmark = pytest.mark.real
Copy = Callable[..., PushedImage]
SBOM = "application/spdx+json"


@pytest.fixture(params=["REAL_OCI_REGISTRY", "REAL_ZOT"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which registry it is."""
    name: str = request.param
    return name


@pytest.fixture
def places(kind: str) -> tuple[ImageReference, ImageReference]:
    """Two fresh repositories."""
    host, name = require(kind), uuid.uuid4().hex
    return ImageReference(host, f"copying/from-{name}", "1"), ImageReference(host, f"copying/to-{name}", "1")


def repository(reference: ImageReference) -> Repository:
    registry = Registry(reference.registry, reference.repository, Access(plain_http=True))
    return Repository(registry, reference.repository)


def test_a_copy_mounts_the_layers_also_on_another_base_and_brings_referrers_while_it_is_the_same(
    kind: str, places: tuple[ImageReference, ImageReference], model: Path, push: Copy
) -> None:
    origin, there = places
    first = push(model, origin)
    sbom = refer(repository(origin), first.digest, SBOM, b'{"spdx": 1}')
    copy = push(f"oci://{origin}", there)
    assert copy.digest == first.digest
    # zot mounts only where it keeps equal blobs once ("dedupe"); else it opens an upload, and the bytes pass here.
    layers = [layer for layer in copy.layers if layer.files]
    probe = repository(ImageReference(there.registry, f"{there.repository}-probe"))
    mounts = probe.mount(layers[0].digest, origin.repository)
    assert mounts or "zot" in kind.lower()
    assert copy.bytes_read == (0 if mounts else sum(layer.size_bytes for layer in layers))
    assert all(layer.reused == mounts for layer in layers)
    assert copy.referrers is not None
    assert copy.referrers.copied == (sbom,)
    assert [r.digest for r in repository(there).list_referrers(first.digest)] == [sbom]
    assert model_of(repository(there), "1") == contents(model)

    push_base(repository(origin), "base")
    on_base = push(f"oci://{origin}", there.tagged("2"), origin.tagged("base"))
    assert on_base.bytes_read == 0  # the layers are there by now
    assert on_base.referrers is not None
    assert (on_base.referrers.copied, on_base.referrers.left) == ((), (sbom,))
    assert model_of(repository(there), "2") == contents(model)


def test_a_registry_lists_referrers_itself_or_a_tag_does(
    places: tuple[ImageReference, ImageReference], model: Path, push: Copy
) -> None:
    origin, _ = places
    first = push(model, origin)
    refer(repository(origin), first.digest, SBOM, b"text")
    has_tag = repository(origin).find_manifest(fallback_tag(first.digest)) is not None
    path = f"/v2/{origin.repository}/referrers/{first.digest}"
    registry = Registry(origin.registry, origin.repository, Access(plain_http=True))
    answer = registry.request("GET", path, scope=f"repository:{origin.repository}:pull")
    assert (answer.status_code == 404) == has_tag
