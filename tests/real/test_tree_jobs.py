"""What the GitOps tree runs by itself does its work, in pods of a restricted user with the tree's own rights.

The pipeline server is shared with other tests, which may upload the same pipelines meanwhile, and no others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

import pytest

from gitops_tree.tree import Object
from modelcar.errors import InvalidInput
from modelcar_gitops.bootstrap_secrets import BY_HAND, SECRETS, Secret
from modelcar_gitops.secrets import BYTES
from modelcar_pipelines.catalog import PIPELINES
from modelcar_pipelines.connection import Server
from modelcar_pipelines.schedules import list_schedules, unschedule
from modelcar_pipelines.versions import find_pipeline, list_versions
from real.tree_jobs import VARIABLES, Ended, TreeNamespace, tree_namespace
from real_servers import require

pytestmark = [pytest.mark.real, pytest.mark.node, pytest.mark.timeout(900)]

MADE = [one for one in SECRETS if one.made_by != BY_HAND]
UPLOADER = "modelcar-pipelines"
SPEC = """\
pipeline: promote-model
cron: "0 0 1 1 *"
spec:
  model: {source: "hf://sandbox/demo-llama"}
  image: {repository: registry.example/acme/base}
  modelRegistry: {url: "https://registry.example", registeredModel: base}
  inferenceService: {repository: "https://git.example/x.git", path: base.yaml, name: base}
"""
"""A schedule that fires once a year; its run would promote to nowhere."""


@pytest.fixture(scope="module")
def place() -> Iterator[TreeNamespace]:
    require(*VARIABLES)
    with tree_namespace() as made:
        yield made


@pytest.fixture(scope="module")
def jobs(place: TreeNamespace) -> Mapping[str, Object]:
    """The Jobs that make Secrets, by the Secrets' names; what they need is there."""
    names = {one.name: one.made_by.removeprefix("Job ") for one in MADE}
    for kind in ("ServiceAccount", "Role", "RoleBinding"):
        place.create(*place.rendered(kind, *names.values()))
    return {secret: place.rendered("Job", job)[0] for secret, job in names.items()}


@pytest.fixture(scope="module")
def schedule(place: TreeNamespace) -> Iterator[str]:
    """The name of a schedule that the namespace's ConfigMap holds; it is removed from the server at the end."""
    name = f"{place.name}-yearly"
    place.create(*place.rendered("ServiceAccount", UPLOADER))
    place.create(*place.rendered("Role", "modelcar-pipeline-user"))
    place.create(*place.rendered("RoleBinding", "modelcar-pipeline-users"))
    (schedules,) = place.rendered("ConfigMap", "modelcar-schedules")
    place.create({**schedules, "data": {f"{name}.yaml": SPEC}})
    place.add_pipeline_server(f"http://ml-pipeline.{os.environ['REAL_KFP_NAMESPACE']}.svc:8888")
    yield name
    with suppress(InvalidInput):  # it may never have been made
        unschedule(server(), name)


@pytest.fixture(scope="module")
def uploaded(place: TreeNamespace, schedule: str) -> Ended:
    """The first run of what the CronJob starts."""
    return place.run_cron_job(UPLOADER)


def server() -> Server:
    return Server(os.environ["REAL_KFP_ENDPOINT"])


def uploads(ended: Ended) -> list[list[str]]:
    """Name, version and what was done of each pipeline that a log tells of."""
    return [line.split("  ") for line in ended.log.splitlines() if "  " in line]


@pytest.mark.parametrize("secret", MADE, ids=lambda secret: secret.name)
def test_a_job_makes_its_secret_and_another_run_of_it_leaves_that_as_it_is(
    secret: Secret, place: TreeNamespace, jobs: Mapping[str, Object]
) -> None:
    first = place.run(jobs[secret.name])
    assert first == Ended(True, f"{secret.name} in namespace {place.name} was made\n")
    made = place.secret(secret.name)
    _, values = made
    assert set(values) == set(secret.keys)
    assert len({*values.values()}) == len(secret.keys)
    assert {len(value) for value in values.values()} == {BYTES * 4 // 3}

    second = place.run(jobs[secret.name])
    assert second == Ended(True, f"{secret.name} in namespace {place.name} was there\n")
    assert place.secret(secret.name) == made


def test_the_uploader_brings_each_pipeline_in_the_step_image(uploaded: Ended) -> None:
    assert uploaded.succeeded, uploaded.log
    assert [name for name, _, _ in uploads(uploaded)] == list(PIPELINES)
    assert {what for _, _, what in uploads(uploaded)} <= {"uploaded", "is the latest already"}
    for name, version, _ in uploads(uploaded):
        pipeline_id = find_pipeline(server(), name)
        assert pipeline_id is not None
        assert version in {one.name for one in list_versions(server(), pipeline_id)}


def test_the_uploader_makes_the_schedules_of_the_config_map(uploaded: Ended, schedule: str) -> None:
    assert uploaded.succeeded, uploaded.log
    assert uploaded.log.splitlines()[-1] == f"{schedule}: created"
    (made,) = (one for one in list_schedules(server()) if one.name == schedule)
    assert (made.pipeline, made.paused) == ("promote-model", False)


def test_the_uploader_changes_nothing_when_git_has_not_changed(
    uploaded: Ended, place: TreeNamespace, schedule: str
) -> None:
    assert uploaded.succeeded, uploaded.log
    again = place.run_cron_job(UPLOADER)
    assert again.succeeded, again.log
    assert {what for _, _, what in uploads(again)} == {"is the latest already"}
    assert again.log.splitlines()[-1] == f"{schedule}: unchanged"
