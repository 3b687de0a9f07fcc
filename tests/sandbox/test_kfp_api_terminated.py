"""A run that is terminated ends as FAILED on the real server, which is why it does here."""

from __future__ import annotations

import os
import uuid
import warnings
from pathlib import Path

import pytest

from kfp_server import SPEC


@pytest.mark.real
@pytest.mark.node
def test_the_real_server_ends_a_terminated_run_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = os.environ.get("REAL_KFP_ENDPOINT")
    if not endpoint:
        pytest.skip("REAL_KFP_ENDPOINT is not set")
    if not os.environ.get("REAL_KFP_RUNS"):
        pytest.skip("REAL_KFP_RUNS is not set")
    monkeypatch.setenv("HOME", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # its own, at each construction
        from kfp import Client

        client = Client(host=endpoint)
    package = tmp_path / "hello.yaml"
    package.write_text(SPEC)
    run = client.create_run_from_pipeline_package(str(package), run_name=f"terminated-{uuid.uuid4().hex[:10]}").run_id
    try:
        client.terminate_run(run)
        ended = client.wait_for_run_completion(run, timeout=120, sleep_duration=1)
        states = [entry.state for entry in ended.state_history if entry.state]
        assert (ended.state, states[-1], ended.error) == ("FAILED", "FAILED", None)
        assert {"CANCELED", "CANCELLED"}.isdisjoint(states)
    finally:
        client.delete_run(run)
