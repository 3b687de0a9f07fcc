"""Each component by itself, under kfp.local: what it is given, and all that it leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components.alone import Alone
from components.inputs import (
    COMMIT_HASH,
    DATA_COMMIT,
    DIGEST,
    SOURCE,
    TRAINING,
    patch_arguments,
    publish_data,
    push_image,
    serving,
)
from modelcar.steps.ended import EVENTS
from modelcar_sandbox.demo_model import write_demo_model
from modelcar_sandbox.sandbox import DEMO_DATA
from promotion.place import PLACEHOLDER, Place
from promotion.services import Services

RECIPE_KEY = "a" * 64


def record(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the component told the report, but how long it took."""
    told: dict[str, Any] = json.loads(outputs["record"])
    assert told.pop("seconds") >= 0
    return told


def parameters(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs that are values, but the record."""
    return {name: value for name, value in outputs.items() if isinstance(value, str | bool) and name != "record"}


def read(outputs: Mapping[str, Any], name: str) -> str:
    """An artifact's file."""
    return Path(outputs[name].path).read_text(encoding="utf-8")


def files(directory: Path) -> dict[str, bytes]:
    """A model's files; a hidden directory says what was downloaded."""
    found = (path for path in directory.rglob("*") if path.is_file() and ".modelcar" not in path.parts)
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


def test_resolve_model(alone: Alone, sandbox_place: Place, services: Services) -> None:
    ended = alone.run("resolve_model", spec=sandbox_place.spec_text(), revision="main")
    assert parameters(ended.outputs) == {
        "proceed": True,
        "source": SOURCE,
        "revision": "main",
        "commit_hash": COMMIT_HASH,
        "serving": serving(sandbox_place),
    }
    assert record(ended.outputs) == {"files": 10, "size_bytes": 8_811_609}
    assert [r for r in services.hub.recorder.requests if "/resolve/" in r.path] == []


def test_download_model(alone: Alone, tmp_path: Path) -> None:
    ended = alone.run("download_model", source=SOURCE, commit_hash=COMMIT_HASH, directory=str(tmp_path / "volume"))
    assert parameters(ended.outputs) == {"directory": (tmp_path / "volume").as_uri()}
    assert record(ended.outputs) == {"bytes_read": 8_811_609, "bytes_reused": 0}
    write_demo_model(tmp_path / "model")
    assert files(tmp_path / "volume") == files(tmp_path / "model")


def test_build_and_push_modelcar(alone: Alone, sandbox_place: Place) -> None:
    ended = alone.run("build_and_push_modelcar", source=SOURCE, commit_hash=COMMIT_HASH, spec=sandbox_place.spec_text())
    repository = f"{sandbox_place.registry}/models/demo-llama"
    assert parameters(ended.outputs) == {"image": f"{repository}@{DIGEST}"}
    assert record(ended.outputs) == {"bytes_read": 8_811_609, "bytes_uploaded": 8_835_423, "reused": "10000"}
    assert ended.outputs["modelcar"].uri == f"oci://{repository}@{DIGEST}"
    assert ended.outputs["modelcar"].metadata["commit_hash"] == COMMIT_HASH
    assert ended.outputs["transfer"].metadata["size_bytes"] == 8_836_096


def test_register_model(alone: Alone, sandbox_place: Place) -> None:
    image = push_image(sandbox_place)
    ended = alone.run(
        "register_model",
        image=image,
        source=SOURCE,
        spec=sandbox_place.spec_text(),
        revision="main",
        commit_hash=COMMIT_HASH,
    )
    [version] = sandbox_place.versions()
    [artifact] = sandbox_place.artifacts(version["id"])
    assert parameters(ended.outputs) == {
        "registered_model": "demo-llama",
        "version": "785dfbb8b1e9",
        "registered_model_id": version["registeredModelId"],
        "model_version_id": version["id"],
    }
    assert (artifact["uri"], artifact["state"]) == (f"oci://{image}", "LIVE")
    assert record(ended.outputs) == {
        "artifact_id": artifact["id"],
        "created": ["registered_model", "model_version", "model_artifact"],
    }


def test_patch_inference_service(alone: Alone, sandbox_place: Place) -> None:
    image = push_image(sandbox_place)
    ended = alone.run("patch_inference_service", **patch_arguments(sandbox_place, image))
    [commit, _] = sandbox_place.commits()
    assert parameters(ended.outputs) == {"commit": commit}
    assert record(ended.outputs)["changed"] is True
    assert f"storageUri: oci://{image}\n".encode() in sandbox_place.manifest()
    assert b'registered-model-id: "11"' in sandbox_place.manifest()


def test_report_promotion(alone: Alone, sandbox_place: Place) -> None:
    done = sandbox_place.promote()
    ended = alone.run(
        "report_promotion",
        image=done.push.image,
        source=SOURCE,
        registered_model="demo-llama",
        version="785dfbb8b1e9",
        model_version_id=done.register.model_version_id,
        spec=sandbox_place.spec_text(),
        commit_hash=COMMIT_HASH,
        commit=done.patch.commit or "",
        resolve_record='{"files":7,"size_bytes":8811609,"seconds":0.1}',
        push_record='{"bytes_read":8811609,"bytes_uploaded":8835423,"reused":"10000","seconds":0.2}',
        register_record='{"artifact_id":"1","created":["model version"],"seconds":0.3}',
        patch_record='{"changed":true,"promotion_key":"k","seconds":0.4}',
    )
    short = (done.patch.commit or "")[:12]
    for name in ("page", "summary"):
        text = read(ended.outputs, name)
        assert [part for part in (DIGEST, COMMIT_HASH[:12], short, PLACEHOLDER) if part not in text] == []


def test_report_skipped(alone: Alone) -> None:
    ended = alone.run("report_skipped", resolve_record='{"skipped":"nothing is new","seconds":0.5}')
    assert "nothing is new" in read(ended.outputs, "page")
    assert "nothing is new" in read(ended.outputs, "summary")


def test_report_failure(alone: Alone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An exit handler's status is filled in by what runs it, so a pipeline has to stand around this one.
    from components.exit_handler import failing

    note = (
        'Error: the registry is full\\n-> Delete images.\\nmodelcar step \\"Build and push\\" ended with exit code 1.'
    )
    event = '{"at":"2026-11-25T12:00:0%dZ","event":"task","task":"build-and-push-modelcar","path":"p","state":"%s",'
    lines = [event % (0, "RUNNING") + '"exit_code":null,"message":""}', event % (2, "FAILED") + '"exit_code":1,']
    (tmp_path / "events").write_text("\n".join(lines) + f'"message":"{note}"}}\n')
    monkeypatch.setenv(EVENTS, str(tmp_path / "events"))
    alone.run_function(failing)
    [summary] = tmp_path.rglob("summary")
    text = summary.read_text()
    assert [
        part for part in ("Build and push failed", "the registry is full", "Delete images.") if part not in text
    ] == []


def test_resolve_training(alone: Alone, sandbox_place: Place, services: Services) -> None:
    data_commit = publish_data(services)
    ended = alone.run("resolve_training", step_image="quay.io/team/step:1", spec=sandbox_place.spec_text() + TRAINING)
    assert parameters(ended.outputs) == {
        "action": "train",
        "source": SOURCE,
        "revision": "main",
        "commit_hash": COMMIT_HASH,
        "data_commit": data_commit,
        "recipe_key": "50611062d933e033d355047eed960bdf263317629a2a16732e5b9c06daf4b724",
        "trainer_image": "quay.io/team/step:1",
        "image": "",
        "serving": serving(sandbox_place),
    }


def test_retrain_model(alone: Alone, sandbox_place: Place, services: Services, tmp_path: Path) -> None:
    ended = alone.run(
        "retrain_model",
        source=SOURCE,
        recipe_key=RECIPE_KEY,
        directory=str(tmp_path / "volume"),
        spec=sandbox_place.spec_text() + TRAINING,
        commit_hash=COMMIT_HASH,
        data_commit=publish_data(services),
    )
    trained = tmp_path / "volume" / "trained"
    assert parameters(ended.outputs) == {
        "directory": (trained / "model").as_uri(),
        "metrics": str(trained / "metrics.json"),
    }
    assert ended.outputs["measured"].metadata == {"loss": 1.5, "lines": 403.0}
    assert record(ended.outputs) == {
        "trained": True,
        "metrics": {"loss": 1.5, "lines": 403.0},
        "data": f"hf://{DEMO_DATA}@{DATA_COMMIT}",
    }
    assert (trained / "model" / "config.json").exists()


def test_check_metrics(alone: Alone, sandbox_place: Place, tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"loss": 1.5}')
    spec = sandbox_place.spec_text() + TRAINING
    assert alone.run("check_metrics", spec=spec, metrics=str(tmp_path / "metrics.json")).note is None
