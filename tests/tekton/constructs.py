"""Small pipelines, each with one thing that is compiled to Tekton, or that is refused."""

# No `from __future__ import annotations`: kfp reads the annotations of a pipeline as types.
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Optional

from kfp import compiler, dsl, kubernetes

from modelcar_pipelines.pipeline_file import PipelineFile, read_pipeline

IMAGE = "registry.example/step:1"

component = dsl.component(base_image=IMAGE, install_kfp_package=False)


@component
def produce(text: str) -> NamedTuple("Outputs", [("text", str), ("count", int), ("flag", bool)]):
    """Give what was taken, its length and whether there is any.

    Returns:
        text: What was taken.
        count: Its length.
        flag: Whether there is any.
    """
    return (text, len(text), bool(text))


@component
def consume(text: str):
    """Print it."""
    print(text)


@component
def consume_all(text: str, count: int, share: float, flag: bool, items: list, thing: dict):
    """Print all."""
    print(text, count, share, flag, items, thing)


@component
def fail(message: str):
    """End with a failure."""
    raise SystemExit(message)


@component
def tell(status: dsl.PipelineTaskFinalStatus):
    """Print how it ended."""
    print(status.state, status.pipeline_job_resource_name)


@component
def draw(page: dsl.Output[dsl.Markdown], model: dsl.Output[dsl.Model]):
    """Give a page and a model."""
    page.path, model.uri  # noqa: B018


@component
def take(page: dsl.Input[dsl.Markdown]):
    """Take a page."""
    print(page.path)


def compile_one(define: Callable[..., Any], **settings: Any) -> PipelineFile:
    """Compile what a function defines, with nothing cached."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "pipeline.yaml"
        pipeline = dsl.pipeline(name=define.__name__.replace("_", "-"), **settings)(define)
        compiler.Compiler().compile(pipeline, str(path))
        return read_pipeline(path)


def fresh(task: Any) -> Any:
    """A task that is never answered from a cache."""
    return task.set_caching_options(False)


def chain(text: str = "hello $(params.text)", left: str = "x") -> None:
    """Hand on what a task gives."""
    first = fresh(produce(text=text))
    fresh(consume(text=first.outputs["text"])).set_display_name("Consume it")


def types(
    text: str = "a",
    count: int = 3,
    share: float = 0.5,
    flag: bool = True,
    items: list = ["$"],  # noqa: B006
    thing: dict = {"a": 1},  # noqa: B006
) -> None:
    """Take a parameter of each type."""
    fresh(consume_all(text=text, count=count, share=share, flag=flag, items=items, thing=thing))


def constants() -> None:
    """Take a constant of each type."""
    fresh(consume_all(text="costs $5", count=3, share=0.5, flag=True, items=["$"], thing={"a": 1}))


def ordered() -> None:
    """Wait for a task without taking anything of it."""
    first = fresh(produce(text="a"))
    fresh(consume(text="b")).after(first)


def conditions(text: str = "go", count: int = 1) -> None:
    """Leave out what is not to be done."""
    first = fresh(produce(text=text))
    with dsl.If(first.outputs["flag"] == True), dsl.If(first.outputs["text"] != "stop $"):  # noqa: E712
        fresh(consume(text="both"))
    with dsl.If(count == 1):
        fresh(consume(text="one"))
    with dsl.Else():
        fresh(consume(text="another"))


def handled(text: str = "a") -> None:
    """Run something last, whatever happened."""
    with dsl.ExitHandler(fresh(tell())):
        fresh(produce(text=text))


def surrounded() -> None:
    """Need everything that a cluster has."""
    task = fresh(consume(text="a"))
    task.set_retry(3, "10s", 2.0, "60s")
    task.set_cpu_request("100m").set_cpu_limit("2").set_memory_request("1Gi").set_memory_limit("2Gi")
    task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
    task.set_env_variable("COLOUR", "red")
    kubernetes.set_timeout(task, 3723)
    kubernetes.use_secret_as_env(task, "a-secret", {"token": "TOKEN"}, optional=True)
    kubernetes.use_config_map_as_env(task, "a-map", {"key": "KEY"})
    kubernetes.use_secret_as_volume(task, "b-secret", "/etc/b", optional=True)
    kubernetes.use_config_map_as_volume(task, "b-map", "/etc/c")
    kubernetes.mount_pvc(task, "a-claim", "/data")
    kubernetes.empty_dir_mount(task, "tmp", "/tmp", size_limit="1Gi")  # noqa: S108
    kubernetes.set_image_pull_secrets(task, ["pull"])
    kubernetes.add_toleration(task, key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")
    kubernetes.add_node_selector(task, "disk", "fast")


def worked() -> None:
    """Use the run's volume."""
    fresh(consume(text=f"{dsl.WORKSPACE_PATH_PLACEHOLDER}/model"))


def worked_on(text: str = "a") -> None:
    """Hand a path in the run's volume on, twice, beside a task that has nothing to do with it."""
    first = fresh(produce(text=f"{dsl.WORKSPACE_PATH_PLACEHOLDER}/model"))
    second = fresh(produce(text=first.outputs["text"]))
    fresh(consume(text=second.outputs["text"]))
    fresh(consume(text=text)).after(second)


def drawn() -> None:
    """Give artifacts that nobody takes."""
    fresh(draw())


def looped(items: list = ["a"]) -> None:  # noqa: B006
    """Do it for each."""
    with dsl.ParallelFor(items) as item:
        fresh(consume(text=item))


def handed_a_file() -> None:
    """Take an artifact."""
    first = fresh(draw())
    fresh(take(page=first.outputs["page"]))


def cached() -> None:
    """Be answered from a cache."""
    consume(text="a").set_caching_options(True)


def compared_by_size(count: int = 1) -> None:
    """Compare by size."""
    with dsl.If(count > 1):
        fresh(consume(text="a"))


def named_when_it_runs() -> None:
    """Take the run's id."""
    fresh(consume(text=dsl.PIPELINE_JOB_ID_PLACEHOLDER))


def imported() -> None:
    """Take what is somewhere else."""
    fresh(take(page=dsl.importer("gs://bucket/page", dsl.Markdown).output))


@dsl.container_component
def shell(text: str):
    """A container."""
    return dsl.ContainerSpec(image="registry.example/shell:1", command=["echo"], args=[text])


def contained() -> None:
    """Run a container."""
    fresh(shell(text="a"))


def left_open(text: Optional[str] = None) -> None:  # noqa: UP045 - as kfp reads it
    """Take a parameter without a default that may be left out."""
    fresh(consume(text=text))


def labelled() -> None:
    """Have a label on its pod."""
    kubernetes.add_pod_label(fresh(consume(text="a")), "team", "a")


def secret_named_when_it_runs(name: str = "a") -> None:
    """Take a secret that is named by a parameter."""
    task = fresh(consume(text="a"))
    kubernetes.use_secret_as_env(task, name, {"token": "TOKEN"})


def environment_with_dollar() -> None:
    """Have a variable that the kubelet would change."""
    fresh(consume(text="a")).set_env_variable("COLOUR", "$(TOKEN)")
