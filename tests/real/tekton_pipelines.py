"""Small pipelines whose steps say what has reached them, for Tekton's real controller."""

# No `from __future__ import annotations`: kfp reads the annotations of a pipeline as types.
import os
from typing import Any, NamedTuple

from kfp import dsl, kubernetes

IMAGE = os.environ.get("REAL_STEP_IMAGE", "registry.example/step:1")

component = dsl.component(base_image=IMAGE, install_kfp_package=False)


@component
def hand_on(text: str, count: int, share: float, flag: bool, items: list, thing: dict) -> NamedTuple(
    "Outputs", [("text", str), ("count", int), ("share", float), ("flag", bool), ("items", list), ("thing", dict)]
):
    """Give what was taken.

    Returns:
        text: As it came.
        count: As it came.
        share: As it came.
        flag: As it came.
        items: As they came.
        thing: As it came.
    """
    assert [type(one) for one in (text, count, share, flag, items, thing)] == [str, int, float, bool, list, dict]
    return (text, count, share, flag, items, thing)


@component
def say(text: str) -> str:
    """Give what was taken."""
    return text


@component
def end(code: int):
    """End with an exit code."""
    import sys

    print("asked to end", file=sys.stderr)
    sys.exit(code)


@component
def swell(length: int) -> str:
    """Give a text of a length."""
    return "x" * length


@component
def last(status: dsl.PipelineTaskFinalStatus) -> str:
    """Give how the run is doing."""
    return status.state


@component
def fail_once(directory: str) -> str:
    """Fail the first time that the volume sees this."""
    import pathlib

    mark = pathlib.Path(directory, "seen")
    if not mark.exists():
        mark.write_text("once")
        raise SystemExit("the first time")
    return "the second time"


@component
def sleep():
    """Sleep for a long time."""
    import time

    time.sleep(600)


@component
def look_around() -> dict:
    """Give what a pod was given: who it is, what was mounted, what can be written to."""
    import os
    import pathlib

    def read(path: str) -> str:
        return pathlib.Path(path).read_text() if pathlib.Path(path).exists() else "nothing"

    def write(directory: str) -> bool:
        try:
            pathlib.Path(directory, "written").write_text("")
        except OSError:
            return False
        return True

    variables = {name: os.environ.get(name, "nothing") for name in ("COLOUR", "TOKEN", "KEY", "ABSENT")}
    files = {path: read(path) for path in ("/etc/a-secret/token", "/etc/a-map/key", "/etc/absent/token")}
    writable = {path: write(path) for path in ("/", "/usr", "/tmp", "/data")}  # noqa: S108
    return {"uid": os.getuid(), "group": os.getgid(), "variables": variables, "files": files, "writable": writable}


@component
def digest_all(
    v0: str,
    v1: str,
    v2: str,
    v3: str,
    v4: str,
    v5: str,
    v6: str,
    v7: str,
    v8: str,
    v9: str,
) -> list:
    """Give a digest of each value."""
    import hashlib

    values = [v0, v1, v2, v3, v4, v5, v6, v7, v8, v9]
    return [hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest() for value in values]


@component
def digest_json(items: list, thing: dict) -> list:
    """Give a digest of a list and one of an object."""
    import hashlib
    import json

    return [hashlib.sha256(json.dumps(one, sort_keys=True).encode()).hexdigest() for one in (items, thing)]


def fresh(task: Any) -> Any:
    """A task that is never answered from a cache."""
    return task.set_caching_options(False)


def types(
    text: str = "it's $(params.count) and $$",
    count: int = 3,
    share: float = 0.5,
    flag: bool = False,
    items: list = ["$(HOME)", 1, {"a": True}],  # noqa: B006
    thing: dict = {"$": ["$$"]},  # noqa: B006
) -> None:
    """Hand on a value of each type, from defaults to a task and from there to another."""
    first = fresh(hand_on(text=text, count=count, share=share, flag=flag, items=items, thing=thing))
    fresh(hand_on(**first.outputs)).set_display_name("Again")


def branches(text: str = "go", count: int = 1) -> None:
    """Leave out what is not to be done."""
    first = fresh(say(text=text))
    with dsl.If(first.output == "go"), dsl.If(count != 2):
        inner = fresh(say(text="both"))
        fresh(say(text=inner.output))
    with dsl.If(first.output != "go"):
        fresh(say(text="not go"))


def failing(first: int = 0, second: int = 0, third: int = 0) -> None:
    """Three tasks in a row, each of which can fail, and one at the end of all."""
    with dsl.ExitHandler(fresh(last())):
        one = fresh(end(code=first))
        two = fresh(end(code=second)).after(one)
        fresh(end(code=third)).after(two)


