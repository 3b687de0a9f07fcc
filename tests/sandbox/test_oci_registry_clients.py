"""The sandbox's registry beside a real one, and in the hands of programs that others wrote.

The first half runs against Debian's docker-registry as well when REAL_OCI_REGISTRY is its `host:port`; skopeo is used
when it is on PATH, the specification's conformance suite when OCI_CONFORMANCE is the path of its binary (built by
`go build` in `conformance/` of github.com/opencontainers/distribution-spec).
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcar_sandbox.oci_registry import Auth, create_app
from modelcar_sandbox.service import Service
from oci_api import OCI_CONFIG, OciApi, codes, descriptor_of, digest_of, image

CONTENT = os.urandom(3000)
DIGEST = digest_of(CONTENT)
NAMES = ("robot", "secret:of the robot")


@pytest.fixture(params=["sandbox", pytest.param("real", marks=pytest.mark.real)])
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OciApi]:
    if request.param == "sandbox":
        with Service(create_app(tmp_path)) as service, OciApi(service.url) as api:
            yield api
        return
    address = os.environ.get("REAL_OCI_REGISTRY")
    if not address:
        pytest.skip("REAL_OCI_REGISTRY is not set")
    with OciApi(f"http://{address}") as api:
        yield api


@pytest.fixture
def name() -> str:
    """A repository that nobody else uses."""
    return f"tests/{uuid.uuid4().hex}"


def test_both_take_a_blob_in_one_put(api: OciApi, name: str) -> None:
    answer = api.finish(api.begin(name), DIGEST, CONTENT)
    assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (201, DIGEST)
    assert api.call("GET", answer.headers["Location"]).content == CONTENT
    head = api.call("HEAD", f"{name}/blobs/{DIGEST}")
    assert (head.status_code, head.headers["Content-Length"]) == (200, "3000")


def test_both_take_a_blob_in_one_stream(api: OciApi, name: str) -> None:
    patched = api.patch(api.begin(name), iter([CONTENT[:1000], CONTENT[1000:]]))
    assert (patched.status_code, patched.headers["Range"]) == (202, "0-2999")
    assert api.finish(patched.headers["Location"], DIGEST).status_code == 201


def test_both_take_a_blob_in_chunks(api: OciApi, name: str) -> None:
    first = api.patch(api.begin(name), CONTENT[:1000], "0-999")
    assert (first.status_code, first.headers["Range"]) == (202, "0-999")
    status = api.call("GET", first.headers["Location"])
    assert (status.status_code, status.headers["Range"]) == (204, "0-999")
    second = api.patch(status.headers["Location"], CONTENT[1000:], "1000-2999")
    assert api.finish(second.headers["Location"], DIGEST).status_code == 201


def test_both_say_that_an_upload_without_a_byte_has_reached_0_0(api: OciApi, name: str) -> None:
    answer = api.call("POST", f"{name}/blobs/uploads/")
    assert (answer.status_code, answer.headers["Range"]) == (202, "0-0")
    assert answer.headers["Docker-Upload-UUID"] in answer.headers["Location"]


def test_both_refuse_a_wrong_digest_and_end_the_upload(api: OciApi, name: str) -> None:
    location = api.begin(name)
    answer = api.finish(location, digest_of(b"something else"), CONTENT)
    assert (answer.status_code, codes(answer)) == (400, ["DIGEST_INVALID"])
    assert api.finish(location, DIGEST, CONTENT).status_code == 404


def test_both_end_a_cancelled_upload(api: OciApi, name: str) -> None:
    location = api.begin(name)
    assert api.call("DELETE", location).status_code == 204
    assert codes(api.call("GET", location)) == ["BLOB_UPLOAD_UNKNOWN"]


def test_both_mount_and_fall_back(api: OciApi, name: str) -> None:
    api.push_blob(f"{name}/source", CONTENT)
    mounted = api.call("POST", f"{name}/blobs/uploads/?mount={DIGEST}&from={name}/source")
    assert (mounted.status_code, mounted.headers["Docker-Content-Digest"]) == (201, DIGEST)
    assert api.call("GET", mounted.headers["Location"]).content == CONTENT
    assert api.call("POST", f"{name}/blobs/uploads/?mount={DIGEST}&from={name}/nothing").status_code == 202


def test_both_hide_blobs_of_other_repositories(api: OciApi, name: str) -> None:
    api.push_blob(f"{name}/one", CONTENT)
    answer = api.call("GET", f"{name}/two/blobs/{DIGEST}")
    assert (answer.status_code, codes(answer)) == (404, ["BLOB_UNKNOWN"])


def test_both_send_ranges(api: OciApi, name: str) -> None:
    api.push_blob(name, CONTENT)
    answer = api.call("GET", f"{name}/blobs/{DIGEST}", headers={"Range": "bytes=500-1499"})
    assert (answer.status_code, answer.content) == (206, CONTENT[500:1500])
    assert answer.headers["Content-Range"] == "bytes 500-1499/3000"


def test_both_keep_manifests_as_they_came(api: OciApi, name: str) -> None:
    api.push_image(name, "seed")
    content = json.dumps(image(), indent=1).encode() + b"\n"
    answer = api.put_manifest(name, "v1", content)
    assert (answer.status_code, answer.headers["Docker-Content-Digest"]) == (201, digest_of(content))
    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    for reference in ("v1", digest_of(content)):
        assert api.call("GET", f"{name}/manifests/{reference}", headers=accept).content == content
    assert sorted(api.call("GET", f"{name}/tags/list").json()["tags"]) == ["seed", "v1"]


def test_both_refuse_a_manifest_of_unknown_blobs(api: OciApi, name: str) -> None:
    answer = api.put_manifest(name, "v1", image(b"absent"))
    assert (answer.status_code, set(codes(answer))) == (400, {"MANIFEST_BLOB_UNKNOWN"})


@pytest.mark.parametrize("document", [b"{", b"[]"])
def test_both_refuse_a_manifest_that_is_none(api: OciApi, name: str, document: bytes) -> None:
    answer = api.put_manifest(name, "v1", document, media_type="application/vnd.oci.image.manifest.v1+json")
    assert (answer.status_code, codes(answer)) == (400, ["MANIFEST_INVALID"])


def test_both_name_what_they_do_not_know(api: OciApi, name: str) -> None:
    for path, code in ((f"{name}/tags/list", "NAME_UNKNOWN"), (f"{name}/blobs/{DIGEST}", "BLOB_UNKNOWN")):
        answer = api.call("GET", path)
        assert (answer.status_code, codes(answer)) == (404, [code])
    api.push_image(name, "v1")
    for reference in ("v2", digest_of(b"never pushed")):
        answer = api.call("GET", f"{name}/manifests/{reference}")
        assert (answer.status_code, codes(answer)) == (404, ["MANIFEST_UNKNOWN"])


def skopeo(*arguments: str) -> str:
    command = ["skopeo", "--insecure-policy", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """An OCI layout with one image of one file."""
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo is not on PATH")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("models/weights")
        member.size = 200_000
        tar.addfile(member, io.BytesIO(os.urandom(member.size)))
    layer = buffer.getvalue()
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]}}
    ).encode()
    manifest = json.dumps(image(layer, config=descriptor_of(config, OCI_CONFIG))).encode()
    entry = descriptor_of(manifest, "application/vnd.oci.image.manifest.v1+json")
    index = {"schemaVersion": 2, "manifests": [{**entry, "annotations": {"org.opencontainers.image.ref.name": "v1"}}]}
    root = tmp_path / "layout"
    (root / "blobs/sha256").mkdir(parents=True)
    for blob in (layer, config, manifest):
        (root / "blobs/sha256" / digest_of(blob)[7:]).write_bytes(blob)
    (root / "index.json").write_text(json.dumps(index))
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return root


@pytest.mark.parametrize("flow", [None, "basic", "token"])
def test_skopeo_copies_an_image_in_across_and_out_again(layout: Path, tmp_path: Path, flow: str | None) -> None:
    auth = Auth(dict([NAMES]), flow="basic" if flow == "basic" else "token") if flow else None
    to, of, here = (
        [f"--{side}tls-verify=false", *([f"--{side}creds", ":".join(NAMES)] if flow else [])]
        for side in ("dest-", "src-", "")
    )
    with Service(create_app(tmp_path / "registry", auth=auth)) as service:
        source, target = (f"docker://{service.address}/team/{name}:v1" for name in ("one", "two"))
        skopeo("copy", "--preserve-digests", *to, f"oci:{layout}:v1", source)
        skopeo("copy", "--preserve-digests", *of, *to, source, target)
        skopeo("copy", "--preserve-digests", *of, target, f"oci:{tmp_path / 'out'}:v1")
        seen = json.loads(skopeo("inspect", *here, target))
        skopeo("delete", *here, source)
        assert json.loads(skopeo("list-tags", *here, target.removesuffix(":v1")))["Tags"] == ["v1"]
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    assert seen["Digest"] == entry["digest"]
    blobs = {path.name: path.read_bytes() for path in (layout / "blobs/sha256").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "out/blobs/sha256").iterdir()} == blobs


@pytest.mark.parametrize("flow", [None, "basic", "token"])
@pytest.mark.parametrize("version", ["1.1", "dev"])
def test_the_conformance_suite_of_the_specification_passes(tmp_path: Path, flow: str | None, version: str) -> None:
    suite = os.environ.get("OCI_CONFORMANCE")
    if not suite:
        pytest.skip("OCI_CONFORMANCE is not set")
    auth = Auth(dict([NAMES]), flow="basic" if flow == "basic" else "token") if flow else None
    results = tmp_path / "results"
    with Service(create_app(tmp_path / "registry", auth=auth)) as service:
        environment = {
            **os.environ,
            "OCI_REGISTRY": service.address,
            "OCI_TLS": "disabled",
            "OCI_VERSION": version,
            "OCI_RESULTS_DIR": str(results),
            **({"OCI_USERNAME": NAMES[0], "OCI_PASSWORD": NAMES[1]} if flow else {}),
        }
        done = subprocess.run([suite], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    summary = dict(line.strip().replace(".", "").split(":") for line in done.stdout.splitlines() if "....:" in line)
    counts = {key: int(value) for key, value in summary.items() if value.strip().isdigit()}
    assert (done.returncode, counts["FAIL"], counts["Error"], counts["Skip"]) == (0, 0, 0, 0)
    assert counts["Pass"] > 800
