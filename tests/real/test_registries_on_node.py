"""What is pushed to a registry starts on a real node: new, in part, for two platforms, copied, and past faults."""

from __future__ import annotations

import hashlib
import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from base_images import descriptor
from fault_proxy import reverse_proxy
from model_files import shard
from modelcar.build import BuildRequest, execute, prepare
from modelcar.distribution.client import Access, Registry
from modelcar.distribution.repository import Repository
from modelcar.distribution.upload import Content
from modelcar.image.manifest import INDEX_TYPE
from modelcar.push import PushedImage
from modelcar.reference import Digest, ImageReference, Platform
from modelcar_sandbox.oci_registry import create_app
from modelcar_sandbox.service import Service
from real.cluster import Namespace, push_busybox
from real_servers import require
from wsgi_faults import Fault, Faults

pytestmark = [pytest.mark.real, pytest.mark.node, pytest.mark.timeout(600)]

MIB = 1 << 20
AMD64 = Platform("linux", "amd64")
MODEL = {
    "config.json": b'{"model_type": "llama"}',
    "model-1.safetensors": shard(4 * MIB, seed=1),
    "model-2.safetensors": shard(5 * MIB, seed=2),
    "sub/vocabulary.txt": b"a\n",
}
FAULTS = (
    Fault.cut_request("PATCH", "/uploads/", 2 * MIB),
    Fault.answer("PUT", "/uploads/", 503, nth=2),
    Fault.answer("PATCH", "/uploads/", 401, nth=3),
    Fault.cut_answer("PUT", "/manifests/", 0),
)
CHANGED = {**MODEL, "model-2.safetensors": shard(5 * MIB, seed=3)}


@dataclass
class Place:
    """A registry that the node pulls from.

    Attributes:
        address: For the node.
        front: For pushes; another one where a proxy stands before the registry.
        faults: What the proxy breaks, if there is one.
        mounts: Whether it takes blobs over from its other repositories; zot does where it keeps equal blobs once.
    """

    address: str
    front: str
    faults: Faults | None = None
    mounts: bool = True
    _repository: str = field(default_factory=lambda: f"team/model-{uuid.uuid4().hex[:8]}")

    def push(
        self, source: str, base: str, *, name: str = "", platforms: tuple[Platform, ...] = (AMD64,)
    ) -> PushedImage:
        """Push to a repository of this test, through the proxy where there is one."""
        request = BuildRequest(
            source,
            ImageReference(self.front, f"{self._repository}{name}", "v1"),
            ImageReference.parse(base),
            platforms,
        )
        return execute(prepare(request, Access(plain_http=True)))

    def seen_by_node(self, image: PushedImage, name: str = "") -> str:
        """The image's reference as the node pulls it."""
        return f"{self.address}/{self._repository}{name}@{image.digest}"


@pytest.fixture(params=["docker-registry", "zot", "ours behind a proxy that fails"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    node = require("REAL_NODE_IP", "REAL_NODE_REGISTRIES")
    if request.param == "docker-registry":
        yield Place(require("REAL_OCI_REGISTRY"), require("REAL_OCI_REGISTRY"))
    elif request.param == "zot":
        yield Place(require("REAL_ZOT"), require("REAL_ZOT"), mounts=False)
    else:
        with ExitStack() as running:
            ours = running.enter_context(Service(create_app(tmp_path / "registry"), host=node))
            faults = Faults(reverse_proxy(ours.address))
            front = running.enter_context(Service(faults))
            _let_the_node_pull(ours.address)
            yield Place(ours.address, front.address, faults)


def _let_the_node_pull(address: str) -> None:
    """containerd asks registries by TLS unless a file says otherwise, and reads that file at each pull."""
    directory = Path(require("REAL_NODE_REGISTRIES")) / address
    directory.mkdir()
    (directory / "hosts.toml").write_text(f'[host."http://{address}"]\ncapabilities = ["pull", "resolve"]\n')


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with Namespace(require("REAL_KUBECONFIG")).created() as namespace:
        yield namespace


@pytest.fixture
def base(tmp_path: Path, place: Place) -> str:
    """A base image with a shell, in the registry itself."""
    theirs = push_busybox(tmp_path)
    ours = f"{place.front}/base/busybox:1"
    if ours != theirs:
        copy = ["skopeo", "copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false"]
        subprocess.run([*copy, f"docker://{theirs}", f"docker://{ours}"], check=True)
    return ours


def write(directory: Path, files: dict[str, bytes]) -> str:
    for path, content in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)
    return directory.as_uri()


def sums(files: dict[str, bytes]) -> dict[str, str]:
    return {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}


def test_what_is_pushed_reused_and_copied_starts_with_every_byte(
    place: Place, namespace: Namespace, base: str, tmp_path: Path
) -> None:
    if place.faults is not None:
        for fault in FAULTS:
            place.faults.add(fault)
    first = place.push(write(tmp_path / "first", MODEL), base)
    if place.faults is not None:
        assert place.faults.fired == len(FAULTS)
    assert namespace.hash_models(place.seen_by_node(first)) == sums(MODEL)

    second = place.push(write(tmp_path / "second", CHANGED), base)
    assert [layer.files for layer in second.layers if not layer.reused] == [("model-2.safetensors",)]
    assert namespace.hash_models(place.seen_by_node(second)) == sums(CHANGED)

    copied = place.push(f"oci://{place.front}/{place._repository}@{second.digest}", base, name="/copy")
    assert copied.digest == second.digest
    assert place.mounts <= all(layer.reused for layer in copied.layers if layer.files)
    assert namespace.hash_models(place.seen_by_node(copied, "/copy")) == sums(CHANGED)


def for_two_platforms(base: str) -> str:
    """The base image's layers once more for arm64, and an index over both."""
    name = ImageReference.parse(base)
    repository = Repository(Registry(name.registry, name.repository, Access(plain_http=True)), name.repository)
    stored = repository.find_manifest(name.tag or "")
    assert stored is not None
    amd64 = json.loads(stored.content)
    config = json.loads(repository.read_blob(Digest.parse(amd64["config"]["digest"])))
    other = json.dumps({**config, "architecture": "arm64"}).encode()
    repository.write_blob(Content(other), Digest.of(other))
    arm64 = json.dumps({**amd64, "config": descriptor(amd64["config"]["mediaType"], other)}).encode()
    repository.write_manifest(arm64, stored.media_type, [])
    entries = [
        {**descriptor(stored.media_type, content), "platform": {"os": "linux", "architecture": architecture}}
        for architecture, content in (("amd64", stored.content), ("arm64", arm64))
    ]
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries}
    repository.write_manifest(json.dumps(index).encode(), INDEX_TYPE, ["both"])
    return str(name.tagged("both"))


def test_an_index_of_two_platforms_starts_as_the_nodes_own(
    place: Place, namespace: Namespace, base: str, tmp_path: Path
) -> None:
    platforms = (AMD64, Platform("linux", "arm64"))
    image = place.push(write(tmp_path / "model", MODEL), for_two_platforms(base), platforms=platforms)
    assert set(image.platforms) == set(platforms)
    assert namespace.hash_models(place.seen_by_node(image)) == sums(MODEL)
