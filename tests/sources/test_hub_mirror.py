"""HF_ENDPOINT: Hubs that are somebody else's copy, and answer a little differently."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelcar.errors import SourceError
from modelcar.snapshot import ModelSnapshot
from modelcar.sources import download
from modelcar.sources.open import open_source
from modelcar_sandbox.hub import Hub, User, create_app
from modelcar_sandbox.service import Service
from wsgi_faults import Fault, Faults, Recorder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

WEIGHTS = bytes(range(256)) * 8000
FILES: dict[str, bytes | Path] = {"config.json": b"{}", "model.safetensors": WEIGHTS}
TOKEN = "hf_planted"
Headers = list[tuple[str, str]]
Start = Callable[["WSGIApplication"], Service]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as running:
        yield lambda app: running.enter_context(Service(app))


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    hub = Hub(tmp_path / "hub")
    hub.publish("org/model", FILES)
    return hub


def application(hub: Hub) -> WSGIApplication:
    return create_app(hub.directory, tokens={TOKEN: User("member")})


def below(prefix: str, app: WSGIApplication, change: Callable[[Headers], Headers]) -> WSGIApplication:
    """The application below a path, with the headers of its answers changed; 404 elsewhere."""

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith(f"{prefix}/"):
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        environ["PATH_INFO"] = path.removeprefix(prefix)
        environ.pop("REQUEST_URI", None)
        environ.pop("HTTP_RANGE", None)  # nor does it know ranges
        return app(environ, lambda status, headers, *error: start_response(status, change(headers), *error))

    return serve


def read_all(monkeypatch: pytest.MonkeyPatch, endpoint: str, offset: int = 0) -> tuple[ModelSnapshot, list[bytes]]:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    source = open_source("hf://org/model")
    snapshot = source.snapshot()
    contents = []
    for file in snapshot.files:
        with source.open(file, min(offset, file.size_bytes)) as blocks:
            contents.append(b"".join(blocks))
    return snapshot, contents


def test_a_mirror_below_a_path_with_bare_headers_and_no_ranges_gives_the_same(
    start: Start, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bare(headers: Headers) -> Headers:
        kept = [(name, value) for name, value in headers if not name.startswith("X-") and name != "ETag"]
        return [(name, relative(value) if name == "Location" else value) for name, value in kept]

    def relative(location: str) -> str:
        return "/huggingface" + location[location.index("/cdn/") :]

    original = start(application(hub))
    mirror = start(below("/huggingface", application(hub), bare))
    expected = read_all(monkeypatch, original.url, 1)
    assert read_all(monkeypatch, f"{mirror.url}/huggingface/", 1) == expected
    assert expected[1] == [b"}", WEIGHTS[1:]]


def test_a_mirror_that_sends_weights_on_to_its_original_gets_the_token_alone(
    start: Start, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Recorder(application(hub))
    there = start(original).url

    def onwards(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "/resolve/" not in environ["PATH_INFO"]:
            return mirrored(environ, start_response)
        start_response("307 Temporary Redirect", [("Location", there + environ["PATH_INFO"]), ("Content-Length", "0")])
        return []

    mirrored = application(hub)
    mirror = Recorder(onwards)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    _, contents = read_all(monkeypatch, start(mirror).url)
    assert contents == [b"{}", WEIGHTS]
    assert all(request.authorized for request in mirror.requests)
    assert [request.path.split("/")[1] for request in original.requests] == ["org", "org", "cdn"]
    assert not any(request.authorized for request in original.requests)


def test_the_next_page_of_a_listing_is_asked_of_the_mirror_whoever_it_names(
    start: Start, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [f"part-{number:04d}.txt" for number in range(2300)]
    hub.publish("org/model", dict.fromkeys(paths, b"x"))

    def named(headers: Headers) -> Headers:
        return [(name, value.replace(mirror.url, elsewhere)) for name, value in headers]

    original = Recorder(application(hub))
    elsewhere = start(original).url
    mirror = start(below("", application(hub), named))
    monkeypatch.setenv("HF_ENDPOINT", mirror.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert [file.path for file in open_source("hf://org/model").snapshot().files] == paths
    assert original.requests == []


def test_pages_that_go_in_a_circle_are_no_listing(start: Start, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    again = {"Content-Type": "application/json", "Link": '</api?cursor=1>; rel="next"'}
    service = start(Faults(application(hub), Fault.answer("GET", "/tree/", 200, headers=again, body=b"[]", times=9)))
    monkeypatch.setenv("HF_ENDPOINT", service.url)
    with pytest.raises(SourceError, match=f"^{service.address} does not answer as a Hugging Face Hub does$"):
        open_source("hf://org/model").snapshot()


def test_a_listing_without_end_is_not_kept(start: Start, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_DOCUMENT_BYTES", 100)
    monkeypatch.setenv("HF_ENDPOINT", start(application(hub)).url)
    with pytest.raises(SourceError, match=r"does not answer as a Hugging Face Hub does$"):
        open_source("hf://org/model").snapshot()


def test_a_listing_that_breaks_off_is_worth_another_attempt(
    start: Start, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start(Faults(application(hub), Fault.cut_answer("GET", "/tree/", 20)))
    monkeypatch.setenv("HF_ENDPOINT", service.url)
    source = open_source("hf://org/model")
    with pytest.raises(SourceError, match=f"^{service.address} cannot be reached: ") as caught:
        source.snapshot()
    assert caught.value.retryable
    assert len(source.snapshot().files) == 2


def test_a_file_that_comes_by_xet_only_is_told_before_anything_is_read(
    start: Start, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    giant = {"type": "file", "path": "model.safetensors", "size": 401 * 10**9, "oid": "0" * 40}
    listing = json.dumps([giant | {"lfs": {"oid": "0" * 64, "size": giant["size"], "pointerSize": 1}}]).encode()
    faults = Faults(
        application(hub),
        Fault.answer("GET", "/tree/", 200, headers={"Content-Type": "application/json"}, body=listing),
        Fault.answer("GET", "^/cdn/", 400),
    )
    service = start(faults)
    monkeypatch.setenv("HF_ENDPOINT", service.url)
    with pytest.raises(SourceError) as caught:
        open_source("hf://org/model").snapshot()
    assert str(caught.value) == (
        f"{service.address} does not give model.safetensors of org/model over HTTP: it has 401000000000 bytes, "
        "and files above about 400000000000 come by Xet only"
    )
    assert (caught.value.hint, caught.value.retryable) == (
        "Take a model whose file is split, or download it with hf_xet and push the directory (file://).",
        False,
    )


def test_a_refusal_behind_a_renamed_repository_is_the_hubs_own(
    start: Start, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = Fault.answer("GET", "^/api/models/org/model/rev", 307, headers={"Location": "/api/models/org/gone"})
    service = start(Faults(application(hub), moved))
    monkeypatch.setenv("HF_ENDPOINT", service.url)
    with pytest.raises(SourceError) as caught:
        open_source("hf://org/model").snapshot()
    assert str(caught.value) == f"{service.address} has no model org/model, or it is private"
