from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from bare_machine import few_certificates, home
from image_checks import UnpackedImage, validate_image
from model_files import Files
from modelcar.base import FetchedBase
from modelcar.distribution.client import Access, Registry
from modelcar.distribution.destination import Destination
from modelcar.distribution.layout import Layout
from modelcar.distribution.repository import Repository
from modelcar.plan import PlatformBase, make_plan
from modelcar.progress import Progress
from modelcar.push import PushedImage, push
from modelcar.reference import Digest, Platform
from registry_service import Running, elsewhere, running

__all__ = ["elsewhere", "few_certificates", "home", "running"]

AMD64 = Platform("linux", "amd64")


@pytest.fixture
def real_repository() -> Repository:
    """A fresh repository of a real registry."""
    if not os.environ.get("REAL_OCI_REGISTRY"):
        pytest.skip("REAL_OCI_REGISTRY is not set")
    name = f"team/model-{uuid.uuid4().hex}"
    return Repository(Registry(os.environ["REAL_OCI_REGISTRY"], name, Access(plain_http=True)), name)


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.real), "layout"])
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    """Each kind of place that an image can be pushed to."""
    if request.param == "layout":
        return Layout(tmp_path / "layout")
    if request.param == "real":
        real: Repository = request.getfixturevalue("real_repository")
        return real
    sandbox: Running = request.getfixturevalue("running")
    return sandbox.repository()


PushFiles = Callable[..., PushedImage]


@pytest.fixture
def push_files() -> PushFiles:
    """Plan and push in one call."""

    def plan_and_push(
        source: Files,
        destination: Destination,
        *,
        tags: Sequence[str] = ("v1",),
        previous: Sequence[str] = ("v1",),
        base: FetchedBase | None = None,
        platform: Platform = AMD64,
        platforms: Sequence[PlatformBase] = (),
        progress: Progress | None = None,
        concurrency: int = 4,
        allow_pickle: Sequence[str] = (),
    ) -> PushedImage:
        plan = make_plan(
            source.snapshot(), destination, platforms=platforms or [PlatformBase(platform, base)], previous=previous
        )
        return push(
            plan,
            source,
            destination,
            tags=lambda _: tags,
            allow_pickle=allow_pickle,
            progress=progress,
            concurrency=concurrency,
        )

    return plan_and_push


def _read_whole(repository: Repository, digest: Digest) -> bytes:
    """A blob of any size, as a runtime pulls it."""
    with repository.open_blob(digest) as blocks:
        return b"".join(blocks)


@pytest.fixture
def pull() -> Callable[[Destination, str], UnpackedImage]:
    """Read an image back by tag or digest, and prove that its parts belong together."""

    def read(destination: Destination, reference: str) -> UnpackedImage:
        stored = destination.find_manifest(reference)
        assert stored is not None
        if isinstance(destination, Repository):
            return validate_image(partial(_read_whole, destination), stored.content)
        assert isinstance(destination, Layout)
        directory = Path(destination.name.removeprefix("oci-layout:"))

        def read_file(digest: Digest) -> bytes:
            return (directory / "blobs/sha256" / digest.hex).read_bytes()

        return validate_image(read_file, stored.content)

    return read


@pytest.fixture
def log_in(home: Path) -> Callable[[str], None]:
    """Leave a password for a registry where docker keeps it."""

    def write(registry: str) -> None:
        path = home / ".docker" / "config.json"
        path.parent.mkdir()
        path.write_text(json.dumps({"auths": {registry: {"username": "robot", "password": "secret"}}}))

    return write
