from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bare_machine import few_certificates, home
from model_files import shard
from modelcar.build import BuildRequest, execute, prepare
from modelcar.distribution.client import Access
from modelcar.push import PushedImage
from modelcar.reference import Base, ImageReference, LayoutReference, Platform
from modelcar_sandbox.oci_registry import create_app
from modelcar_sandbox.service import Service
from registry_service import Running, elsewhere, running
from wsgi_faults import Faults, Recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["elsewhere", "few_certificates", "home", "running"]

AMD64 = Platform("linux", "amd64")
Copy = Callable[..., PushedImage]


@contextmanager
def serve_behind(wrap: Callable[[WSGIApplication], WSGIApplication], directory: Path) -> Iterator[Running]:
    """The sandbox's registry, with something of it taken away."""
    faults = Faults(wrap(create_app(directory)))
    recorder = Recorder(faults)
    with Service(recorder) as service:
        yield Running(service.address, faults, recorder, directory)


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Running]:
    """A registry that mounts nothing: it opens an upload instead, as the specification lets it."""

    def without_mounts(app: WSGIApplication) -> WSGIApplication:
        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            query = environ.get("QUERY_STRING", "")
            return app({**environ, "QUERY_STRING": "" if "mount=" in query else query}, start_response)

        return answer

    with serve_behind(without_mounts, tmp_path / "plain") as it:
        yield it


@pytest.fixture
def unranged(tmp_path: Path) -> Iterator[Running]:
    """A registry that sends whole blobs, whatever part is asked for."""

    def without_ranges(app: WSGIApplication) -> WSGIApplication:
        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            return app({key: value for key, value in environ.items() if key != "HTTP_RANGE"}, start_response)

        return answer

    with serve_behind(without_ranges, tmp_path / "unranged") as it:
        yield it


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Running]:
    """A registry of before 1.1, which neither lists referrers nor knows what a subject is."""

    def without_referrers(app: WSGIApplication) -> WSGIApplication:
        def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
                return start_response(status, [h for h in headers if h[0] != "OCI-Subject"], exc_info)

            path = environ.get("PATH_INFO", "").replace("/referrers/", "/no-such-endpoint/")
            return app({**environ, "PATH_INFO": path}, start)

        return answer

    with serve_behind(without_referrers, tmp_path / "old") as it:
        yield it


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of two shards and a few small files."""
    directory = tmp_path / "model"
    (directory / "notes").mkdir(parents=True)
    (directory / "config.json").write_bytes(b"{}")
    (directory / "notes" / "é.txt").write_bytes(b"text\n")
    weights = {f"model-0000{i}-of-00002.safetensors": shard(5 << 20, seed=i, tensor=f"w{i}") for i in (1, 2)}
    for name, content in weights.items():
        (directory / name).write_bytes(content)
    index = {"weight_map": {f"w{i}": f"model-0000{i}-of-00002.safetensors" for i in (1, 2)}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    return directory


@pytest.fixture
def push() -> Copy:
    """Prepare and push, as the command does it."""

    def run(
        source: str | Path,
        destination: ImageReference | LayoutReference,
        base_image: Base = None,
        *,
        access: Access | None = None,
        concurrency: int = 4,
        **more: object,
    ) -> PushedImage:
        uri = source if isinstance(source, str) else source.as_uri()
        request = BuildRequest(uri, destination, base_image, **{"platforms": (AMD64,), **more})  # type: ignore[arg-type]
        return execute(prepare(request, access or Access(plain_http=True), will_push=True), concurrency=concurrency)

    return run