def swelling(length: int = 5000) -> None:
    """Give more than a pod's termination message has room for."""
    fresh(swell(length=length))


def retried() -> None:
    """Fail the first time."""
    fresh(fail_once(directory=dsl.WORKSPACE_PATH_PLACEHOLDER)).set_retry(2, "0s")


def given_up() -> None:
    """Fail each time."""
    fresh(end(code=1)).set_retry(1, "0s")


def too_slow() -> None:
    """Take longer than is allowed."""
    with dsl.ExitHandler(fresh(last())):
        kubernetes.set_timeout(fresh(sleep()), 20)


def sleeping() -> None:
    """Take long."""
    fresh(sleep())


def surrounded() -> None:
    """Be given what a cluster has."""
    task = fresh(look_around())
    task.set_cpu_request("50m").set_cpu_limit("1").set_memory_request("64Mi").set_memory_limit("512Mi")
    task.set_env_variable("COLOUR", "red")
    kubernetes.use_secret_as_env(task, "a-secret", {"token": "TOKEN"})
    kubernetes.use_config_map_as_env(task, "a-map", {"key": "KEY"})
    kubernetes.use_secret_as_env(task, "absent", {"token": "ABSENT"}, optional=True)
    kubernetes.use_secret_as_volume(task, "a-secret", "/etc/a-secret")
    kubernetes.use_config_map_as_volume(task, "a-map", "/etc/a-map")
    kubernetes.use_secret_as_volume(task, "absent", "/etc/absent", optional=True)
    kubernetes.mount_pvc(task, "a-claim", "/data")
    kubernetes.empty_dir_mount(task, "tmp", "/tmp", size_limit="16Mi")  # noqa: S108


def hostile(
    v0: str = "",
    v1: str = "",
    v2: str = "",
    v3: str = "",
    v4: str = "",
    v5: str = "",
    v6: str = "",
    v7: str = "",
    v8: str = "",
    v9: str = "",
) -> None:
    """Ten texts."""
    fresh(digest_all(v0=v0, v1=v1, v2=v2, v3=v3, v4=v4, v5=v5, v6=v6, v7=v7, v8=v8, v9=v9))


def hostile_defaults(
    v0: str = "$(params.v1)",
    v1: str = "$$(HOME) $$$",
    v2: str = "{{$.inputs.parameters['v1']}}",
    v3: str = "`id` \"quoted\" 'too'",
    v4: str = "\t$\\",
    v5: str = '"\\u0024"',
    v6: str = "$(context.pipelineRun.name)",
    v7: str = " 3 ",
    v8: str = "null",
    v9: str = "\u202e🚗",
) -> None:
    """Ten texts that are there already."""
    fresh(digest_all(v0=v0, v1=v1, v2=v2, v3=v3, v4=v4, v5=v5, v6=v6, v7=v7, v8=v8, v9=v9))


def hostile_json(items: list = [], thing: dict = {}) -> None:  # noqa: B006
    """A list and an object."""
    fresh(digest_json(items=items, thing=thing))


def thirds(text: str = "a", count: int = -1) -> None:
    """Take one of three branches."""
    with dsl.If(text == "a"):
        fresh(say(text="first"))
    with dsl.Elif(text == "b"):
        fresh(say(text="second"))
    with dsl.Else():
        fresh(say(text="third"))
    with dsl.If(count == -1):
        fresh(say(text="below zero"))


@dsl.pipeline
def nested_in(text: str = "by $(default)"):
    """Two tasks."""
    first = fresh(say(text=text))
    fresh(say(text=first.output))


def nested() -> None:
    """Run another pipeline with its default."""
    fresh(nested_in())


def constants() -> None:
    """Take a constant of each type."""
    values = {"text": "it's $$5", "count": 3, "share": 0.5, "flag": True, "items": ["$(x)"], "thing": {"$": 1}}
    fresh(hand_on(**values))


@component
def draw(page: dsl.Output[dsl.Markdown], model: dsl.Output[dsl.Model], note: dsl.OutputPath(str)):
    """Give a page, a model and a text in a file."""
    with open(page.path, "w") as file:
        file.write("# A page")
    with open(note, "w") as file:
        file.write(f"costs {chr(36)}5")
    model.uri = "oci://registry.example/team/model@sha256:" + "a" * 64


def drawn() -> None:
    """Give artifacts."""
    fresh(draw())


def placed() -> None:
    """Run on nodes of a kind, for a while on others, with a pull secret that need not be there."""
    task = fresh(say(text="placed"))
    kubernetes.add_node_selector(task, "kubernetes.io/os", "linux")
    kubernetes.add_toleration(task, key="slow", operator="Exists", effect="NoExecute", toleration_seconds=5)
    kubernetes.set_image_pull_secrets(task, ["absent"])
