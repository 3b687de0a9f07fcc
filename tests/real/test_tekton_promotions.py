"""Promotions on Tekton's real controller: twice, in vain, by the clock, and by a webhook of the Hub."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from components.inputs import COMMIT_HASH
from modelcar.quantities import format_bytes
from modelcar_sandbox.sandbox import DEMO_MODEL
from modelcar_tekton.values import encode
from real.place import VARIABLES, RealPlace, real_place
from real.tekton_namespace import COMPILED, TektonNamespace, new_namespace
from real.tekton_namespace import VARIABLES as TEKTON_VARIABLES
from real_servers import require
from tekton.hub_webhook import make_webhook

pytestmark = [pytest.mark.real, pytest.mark.node, pytest.mark.timeout(1200)]

COMMAND = str(Path(sys.executable).parent / "modelcar")
SERVICES = ("alpha", "beta", "gamma", "delta")
HOSTILE = 'costs $$5 or $(params.spec), says `it\'s` {{$}} "$(HOME)"'
WEBHOOK = make_webhook(DEMO_MODEL, COMMIT_HASH)


@pytest.fixture(scope="module")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TektonNamespace]:
    require(*VARIABLES, *TEKTON_VARIABLES)
    with new_namespace() as made:
        made.apply_compiled(tmp_path_factory.mktemp("overlay"))
        yield made


@pytest.fixture(scope="module")
def place(namespace: TektonNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPlace]:
    with real_place(tmp_path_factory.mktemp("place"), SERVICES, namespace.name) as made:
        yield made


def run(namespace: TektonNamespace, spec: Path) -> subprocess.CompletedProcess[str]:
    words = ["pipeline", "run", "promote-model", "--tekton", "--namespace", namespace.name, "--wait"]
    environment = {**os.environ, "KUBECONFIG": os.environ["REAL_KUBECONFIG"]}
    return subprocess.run(
        [COMMAND, *words, "--spec", str(spec)], env=environment, capture_output=True, text=True, timeout=900
    )


def test_a_promotion_that_was_made_is_not_made_again(
    namespace: TektonNamespace, place: RealPlace, tmp_path: Path
) -> None:
    (tmp_path / "alpha.yaml").write_text(place.spec("alpha"), encoding="utf-8")
    first = run(namespace, tmp_path / "alpha.yaml")
    assert first.returncode == 0, first.stderr
    end = place.end("alpha")
    again = run(namespace, tmp_path / "alpha.yaml")
    assert again.returncode == 0, again.stderr
    report = f"tekton.dev/pipelineRun={again.stderr.partition(' ')[0]},tekton.dev/pipelineTask=report-promotion"
    nothing = format_bytes(0)
    assert f"{nothing} read, {nothing} sent, " in namespace.log(report)
    assert place.end("alpha") == end
    assert len(place.commits("alpha")) == 2


def test_a_promotion_that_is_held_says_so(namespace: TektonNamespace, place: RealPlace, tmp_path: Path) -> None:
    (tmp_path / "beta.yaml").write_text(place.spec("beta", "hold: frozen until Monday\n"), encoding="utf-8")
    done = run(namespace, tmp_path / "beta.yaml")
    assert done.returncode == 2, done.stderr
    assert "frozen until Monday" in done.stderr
    assert len(place.commits("beta")) == 1


def test_a_model_that_is_not_there_is_told_with_the_way_out(
    namespace: TektonNamespace, place: RealPlace, tmp_path: Path
) -> None:
    (tmp_path / "beta.yaml").write_text(place.spec("beta", source="hf://sandbox/never"), encoding="utf-8")
    done = run(namespace, tmp_path / "beta.yaml")
    assert done.returncode == 2, done.stderr
    assert re.search(r"^Resolve: \S+ has no model sandbox/never, or it is private$", done.stderr, re.MULTILINE)
    assert "  Check the name; if the model is private, set HF_TOKEN" in done.stderr
    name = done.stderr.partition(" ")[0]
    last = namespace.log(f"tekton.dev/pipelineRun={name},tekton.dev/pipelineTask=report-failure")
    assert "has no model sandbox/never" in last
    assert "Check the name; if the model is private" in last


def test_the_cron_jobs_job_starts_a_promotion(namespace: TektonNamespace, place: RealPlace, tmp_path: Path) -> None:
    namespace.apply_compiled(tmp_path, "schedule")
    api = config.new_client_from_config(os.environ["REAL_KUBECONFIG"])
    text = _describe(place.spec("gamma"))
    spec = {"metadata": {"name": "modelcar-promotion"}, "data": {"promotion.yaml": text}}
    client.CoreV1Api(api).create_namespaced_config_map(namespace.name, spec)
    before = {one["metadata"]["name"] for one in namespace.list("pipelineruns")}
    batch = client.BatchV1Api(api)
    made = batch.read_namespaced_cron_job("modelcar-schedule", namespace.name).spec.job_template
    batch.create_namespaced_job(namespace.name, {"metadata": {"name": "by-hand"}, "spec": made.spec})
    [name] = _wait_for_job(batch, namespace, before)
    ended = namespace.follow(name)
    assert ended.outcome.state == "SUCCEEDED", ended.outcome
    assert ended.outcome.results["commit"] == place.commits("gamma")[0]["sha"]
    [version] = place.end("gamma")["versions"]
    assert version["description"] == HOSTILE
    assert len(place.commits("gamma")) == 2


def _wait_for_job(batch: client.BatchV1Api, namespace: TektonNamespace, before: set[str]) -> set[str]:
    """The runs that were begun until the job had ended."""
    while True:
        status = batch.read_namespaced_job("by-hand", namespace.name).status
        assert not status.failed, namespace.log("job-name=by-hand")
        if status.succeeded:
            return {one["metadata"]["name"] for one in namespace.list("pipelineruns")} - before
        time.sleep(1)  # between looks at the server


def test_the_template_that_a_webhook_of_the_hub_fills_starts_a_promotion(
    namespace: TektonNamespace, place: RealPlace, tmp_path: Path
) -> None:
    namespace.apply_compiled(tmp_path, "trigger")
    objects = client.CustomObjectsApi(config.new_client_from_config(os.environ["REAL_KUBECONFIG"]))
    where = ("triggers.tekton.dev", "v1beta1", namespace.name)
    binding = objects.get_namespaced_custom_object(*where, "triggerbindings", "modelcar-hub")
    template = objects.get_namespaced_custom_object(*where, "triggertemplates", "modelcar-hub")
    [resource] = template["spec"]["resourcetemplates"]
    values = {one["name"]: _look_up(one["value"]) for one in binding["spec"]["params"]}
    assert set(values) == {one["name"] for one in template["spec"]["params"]}
    for parameter in resource["spec"]["params"]:
        parameter["value"] = re.sub(r"\$\(tt\.params\.([a-z]+)\)", lambda found: values[found[1]], parameter["value"])
        if parameter["name"] == "spec":
            parameter["value"] = encode(_describe(place.spec("delta")), "the spec")
    ended = namespace.follow(namespace.start(resource))
    assert ended.outcome.state == "SUCCEEDED", ended.outcome
    assert f"Model-Commit: {COMMIT_HASH}" in place.commits("delta")[0]["commit"]["message"]
    [version] = place.end("delta")["versions"]
    assert version["description"] == HOSTILE


def _describe(spec: str) -> str:
    """The spec, with a description that Tekton, the kubelet and a shell would each read in a way of its own."""
    return spec.replace("  registeredModel:", f"  description: {json.dumps(HOSTILE)}\n  registeredModel:")


@pytest.mark.parametrize("sample", sorted((COMPILED / "samples").iterdir()), ids=lambda path: path.stem)
def test_the_cluster_takes_the_sample_runs(namespace: TektonNamespace, sample: Path) -> None:
    assert namespace.would_create(sample).startswith("pipelinerun.tekton.dev/promote-model")


def _look_up(expression: str) -> str:
    """What `$(body.…)` of a binding finds in the webhook."""
    found: Any = WEBHOOK
    for key in expression.removeprefix("$(body.").removesuffix(")").split("."):
        found = found[key]
    return str(found)
