"""What people take instead of `modelcar push`, each as its documentation says; those not installed are left out.

- olot and skopeo: olot appends the files to an OCI layout, one layer each, and skopeo copies the layout to the
  registry, compressing it on the way. So does kubeflow's async-upload job.
- olot and skopeo, digests kept: the same with `--preserve-digests`, by which skopeo does not compress.
- oras-py: the files as an artifact, not as an image, and not in a tar: no pod can serve it from a volume.
- buildah: `FROM scratch`, `COPY`; chroot isolation and the vfs driver, as in a pod without privileges.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from measure import Run, run
from registries import Place

_PYTHON = Path(__file__).parents[1] / ".venv-peers" / "bin" / "python"
"""With olot and oras; `make bench` sets it up."""
_OLOT = _PYTHON.with_name("olot")
_ORAS = """
import sys
from oras.client import OrasClient
target, *files = sys.argv[1:]
OrasClient(insecure=True).push(target=target, files=files, disable_path_validation=True)
"""
_EMPTY_TAR = bytes(10240)
_BUILDAH = "FROM scratch\nCOPY . /models/\n"


class Peers:
    """The peers that are installed; each pushes one model from a directory."""

    def __init__(self, model: Path, scratch: Path) -> None:
        """Look for them.

        Args:
            model: The model's directory.
            scratch: A directory that does not exist; what a peer leaves there is removed after each run.
        """
        self._model, self._scratch = model, scratch
        has_oras = _PYTHON.exists() and subprocess.run([_PYTHON, "-c", "import oras"], check=False).returncode == 0
        self._available = {
            "olot + skopeo": _OLOT.exists() and shutil.which("skopeo") is not None,
            "olot + skopeo, digests kept": _OLOT.exists() and shutil.which("skopeo") is not None,
            "oras-py": has_oras,
            "buildah (vfs)": shutil.which("buildah") is not None,
        }

    @property
    def missing(self) -> list[str]:
        """Those that are not installed."""
        return [name for name, is_there in self._available.items() if not is_there]

    @property
    def names(self) -> list[str]:
        """Those that are."""
        return [name for name, is_there in self._available.items() if is_there]

    def push(self, name: str, place: Place) -> Run:
        """One timed push, all of its commands together."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(parents=True)
        try:
            if name == "oras-py":
                return run([str(_PYTHON), "-c", _ORAS, f"{place.name}:1", *self._files()])
            if name == "buildah (vfs)":
                return run(["sh", "-euc", self._buildah_script(place)], self._buildah_environment())
            return run(["sh", "-euc", self._olot_script(place, keep="kept" in name)])
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _files(self) -> list[str]:
        return sorted(str(path) for path in self._model.iterdir())

    def _olot_script(self, place: Place, *, keep: bool) -> str:
        layout = self._scratch / "layout"
        _write_empty_layout(layout)
        files = " ".join(self._files())
        flags = "--preserve-digests " if keep else ""
        return (
            f"{_OLOT} --root-dir {self._model} {layout} {files}\n"
            f"skopeo copy {flags}--dest-tls-verify=false oci:{layout}:latest docker://{place.name}:1\n"
        )

    def _buildah_script(self, place: Place) -> str:
        file = self._scratch / "Containerfile"
        file.write_text(_BUILDAH)
        return (
            f"buildah bud -q -f {file} -t bench {self._model}\n"
            f"buildah push -q --tls-verify=false bench docker://{place.name}:1\n"
        )

    def _buildah_environment(self) -> Mapping[str, str]:
        storage = self._scratch / "storage.conf"
        storage.write_text(
            f'[storage]\ndriver = "vfs"\ngraphroot = "{self._scratch}/graph"\nrunroot = "{self._scratch}/run"\n'
        )
        return {
            "BUILDAH_ISOLATION": "chroot",
            "STORAGE_DRIVER": "vfs",
            "CONTAINERS_STORAGE_CONF": str(storage),
            "TMPDIR": str(self._scratch),
        }


def _write_empty_layout(layout: Path) -> None:
    """An image with an empty layer, to append to. Source: the OCI image specification, image-layout.md."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    layer = _write_blob(blobs, _EMPTY_TAR, "application/vnd.oci.image.layer.v1.tar")
    rootfs = {"type": "layers", "diff_ids": [layer["digest"]]}
    config = {"architecture": "amd64", "os": "linux", "rootfs": rootfs, "history": [{"created_by": "empty"}]}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _write_blob(blobs, _json(config), "application/vnd.oci.image.config.v1+json"),
        "layers": [layer],
    }
    entry = _write_blob(blobs, _json(manifest), manifest["mediaType"])
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _write_blob(blobs: Path, content: bytes, media_type: object) -> dict[str, object]:
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    os.chmod(blobs / digest, 0o644)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}
