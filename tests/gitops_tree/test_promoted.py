"""The tree before and after promotions of both its models, in the sandbox's repository: the checks hold all along."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitops_tree.run import find_problems
from gitops_tree.tree import APPLICATION, Object, Tree
from modelcar.distribution.client import Access
from modelcar.promotion import promote
from modelcar.spec import parse_spec
from modelcar_gitops.served_model import IMAGE_REGISTRY
from modelcar_gitops.tree import PROMOTIONS as SPECS
from modelcar_gitops.tree import SERVED
from modelcar_sandbox.demo_model import write_demo_model
from modelcar_sandbox.git_tree import BRANCH
from modelcar_sandbox.sandbox import Sandbox

MODELS = {
    "granite-3-3-2b-instruct": "ibm-granite/granite-3.3-2b-instruct",
    "mistral-small-24b-w4a16": "RedHatAI/Mistral-Small-24B-Instruct-2501-quantized.w4a16",
}
"""Our InferenceServices, and the models of the Hub in whose place the sandbox has the demo model."""


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Where the Hub has both, and the tree names the registry that is there in place of the cluster's own."""
    directory = tmp_path_factory.mktemp("promoted")
    with Sandbox(directory / "sandbox") as running:
        for variant, model in enumerate(MODELS.values(), start=1):
            write_demo_model(directory / model, variant=variant)
            running.hub.publish(model, directory / model)
        clone(running, work := directory / "work")
        for path in (work / one for name in MODELS for one in (SERVED / f"{name}.yaml", SPECS / f"{name}.yaml")):
            path.write_text(path.read_text().replace(f"{IMAGE_REGISTRY}/", f"{running.registry_address}/"))
        git(work, "commit", "--quiet", "--all", "--message", "Push to the sandbox's registry")
        git(work, "push", "--quiet")
        yield running


def git(work: Path, *words: str) -> None:
    subprocess.run(["git", "-c", "user.name=dev", "-c", "user.email=dev@example", *words], cwd=work, check=True)


def clone(sandbox: Sandbox, where: Path) -> None:
    git(where.parent, "clone", "--quiet", "--branch", BRANCH, sandbox.git_url, str(where))


def checked_out(sandbox: Sandbox, where: Path) -> Tree:
    """The repository as it is now."""
    clone(sandbox, where)
    return Tree.load(where)


def objects(tree: Tree) -> dict[tuple[str, str], Object]:
    return {(one["kind"], one["metadata"]["name"]): one for one in tree.rendered[APPLICATION]}


def test_each_promotion_changes_its_model_alone_and_the_checks_hold_before_and_after(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    before = checked_out(sandbox, tmp_path / "before")
    assert find_problems(before) == {}

    for service in MODELS:
        spec = parse_spec(before.files[f"{SPECS.as_posix()}/{service}.yaml"], name=service, env=sandbox.environment)
        pushed = promote(spec, access=Access(plain_http=True)).push
        after = checked_out(sandbox, tmp_path / service)

        was, now = objects(before), objects(after)
        assert [key for key in now if now[key] != was[key]] == [("InferenceService", service)]
        assert list(now) == list(was)
        one = now["InferenceService", service]
        assert one["metadata"]["annotations"]["serving.kserve.io/stop"] == "false"
        assert one["spec"]["predictor"]["model"]["storageUri"] == f"oci://{pushed.image}"
        assert find_problems(after) == {}
        before = after
