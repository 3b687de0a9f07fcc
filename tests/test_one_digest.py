"""A digest is a function of content: the same model gives the same image everywhere.

The golden digest below holds on every Python and every machine. It may change only together with the layer format
version; then users' images change too.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelcar_sandbox.demo_model import write_demo_model
from modelcar_sandbox.hub import Hub, create_app
from modelcar_sandbox.service import Service
from object_store_service import RunningStore, serve_store

GOLDEN = "sha256:dc41287742a30eae7a71ee32d5e0086370d977d6250af49ecd13fa4b43a34aaf"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model, with names whose order depends on who sorts them."""
    directory = tmp_path_factory.mktemp("model")
    write_demo_model(directory)
    for name in ("Zebra.txt", "apple.txt", "Äpfel/ß.txt", "äpfel/é.txt", "apple-pie.txt", "apple/pie.txt"):
        path = directory / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n", encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def hub_url(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("hub")
    Hub(directory).publish("acme/model", model)
    with Service(create_app(directory)) as service:
        yield service.url


@pytest.fixture(scope="module")
def store(model: Path) -> Iterator[RunningStore]:
    with serve_store() as running:
        running.put(
            {path.relative_to(model).as_posix(): path.read_bytes() for path in model.rglob("*.*")}, "acme/model/"
        )
        yield running


def _digest(source: str, tmp_path: Path, **environment: str) -> str:
    """Push with the command, in a process of its own, into a layout directory."""
    program = [sys.executable, "-c", "from modelcar.cli import main; main()"]
    command = [*program, "push", source, f"oci-layout:{tmp_path / 'layout'}:1", "--base-image", "scratch", "--json"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    digest: str = json.loads(done.stdout)["digest"]
    return digest


def _copy(model: Path, copy: Path, *, seed: int) -> Path:
    """A copy with other times, other modes, and files made in another order."""
    chance = random.Random(seed)
    files = [path for path in model.rglob("*") if path.is_file()]
    chance.shuffle(files)
    for file in files:
        target = copy / file.relative_to(model)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
        target.chmod(chance.choice([0o600, 0o644, 0o755, 0o777]))
        os.utime(target, (chance.randrange(1 << 30), chance.randrange(1 << 30)))
    for directory in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        directory.chmod(chance.choice([0o700, 0o755]))
    return copy


def test_a_directory_gives_the_golden_digest(model: Path, tmp_path: Path) -> None:
    assert _digest(model.as_uri(), tmp_path) == GOLDEN


def test_a_hub_gives_the_golden_digest(hub_url: str, tmp_path: Path) -> None:
    assert _digest("hf://acme/model", tmp_path, HF_ENDPOINT=hub_url) == GOLDEN


def test_a_bucket_gives_the_golden_digest(store: RunningStore, tmp_path: Path) -> None:
    assert _digest(f"s3://{store.bucket}/acme/model", tmp_path, **store.environment) == GOLDEN


def test_a_download_from_a_hub_gives_the_golden_digest(hub_url: str, tmp_path: Path) -> None:
    environment = os.environ | {"HF_ENDPOINT": hub_url, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    program = [sys.executable, "-c", "from modelcar.cli import main; main()"]
    subprocess.run([*program, "download", "hf://acme/model", str(tmp_path / "copy")], env=environment, check=True)

    assert _digest((tmp_path / "copy").as_uri(), tmp_path) == GOLDEN


@pytest.mark.parametrize("seed", [1, 2])
def test_other_times_modes_and_order_give_the_golden_digest(model: Path, tmp_path: Path, seed: int) -> None:
    assert _digest(_copy(model, tmp_path / "copy", seed=seed).as_uri(), tmp_path) == GOLDEN


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_other_owners_give_the_golden_digest(model: Path, tmp_path: Path) -> None:
    copy = _copy(model, tmp_path / "copy", seed=3)
    for number, path in enumerate(copy.rglob("*")):
        os.chown(path, 1000 + number, 2000 + number)

    assert _digest(copy.as_uri(), tmp_path) == GOLDEN


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8", "tr_TR.UTF-8", "de_DE.ISO-8859-1"])
def test_any_locale_gives_the_golden_digest(model: Path, tmp_path: Path, locale: str) -> None:
    digest = _digest(model.as_uri(), tmp_path, LC_ALL=locale, PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", TZ="Asia/Tokyo")

    assert digest == GOLDEN


def test_another_platform_is_another_image(model: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from modelcar.cli import main; main()"]
    command = [*program, "push", model.as_uri(), f"oci-layout:{tmp_path / 'layout'}:1", "--base-image", "scratch"]
    done = subprocess.run([*command, "--platform", "linux/arm64", "--json"], capture_output=True, check=True)

    assert json.loads(done.stdout)["digest"] != GOLDEN


def test_an_index_of_two_platforms_names_the_golden_image(model: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from modelcar.cli import main; main()"]
    command = [*program, "push", model.as_uri(), f"oci-layout:{tmp_path / 'layout'}:1", "--base-image", "scratch"]
    both = ["--platform", "linux/arm64", "--platform", "linux/amd64"]
    done = subprocess.run([*command, *both, "--json"], capture_output=True, check=True)

    pushed = json.loads(done.stdout)
    assert list(pushed["platforms"]) == ["linux/amd64", "linux/arm64"]
    assert pushed["platforms"]["linux/amd64"] == GOLDEN
    assert pushed["digest"] not in pushed["platforms"].values()
