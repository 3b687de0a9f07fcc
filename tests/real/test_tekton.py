"""What is compiled, on Tekton's real controller, in pods of a restricted user: each construct, and hostile values.

The runs are all begun at once, so that their pods take minutes together, and each test looks at one of them.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from kfp import dsl
from kubernetes import client, config

from modelcar.errors import InvalidInput
from modelcar_pipelines.events import State
from modelcar_pipelines.pipeline_file import PipelineFile
from modelcar_pipelines.tekton.pipeline import make_pipeline
from modelcar_pipelines.tekton.pipeline_run import make_run
from modelcar_pipelines.tekton.runs import GROUP, RUN_LABEL, VERSION
from modelcar_tekton.values import decode
from real import tekton_pipelines
from real.tekton_namespace import VARIABLES, Ended, TektonNamespace, new_namespace
from real_servers import require
from tekton.constructs import compile_one
from tekton.hostile import HOSTILE

pytestmark = [pytest.mark.real, pytest.mark.node, pytest.mark.timeout(1200)]

AT_ONCE = 3
VOLUME = dsl.PipelineConfig(
    workspace=dsl.WorkspaceConfig(
        size="16Mi", kubernetes=dsl.KubernetesWorkspaceConfig(pvcSpecPatch={"accessModes": ["ReadWriteOnce"]})
    )
)
PER_RUN = 10
Runs = dict[str, Future[Ended]]


def hostile_values(count: int) -> list[str]:
    """Texts that shells, Tekton, the kubelet, YAML or JSON would like to change; the same ones each time."""
    chance = random.Random(7)
    parts = [
        *HOSTILE,
        "$(tasks.say.results.Output)",
        "$(workspaces.x.path)",
        "${HOME}",
        "%s",
        "---\n",
        "#",
        ": ",
        "|\n ",
    ]
    joined = ("".join(chance.choices(parts, k=chance.randint(2, 5))) for _ in range(count - len(parts) - 1))
    return [*parts, "$(x)`'\"\n" * 10 + "x" * 100_000, *joined]


VALUES = hostile_values(200)
JSON = [value for value in VALUES if len(value) < 100 and "\x00" not in value]


@pytest.fixture(scope="module")
def namespace() -> Iterator[TektonNamespace]:
    require(*VARIABLES)
    with new_namespace() as made:
        core = client.CoreV1Api(config.new_client_from_config(os.environ["REAL_KUBECONFIG"]))
        core.create_namespaced_secret(made.name, {"metadata": {"name": "a-secret"}, "stringData": {"token": "t$$(x)"}})
        core.create_namespaced_config_map(made.name, {"metadata": {"name": "a-map"}, "data": {"key": "k"}})
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}}
        core.create_namespaced_persistent_volume_claim(made.name, {"metadata": {"name": "a-claim"}, "spec": claim})
        yield made


@pytest.fixture(scope="module")
def runs(namespace: TektonNamespace) -> Iterator[Runs]:
    compiling = threading.Lock()  # kfp defines one pipeline at a time

    def begin(which: str, **parameters: object) -> Ended:
        settings = {"pipeline_config": VOLUME} if which == "retried" else {}
        with compiling:
            file = compile_one(getattr(tekton_pipelines, which), **settings)
        return namespace.run(file, parameters)

    sleeping = compile_one(tekton_pipelines.sleeping)
    lists = {f"hostile {number}": VALUES[number : number + PER_RUN] for number in range(0, len(VALUES), PER_RUN)}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            "types": pool.submit(begin, "types"),
            "taken": pool.submit(begin, "branches"),
            "not taken": pool.submit(begin, "branches", text="stop $", count=1),
            "left out": pool.submit(begin, "branches", text="go", count=2),
            "all well": pool.submit(begin, "failing"),
            "first": pool.submit(begin, "failing", first=1),
            "second": pool.submit(begin, "failing", second=2),
            "third": pool.submit(begin, "failing", third=1),
            "swelling": pool.submit(begin, "swelling"),
            "retried": pool.submit(begin, "retried"),
            "given up": pool.submit(begin, "given_up"),
            "too slow": pool.submit(begin, "too_slow"),
            "surrounded": pool.submit(begin, "surrounded"),
            "first branch": pool.submit(begin, "thirds"),
            "second branch": pool.submit(begin, "thirds", text="b", count=1),
            "third branch": pool.submit(begin, "thirds", text="$", count=1),
            "nested": pool.submit(begin, "nested"),
            "constants": pool.submit(begin, "constants"),
            "drawn": pool.submit(begin, "drawn"),
            "placed": pool.submit(begin, "placed"),
            "cancelled": pool.submit(_run_and_cancel, namespace, sleeping),
            "defaults": pool.submit(begin, "hostile_defaults"),
            "json": pool.submit(begin, "hostile_json", items=JSON, thing={value: [value] for value in JSON}),
            **{
                name: pool.submit(begin, "hostile", **{f"v{number}": value for number, value in enumerate(values)})
                for name, values in lists.items()
            },
        }


def _run_and_cancel(namespace: TektonNamespace, file: PipelineFile) -> Ended:
    """Cancel a run once its task has begun, as `tkn pipelinerun cancel` does."""
    namespace.apply(make_pipeline(file, {}))
    name = namespace.start(make_run(file, {}))
    objects = client.CustomObjectsApi(config.new_client_from_config(os.environ["REAL_KUBECONFIG"]))

    def wait(seconds: float) -> None:
        if any(one.get("status", {}).get("startTime") for one in namespace.list("taskruns", f"{RUN_LABEL}={name}")):
            where = (GROUP, VERSION, namespace.name, "pipelineruns", name)
            objects.patch_namespaced_custom_object(*where, {"spec": {"status": "Cancelled"}})
        time.sleep(seconds)

    return namespace.follow(name, wait=wait)


def test_a_value_of_each_type_goes_from_a_default_through_two_tasks(runs: Runs) -> None:
    ended = runs["types"].result()
    assert ended.outcome.state == "SUCCEEDED", ended.outcome
    signature = inspect.signature(tekton_pipelines.types).parameters
    assert len(signature) == 6
    types = {"text": "STRING", "count": "NUMBER_INTEGER", "share": "NUMBER_DOUBLE", "flag": "BOOLEAN"}
    for name, parameter in signature.items():
        kind = types.get(name, "LIST" if name == "items" else "STRUCT")
        assert decode(ended.result("hand-on-2", name), kind, name) == parameter.default


@pytest.mark.parametrize(
    ("run", "done"), [("taken", {"say", "say-2", "say-3"}), ("not taken", {"say", "say-4"}), ("left out", {"say"})]
)
def test_what_is_not_to_be_done_is_left_out_with_what_waits_for_it(runs: Runs, run: str, done: set[str]) -> None:
    ended = runs[run].result()
    assert ended.outcome.state == "SUCCEEDED", ended.outcome
    assert set(ended.tasks) == done


@pytest.mark.parametrize(
    ("run", "begun", "code", "told"),
    [
        ("all well", ["end", "end-2", "end-3"], 0, "SUCCEEDED"),
        ("first", ["end"], 1, "FAILED"),
        ("second", ["end", "end-2"], 2, "FAILED"),
        ("third", ["end", "end-2", "end-3"], 1, "FAILED"),
    ],
)
def test_whichever_task_fails_nothing_after_it_begins_and_the_last_one_is_told(
    runs: Runs, run: str, begun: list[str], code: int, told: str
) -> None:
    ended = runs[run].result()
    assert ended.outcome.state == told, ended.outcome
    assert sorted(ended.tasks) == [*begun, "last"]
    assert ended.result("last") == told
    [step] = ended.tasks[begun[-1]]["steps"]
    assert step["terminated"]["exitCode"] == code
    assert ended.states[begun[-1]] is (State.FAILED if code else State.SUCCEEDED)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("first branch", {"first", "below zero"}),
        ("second branch", {"second"}),
        ("third branch", {"third"}),
    ],
)
def test_one_of_three_branches_is_taken(runs: Runs, run: str, said: set[str]) -> None:
    ended = runs[run].result()
    assert ended.outcome.state == "SUCCEEDED", ended.outcome
    assert {ended.result(task) for task in ended.tasks} == said


def test_a_nested_pipeline_runs_with_its_default(runs: Runs) -> None:
    ended = runs["nested"].result()
    assert {task: decode(ended.result(task), "STRING", task) for task in ended.tasks} == {
        "say": "by $(default)",
        "say-2": "by $(default)",
    }


def test_constants_of_each_type_arrive_as_they_were(runs: Runs) -> None:
    ended = runs["constants"].result()
    assert {name: ended.result("hand-on", name) for name in ("text", "count", "share", "flag", "items", "thing")} == {
        "text": '"it\'s \\u0024\\u00245"',
        "count": "3",
        "share": "0.5",
        "flag": "true",
        "items": '["\\u0024(x)"]',
        "thing": '{"\\u0024":1}',
    }


def test_a_model_is_told_to_tekton_chains_and_a_page_ends_the_log(namespace: TektonNamespace, runs: Runs) -> None:
    ended = runs["drawn"].result()
    assert ended.result("draw", "note") == '"costs \\u00245"'
    assert ended.outcome.results == {"IMAGE_URL": "registry.example/team/model", "IMAGE_DIGEST": f"sha256:{'a' * 64}"}
    log = namespace.log(f"{RUN_LABEL}={ended.outcome.name}")
    assert log.rstrip().endswith("# A page")


def test_a_pod_is_placed_as_its_task_says(namespace: TektonNamespace, runs: Runs) -> None:
    ended = runs["placed"].result()
    assert ended.result("say") == "placed"
    core = client.CoreV1Api(config.new_client_from_config(os.environ["REAL_KUBECONFIG"]))
    [pod] = core.list_namespaced_pod(namespace.name, label_selector=f"{RUN_LABEL}={ended.outcome.name}").items
    assert pod.spec.node_selector["kubernetes.io/os"] == "linux"
    assert [(one.key, one.toleration_seconds) for one in pod.spec.tolerations if one.key == "slow"] == [("slow", 5)]
    assert [one.name for one in pod.spec.image_pull_secrets] == ["absent"]


def test_results_that_a_pod_has_no_room_for_fail_by_name(runs: Runs) -> None:
    ended = runs["swelling"].result()
    assert ended.outcome.state == "FAILED"
    [note] = ended.outcome.failures
    assert note.step == "swell"
    assert "Output" in note.message


def test_a_task_that_failed_is_tried_again_on_the_same_volume(runs: Runs) -> None:
    ended = runs["retried"].result()
    assert ended.outcome.state == "SUCCEEDED", ended.outcome
    assert ended.result("fail-once") == "the second time"
    assert len(ended.tasks["fail-once"]["retriesStatus"]) == 1


def test_a_task_is_tried_as_often_as_was_asked_for(runs: Runs) -> None:
    ended = runs["given up"].result()
    assert ended.outcome.state == "FAILED"
    assert len(ended.tasks["end"]["retriesStatus"]) == 1


def test_a_task_that_takes_too_long_is_ended_and_the_last_one_is_told(runs: Runs) -> None:
    ended = runs["too slow"].result()
    assert ended.outcome.state == "FAILED"
    assert ended.reason("sleep") == "TaskRunTimeout"
    assert ended.result("last") == "FAILED"


def test_a_run_that_is_cancelled_ends_the_wait(runs: Runs) -> None:
    ended = runs["cancelled"].result()
    assert (ended.outcome.state, ended.outcome.exit_code) == ("CANCELED", 1)


def test_a_pod_has_what_the_namespace_has_and_nothing_else_to_write_to(runs: Runs) -> None:
    ended = runs["surrounded"].result()
    assert ended.outcome.state == "SUCCEEDED", ended.outcome
    seen = decode(ended.result("look-around"), "STRUCT", "Output")
    assert seen["uid"] >= 1_000_000_000
    assert seen["group"] == 0
    assert seen["variables"] == {"COLOUR": "red", "TOKEN": "t$$(x)", "KEY": "k", "ABSENT": "nothing"}
    assert seen["files"] == {"/etc/a-secret/token": "t$$(x)", "/etc/a-map/key": "k", "/etc/absent/token": "nothing"}
    assert seen["writable"] == {"/": False, "/usr": False, "/tmp": True, "/data": True}  # noqa: S108


@pytest.mark.parametrize("number", range(0, len(VALUES), PER_RUN))
def test_hostile_values_arrive_as_they_were(runs: Runs, number: int) -> None:
    ended = runs[f"hostile {number}"].result()
    assert ended.outcome.state == "SUCCEEDED", ended.outcome
    assert digests(ended, "digest-all") == [digest(value) for value in VALUES[number : number + PER_RUN]]


def test_a_value_that_is_too_long_as_text_is_refused_by_name_before_anything_is_sent() -> None:
    file = compile_one(tekton_pipelines.hostile)
    with pytest.raises(InvalidInput, match=r"^the parameter v3 is \d+ bytes as text; 120000 can be handed to a step"):
        make_run(file, {"v3": "$" * 30_000})


def test_hostile_defaults_arrive_as_they_were(runs: Runs) -> None:
    ended = runs["defaults"].result()
    assert ended.outcome.state == "SUCCEEDED", ended.outcome
    defaults = [one.default for one in inspect.signature(tekton_pipelines.hostile_defaults).parameters.values()]
    assert digests(ended, "digest-all") == [digest(value) for value in defaults]


def test_hostile_values_in_a_list_and_an_object_arrive_as_they_were(runs: Runs) -> None:
    ended = runs["json"].result()
    assert ended.outcome.state == "SUCCEEDED", ended.outcome
    sent = (JSON, {value: [value] for value in JSON})
    assert digests(ended, "digest-json") == [digest(json.dumps(one, sort_keys=True)) for one in sent]


def digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def digests(ended: Ended, task: str) -> list[Any]:
    found: list[Any] = decode(ended.result(task), "LIST", "Output")
    return found
