from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from modelcar.errors import DistributionError
from modelcar_sandbox.base_image import push_base_image
from modelcar_sandbox.hub import create_app as create_hub
from modelcar_sandbox.oci_registry.app import create_app
from modelcar_sandbox.service import Service

ACCEPT = {"Accept": "application/vnd.oci.image.manifest.v1+json"}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Service]:
    with Service(create_app(tmp_path)) as service:
        yield service


def manifest(registry: Service) -> requests.Response:
    return requests.get(f"{registry.url}/v2/sandbox/synthetic-base/manifests/1", headers=ACCEPT, timeout=30)


def blob(registry: Service, digest: str) -> bytes:
    return requests.get(f"{registry.url}/v2/sandbox/synthetic-base/blobs/{digest}", timeout=30).content


def test_the_image_is_the_same_everywhere_and_the_second_time(registry: Service) -> None:
    assert push_base_image(registry.url) == f"{registry.address}/sandbox/synthetic-base:1"
    push_base_image(registry.url)
    digest = "sha256:be7980e3da008553791cad16e575db1eb27d02044766bbcf0376a11b76d388ea"
    assert manifest(registry).headers["Docker-Content-Digest"] == digest


def test_the_image_says_what_it_is(registry: Service) -> None:
    push_base_image(registry.url)
    layer = blob(registry, manifest(registry).json()["layers"][0]["digest"])
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert tar.getnames() == ["etc", "etc/os-release"]
        release = tar.extractfile("etc/os-release")
        assert release is not None
        assert "Synthetic base image of the modelcar sandbox: no shell, no programs" in release.read().decode()


def test_the_config_names_the_layer_and_the_platform(registry: Service) -> None:
    push_base_image(registry.url)
    document = manifest(registry).json()
    config = requests.get(
        f"{registry.url}/v2/sandbox/synthetic-base/blobs/{document['config']['digest']}", timeout=30
    ).json()
    layer = blob(registry, document["layers"][0]["digest"])
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert (config["os"], config["architecture"]) == ("linux", "amd64")


def test_what_is_no_registry_is_refused_with_its_status(tmp_path: Path) -> None:
    with Service(create_hub(tmp_path)) as hub, pytest.raises(DistributionError, match="answered 404") as error:
        push_base_image(hub.url)
    assert error.value.status == 404
