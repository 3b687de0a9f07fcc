"""What a compiled pipeline becomes on Tekton, construct by construct, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from kfp import dsl

from modelcar.errors import InvalidInput
from modelcar_pipelines.tekton.pipeline import make_pipeline
from modelcar_pipelines.tekton.pipeline_run import make_run
from tekton import constructs
from tekton.constructs import compile_one

WORKSPACE = dsl.PipelineConfig(
    workspace=dsl.WorkspaceConfig(
        size="2Gi", kubernetes=dsl.KubernetesWorkspaceConfig(pvcSpecPatch={"accessModes": ["ReadWriteOnce"]})
    )
)


def tasks(name: str, **settings: Any) -> dict[str, dict[str, Any]]:
    """Tasks by name, those of `finally` included."""
    spec = make_pipeline(compile_one(getattr(constructs, name), **settings), {})["spec"]
    return {task["name"]: task for task in (*spec["tasks"], *spec.get("finally", ()))}


def step(task: dict[str, Any]) -> dict[str, Any]:
    (only,) = task["taskSpec"]["steps"]
    found: dict[str, Any] = only
    return found


def env(task: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in step(task)["env"]}


def test_parameters_are_strings_with_their_defaults_as_texts() -> None:
    spec = make_pipeline(compile_one(constructs.types), {})["spec"]
    assert {one["name"]: (one["type"], one["default"]) for one in spec["params"]} == {
        "text": ("string", "a"),
        "count": ("string", "3"),
        "share": ("string", "0.5"),
        "flag": ("string", "true"),
        "items": ("string", '["\\u0024"]'),
        "thing": ("string", '{"a":1}'),
    }


def test_a_constant_is_the_text_of_its_value() -> None:
    assert env(tasks("constants")["consume-all"]) == {
        "input_text": '"costs \\u00245"',
        "input_count": "3",
        "input_share": "0.5",
        "input_flag": "true",
        "input_items": '["\\u0024"]',
        "input_thing": '{"a":1}',
    }


def test_a_task_takes_what_another_gives_and_so_waits_for_it() -> None:
    consume = tasks("chain")["consume"]
    assert consume["params"] == [{"name": "text", "value": "$(tasks.produce.results.text)"}]
    assert consume["taskSpec"]["params"] == [{"name": "text", "type": "string"}]
    assert env(consume) == {"input_text": "$(params.text)"}
    assert "runAfter" not in consume
    assert consume["displayName"] == "Consume it"


def test_a_task_gives_its_outputs_and_why_it_failed() -> None:
    assert [one["name"] for one in tasks("chain")["produce"]["taskSpec"]["results"]] == [
        "count",
        "flag",
        "text",
        "failure",
    ]


def test_a_task_that_takes_nothing_of_another_waits_by_word() -> None:
    assert tasks("ordered")["consume"]["runAfter"] == ["produce"]


def test_conditions_are_those_of_each_task_in_the_group() -> None:
    found = tasks("conditions")
    assert found["consume"]["when"] == [
        {"input": "$(tasks.produce.results.flag)", "operator": "in", "values": ["true"]},
        {"input": "$(tasks.produce.results.text)", "operator": "notin", "values": ['"stop \\u0024"']},
    ]
    assert found["consume-2"]["when"] == [{"input": "$(params.count)", "operator": "in", "values": ["1"]}]
    assert found["consume-3"]["when"] == [{"input": "$(params.count)", "operator": "notin", "values": ["1"]}]


def test_the_exit_handlers_task_runs_last_and_is_told_how_the_others_ended() -> None:
    spec = make_pipeline(compile_one(constructs.handled), {})["spec"]
    (last,) = spec["finally"]
    assert [task["name"] for task in spec["tasks"]] == ["produce"]
    assert last["params"] == [
        {"name": "status", "value": "$(tasks.status)"},
        {"name": "pipeline-run", "value": "$(context.pipelineRun.name)"},
    ]
    assert env(last) == {"input_status": "$(params.status)", "PIPELINE_RUN": "$(params.pipeline-run)"}
    assert "runAfter" not in last


def test_what_a_task_needs_of_the_cluster_is_there() -> None:
    task = tasks("surrounded")["consume"]
    assert (task["retries"], task["timeout"]) == (3, "1h2m3s")
    assert step(task)["computeResources"] == {
        "requests": {"cpu": "100m", "memory": "1Gi"},
        "limits": {"cpu": "2", "memory": "2Gi", "nvidia.com/gpu": "1"},
    }
    assert env(task) == {
        "input_text": "a",
        "COLOUR": "red",
        "KEY": {"configMapKeyRef": {"name": "a-map", "key": "key"}},
        "TOKEN": {"secretKeyRef": {"name": "a-secret", "key": "token", "optional": True}},
    }
    assert {one["name"]: one for one in task["taskSpec"]["volumes"]} == {
        "a-claim": {"name": "a-claim", "persistentVolumeClaim": {"claimName": "a-claim"}},
        "b-map": {"name": "b-map", "configMap": {"name": "b-map"}},
        "b-secret": {"name": "b-secret", "secret": {"secretName": "b-secret", "optional": True}},
        "tmp": {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
    }
    assert {one["name"]: (one["mountPath"], one.get("readOnly", False)) for one in step(task)["volumeMounts"]} == {
        "a-claim": ("/data", False),
        "b-map": ("/etc/c", True),
        "b-secret": ("/etc/b", True),
        "tmp": ("/tmp", False),  # noqa: S108
    }


def test_what_only_a_run_can_say_is_in_the_run() -> None:
    spec = make_run(compile_one(constructs.surrounded), {})["spec"]
    assert spec["taskRunTemplate"]["podTemplate"]["imagePullSecrets"] == [{"name": "pull"}]
    (special,) = spec["taskRunSpecs"]
    assert special["pipelineTaskName"] == "consume"
    assert special["podTemplate"]["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]
    assert special["podTemplate"]["nodeSelector"] == {"disk": "fast"}
    assert special["podTemplate"]["imagePullSecrets"] == [{"name": "pull"}]
    assert spec["timeouts"] == {"pipeline": "4h8m12s"}


def test_a_step_has_one_place_to_write_to_also_when_its_pipeline_does_not_say_so() -> None:
    task = tasks("chain")["consume"]
    assert task["taskSpec"]["volumes"] == [{"name": "tmp", "emptyDir": {}}]
    assert step(task)["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108


@pytest.mark.parametrize("name", ["chain", "conditions", "handled", "surrounded"])
def test_no_step_has_a_privilege(name: str) -> None:
    for task in tasks(name).values():
        assert step(task)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }


def test_a_pipeline_whose_retries_wait_says_that_tekton_does_not() -> None:
    told = "A task that fails is tried again at once: Tekton knows no pause before that."
    assert make_pipeline(compile_one(constructs.surrounded), {})["spec"]["description"].endswith(told)
    assert told not in make_pipeline(compile_one(constructs.chain), {})["spec"]["description"]


def test_tasks_that_take_something_of_one_that_knows_a_path_in_the_volume_have_the_volume_too() -> None:
    found = tasks("worked_on", pipeline_config=WORKSPACE)
    assert {name: "workspaces" in task for name, task in found.items()} == {
        "produce": True,
        "produce-2": True,
        "consume": True,
        "consume-2": False,
    }


def test_a_volume_of_the_run_is_a_workspace_that_the_run_makes() -> None:
    file = compile_one(constructs.worked, pipeline_config=WORKSPACE)
    spec = make_pipeline(file, {})["spec"]
    (task,) = spec["tasks"]
    assert [one["name"] for one in spec["workspaces"]] == ["workspace"]
    assert task["workspaces"] == task["taskSpec"]["workspaces"] == [{"name": "workspace"}]
    assert env(task) == {"input_text": "$(workspaces.workspace.path)/model"}
    assert make_run(file, {})["spec"]["workspaces"] == [
        {
            "name": "workspace",
            "volumeClaimTemplate": {
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
            },
        }
    ]


def test_a_task_that_gives_a_model_and_its_pipeline_say_which_image_for_tekton_chains() -> None:
    spec = make_pipeline(compile_one(constructs.drawn), {})["spec"]
    assert {one["name"]: one["value"] for one in spec["results"]} == {
        "IMAGE_URL": "$(tasks.draw.results.IMAGE_URL)",
        "IMAGE_DIGEST": "$(tasks.draw.results.IMAGE_DIGEST)",
    }
    assert [one["name"] for one in spec["tasks"][0]["taskSpec"]["results"]] == ["IMAGE_URL", "IMAGE_DIGEST", "failure"]


def test_a_component_that_the_image_lacks_comes_with_its_source() -> None:
    words = step(tasks("chain")["consume"])["args"]
    assert words[0] == "--source"
    assert 'def consume(text: str):\n    """Print it."""\n    print(text)\n' in words[1]
    assert words[2] == "consume"


def test_a_runs_parameters_are_texts_that_nothing_changes() -> None:
    run = make_run(compile_one(constructs.types), {"text": "$(params.count)", "items": ["$$"], "count": 7})
    assert run["spec"]["params"] == [
        {"name": "text", "value": '"\\u0024(params.count)"'},
        {"name": "items", "value": '["\\u0024\\u0024"]'},
        {"name": "count", "value": "7"},
    ]


def test_a_runs_parameters_are_those_of_the_pipeline() -> None:
    with pytest.raises(InvalidInput, match="types has no parameter colour"):
        make_run(compile_one(constructs.types), {"colour": "red"})


REFUSED = {
    "looped": "for-loop-1 is a loop (dsl.ParallelFor)",
    "handed_a_file": "take takes the artifact page",
    "cached": "consume is cached",
    "compared_by_size": "condition-1 has the condition int(inputs.parameter_values['pipelinechannel--count']) > 1",
    "named_when_it_runs": "consume takes {{$.pipeline_job_uuid}}",
    "imported": "importer imports an artifact (dsl.importer)",
    "contained": "shell is no Python function but a container",
    "left_open": "the parameter text may be left out and has no default",
    "labelled": "consume has podMetadata",
    "secret_named_when_it_runs": "consume takes a secretName that is known only when it runs",
    "environment_with_dollar": "consume has a $ in its source, its image or its variables",
    "nested_beside_the_same": "produce stands twice, in two pipelines of which one is in the other",
    "nested_left_open": "consume takes text, which is left out and has no default",
    "nested_handled": "tell runs after a part of the pipeline, whatever happened there",
    "handled_by_a_pipeline": "inner is a group of tasks that runs last",
    "handled_in_part": "tell runs after a part of the pipeline, whatever happened there",
    "handled_twice": "consume runs after a part of the pipeline, whatever happened there",
    "cleaned_up": "consume runs after a part of the pipeline, whatever happened there",
    "one_of_two": "a group with condition-branches-1 hands on what its tasks give (dsl.OneOf, dsl.Collected)",
    "compared_with_a_fraction": "condition-1 has the condition "
    "inputs.parameter_values['pipelinechannel--share'] == 0.25, of a fraction",
    "put_together": "consume takes {{$.inputs.parameters['pipelinechannel--text']}} and more",
    "given_a_file": "the pipeline takes the artifact page",
    "image_known_when_it_runs": "consume has an image that is known only when it runs",
    "sized_when_it_runs": "consume takes {{$.inputs.parameters['pipelinechannel--memory']}}",
    "placed_when_it_runs": "consume takes a node selector that is known only when it runs",
    "tolerating_when_it_runs": "consume takes a toleration that is known only when it runs",
    "installing": "count-up installs numpy (packages_to_install)",
    "installing_beside_kfp": "install-two installs numpy (packages_to_install)",
    "nested_tried_again": "inner is a pipeline that is tried again as a whole",
    "compared_with_the_runs_name": "condition-1 has the condition "
    "inputs.parameter_values['pipelinechannel--text'] == 'a', of {{$.pipeline_job_name}}",
    "variable_called_like_an_input": "consume has a variable input_text",
    "image_with_dollar": "run-elsewhere has a $ in its source, its image or its variables",
    "path_of_a_volume_with_dollar": "consume has a $ in a name or a path",
    "giving_failure": "give-failure gives failure",
    "giving_what_tekton_cannot_name": "give-underscore gives text_",
    "giving_two_models": "draw-two gives 2 models (first, second)",
    "default_in_the_volume": "the parameter path has the default {{$.workspace_path}}/model",
    "path_with_a_dollar": "consume takes the path {{$.workspace_path}}/$model",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_said_to_tekton_is_refused_by_task_and_feature_with_a_way_out(name: str) -> None:
    file = compile_one(
        getattr(constructs, name), pipeline_config=WORKSPACE if "{{$.workspace" in REFUSED[name] else None
    )
    with pytest.raises(InvalidInput) as raised:
        make_pipeline(file, {})
    assert str(raised.value) == f"{REFUSED[name]}, which is not compiled to Tekton"
    assert raised.value.hint


def test_the_third_of_three_branches_runs_when_neither_of_the_others_does() -> None:
    assert tasks("compared_with_three")["consume-3"]["when"] == [
        {"input": "$(params.text)", "operator": "notin", "values": ["a"]},
        {"input": "$(params.text)", "operator": "notin", "values": ["b"]},
        {"input": "$(params.text)", "operator": "in", "values": ["c"]},
    ]


def test_a_condition_may_be_on_a_number_below_zero() -> None:
    assert tasks("compared_below_zero")["consume"]["when"] == [
        {"input": "$(params.count)", "operator": "in", "values": ["-1"]}
    ]


@pytest.mark.parametrize(
    ("name", "settings", "timeout"),
    [("limited", {}, "1m"), ("chain", {}, "0s"), ("chain", {"active_deadline_seconds": 90}, "1m30s")],
    ids=["all its tasks together", "no end when a task has none", "what the pipeline says"],
)
def test_a_run_may_take_as_long_as_on_kubeflow_pipelines(name: str, settings: dict[str, int], timeout: str) -> None:
    file = compile_one(getattr(constructs, name), pipeline_config=dsl.PipelineConfig(**settings))
    assert make_run(file, {})["spec"]["timeouts"] == {"pipeline": timeout}


def test_a_setting_of_runs_that_is_not_known_is_refused() -> None:
    file = compile_one(constructs.chain, pipeline_config=dsl.PipelineConfig(ttl_seconds_after_finished=10))
    make_pipeline(file, {})  # when runs are deleted is the pruner's to say
    assert file.platform is not None
    file.platform["platforms"]["kubernetes"]["pipelineConfig"]["semaphoreKey"] = "one-at-a-time"
    with pytest.raises(InvalidInput, match="the pipeline has semaphoreKey"):
        make_pipeline(file, {})


def test_a_part_of_a_value_is_refused() -> None:
    file = compile_one(constructs.chain)
    taken = file.spec["root"]["dag"]["tasks"]["produce"]["inputs"]["parameters"]["text"]
    taken["parameterExpressionSelector"] = 'parseJson(string_value)["a"]'

    with pytest.raises(InvalidInput, match="produce takes a part of a value"):
        make_pipeline(file, {})


def test_a_handler_that_does_not_ask_how_the_others_ended_runs_last_as_well() -> None:
    spec = make_pipeline(compile_one(constructs.handled_without_status), {})["spec"]
    assert [task["name"] for task in spec["tasks"]] == ["produce"]
    assert [(task["name"], "params" in task) for task in spec["finally"]] == [("consume", False)]


def test_a_nested_pipeline_is_its_tasks_with_its_defaults() -> None:
    found = tasks("nested")
    assert env(found["produce"]) == {"input_text": '"costs \\u00245"'}
    assert found["consume"]["params"] == [{"name": "text", "value": "$(tasks.produce.results.text)"}]


def test_kfp_need_not_be_installed_into_the_step_image() -> None:
    assert step(tasks("installing_kfp")["install-kfp-only"])["args"][2] == "install_kfp_only"


def test_images_of_several_tasks_are_told_to_tekton_chains_in_pairs() -> None:
    assert {
        one["name"]: one["value"] for one in make_pipeline(compile_one(constructs.drawn_twice), {})["spec"]["results"]
    } == {
        "draw-IMAGE_URL": "$(tasks.draw.results.IMAGE_URL)",
        "draw-IMAGE_DIGEST": "$(tasks.draw.results.IMAGE_DIGEST)",
        "draw-2-IMAGE_URL": "$(tasks.draw-2.results.IMAGE_URL)",
        "draw-2-IMAGE_DIGEST": "$(tasks.draw-2.results.IMAGE_DIGEST)",
    }


def test_volumes_that_share_a_name_are_all_there_and_a_claim_is_mounted_as_often_as_it_is_wanted() -> None:
    task = tasks("volumes_of_one_name")["consume"]
    assert task["taskSpec"]["volumes"] == [
        {"name": "tmp", "configMap": {"name": "tmp"}},
        {"name": "tmp-2", "secret": {"secretName": "tmp"}},
        {"name": "team-example-ca", "secret": {"secretName": "team.example-ca"}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "tmp-3", "emptyDir": {}},
        {"name": "other", "emptyDir": {}},
        {"name": "tmp-4", "emptyDir": {}},
    ]
    assert [(one["name"], one["mountPath"], one.get("subPath")) for one in step(task)["volumeMounts"]] == [
        ("tmp", "/etc/a", None),
        ("tmp-2", "/etc/b", None),
        ("team-example-ca", "/etc/c", None),
        ("claim", "/data/third", "a"),
        ("claim", "/data/fourth", "b"),
        ("tmp-3", "/data/first", None),
        ("other", "/data/second", None),
        ("tmp-4", "/tmp", None),  # noqa: S108
    ]


def test_nodes_and_tolerations_are_of_the_types_that_kubernetes_takes() -> None:
    (special,) = make_run(compile_one(constructs.placed), {})["spec"]["taskRunSpecs"]
    assert special["podTemplate"]["nodeSelector"] == {"disk": "fast"}
    assert special["podTemplate"]["tolerations"] == [
        {"key": "slow", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    ]


def test_a_volume_of_which_nobody_says_how_it_is_shared_is_for_one_node() -> None:
    config = dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="2Gi"))
    (made,) = make_run(compile_one(constructs.worked, pipeline_config=config), {})["spec"]["workspaces"]
    assert made["volumeClaimTemplate"]["spec"]["accessModes"] == ["ReadWriteOnce"]
