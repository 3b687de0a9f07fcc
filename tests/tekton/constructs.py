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


def handled_without_status(text: str = "a") -> None:
    """Run something last that does not ask how the others ended."""
    with dsl.ExitHandler(fresh(consume(text="last"))):
        fresh(produce(text=text))


@dsl.pipeline
def inner(text: str = "costs $5"):
    """Two tasks of another pipeline."""
    first = fresh(produce(text=text))
    fresh(consume(text=first.outputs["text"]))


def nested() -> None:
    """Run another pipeline with its default."""
    fresh(inner())


def nested_beside_the_same() -> None:
    """Run another pipeline, and a task that is called like one of it."""
    fresh(produce(text="a"))
    fresh(inner())


@dsl.pipeline
def inner_left_open(text: Optional[str] = None):  # noqa: UP045 - as kfp reads it
    """Take what need not be given."""
    fresh(consume(text=text))


def nested_left_open() -> None:
    """Run another pipeline without what it may be given."""
    fresh(inner_left_open())


@dsl.pipeline
def inner_handled():
    """Run something last in another pipeline."""
    with dsl.ExitHandler(fresh(tell())):
        fresh(produce(text="a"))


def nested_handled() -> None:
    """Run another pipeline with an exit handler."""
    fresh(inner_handled())


def handled_by_a_pipeline() -> None:
    """Run another pipeline last."""
    with dsl.ExitHandler(fresh(inner())):
        fresh(fail(message="a"))


def handled_in_part() -> None:
    """Run something after a part of the pipeline."""
    with dsl.ExitHandler(fresh(tell())):
        fresh(produce(text="a"))
    fresh(consume(text="beside"))


def handled_twice() -> None:
    """Have two exit handlers."""
    with dsl.ExitHandler(fresh(tell())):
        fresh(produce(text="a"))
    with dsl.ExitHandler(fresh(consume(text="last"))):
        fresh(fail(message="a"))


def cleaned_up() -> None:
    """Go on after a task that may have failed."""
    first = fresh(produce(text="a"))
    fresh(consume(text="b")).after(first).ignore_upstream_failure()


def one_of_two(count: int = 1) -> str:
    """Give what one of two tasks gives."""
    with dsl.If(count == 1):
        one = fresh(produce(text="one"))
    with dsl.Else():
        other = fresh(produce(text="other"))
    return dsl.OneOf(one.outputs["text"], other.outputs["text"])


def compared_with_a_fraction(share: float = 0.5) -> None:
    """Compare with a fraction."""
    with dsl.If(share == 0.25):
        fresh(consume(text="a"))


def compared_with_three(text: str = "a") -> None:
    """Have one of three."""
    with dsl.If(text == "a"):
        fresh(consume(text="1"))
    with dsl.Elif(text == "b"):
        fresh(consume(text="2"))
    with dsl.Elif(text == "c"):
        fresh(consume(text="3"))


def put_together(text: str = "a") -> None:
    """Take a text with a parameter in it."""
    fresh(consume(text=f"{text} and more"))


def given_a_file(page: dsl.Input[dsl.Markdown]) -> None:
    """Take an artifact from outside."""
    fresh(take(page=page))


def image_known_when_it_runs(image: str = IMAGE) -> None:
    """Run in an image that is named by a parameter."""
    fresh(consume(text="a")).set_container_image(image)


def sized_when_it_runs(memory: str = "1Gi") -> None:
    """Have as much memory as a parameter says."""
    fresh(consume(text="a")).set_memory_limit(memory)


def placed_when_it_runs(selector: dict = {"disk": "fast"}) -> None:  # noqa: B006
    """Run on nodes that a parameter names."""
    kubernetes.add_node_selector_json(fresh(consume(text="a")), selector)


def tolerating_when_it_runs(toleration: dict = {"key": "gpu"}) -> None:  # noqa: B006
    """Tolerate what a parameter names."""
    kubernetes.add_toleration_json(fresh(consume(text="a")), toleration)


@dsl.component(base_image=IMAGE, install_kfp_package=False, packages_to_install=["numpy"])
def count_up():
    """Need a package."""
    print(1)


def installing() -> None:
    """Install a package."""
    fresh(count_up())


@dsl.component(base_image=IMAGE)
def install_kfp_only():
    """Have kfp installed."""
    print(1)


def installing_kfp() -> None:
    """Have kfp installed, which the step image has."""
    fresh(install_kfp_only())


@component
def give_failure() -> NamedTuple("Outputs", [("failure", str)]):
    """Give what a failed step gives."""
    return ("a",)


def giving_failure() -> None:
    """Give a result that is called like ours."""
    fresh(give_failure())


@component
def give_underscore() -> NamedTuple("Outputs", [("text_", str)]):
    """Give what Tekton has no name for."""
    return ("a",)


def giving_what_tekton_cannot_name() -> None:
    """Give a result that Tekton does not take."""
    fresh(give_underscore())


@component
def draw_two(first: dsl.Output[dsl.Model], second: dsl.Output[dsl.Model]):
    """Give two models."""
    first.uri, second.uri  # noqa: B018


def giving_two_models() -> None:
    """Give two models by one task."""
    fresh(draw_two())


def drawn_twice() -> None:
    """Give a model by each of two tasks."""
    fresh(draw())
    fresh(draw())


def default_in_the_volume(path: str = f"{dsl.WORKSPACE_PATH_PLACEHOLDER}/model") -> None:
    """Have a path in the run's volume as a default."""
    fresh(consume(text=path))


def path_with_a_dollar() -> None:
    """Take a path with a dollar in it."""
    fresh(consume(text=f"{dsl.WORKSPACE_PATH_PLACEHOLDER}/$model"))


def volumes_of_one_name() -> None:
    """Mount a secret, a config map and an empty directory of one name, and a claim twice."""
    task = fresh(consume(text="a"))
    kubernetes.use_config_map_as_volume(task, "tmp", "/etc/a")
    kubernetes.use_secret_as_volume(task, "tmp", "/etc/b")
    kubernetes.use_secret_as_volume(task, "team.example-ca", "/etc/c")
    kubernetes.empty_dir_mount(task, "tmp", "/data/first")
    kubernetes.empty_dir_mount(task, "other", "/data/second")
    kubernetes.mount_pvc(task, "claim", "/data/third", sub_path="a")
    kubernetes.mount_pvc(task, "claim", "/data/fourth", sub_path="b")


def placed() -> None:
    """Run on nodes of a kind, and for a while on others."""
    task = fresh(consume(text="a"))
    kubernetes.add_node_selector_json(task, {"disk": "fast"})
    kubernetes.add_toleration(task, key="slow", operator="Exists", effect="NoExecute", toleration_seconds=5)


def nested_tried_again() -> None:
    """Run another pipeline, again if it fails."""
    fresh(inner()).set_retry(3)


@dsl.pipeline
def inner_compared(text: str):
    """Compare what is given."""
    with dsl.If(text == "a"):
        fresh(consume(text=text))


def compared_with_the_runs_name() -> None:
    """Compare what is known only when it runs."""
    fresh(inner_compared(text=dsl.PIPELINE_JOB_NAME_PLACEHOLDER))


def compared_below_zero(count: int = -1) -> None:
    """Compare with a number below zero."""
    with dsl.If(count == -1):
        fresh(consume(text="a"))


@dsl.component(base_image=IMAGE, packages_to_install=["numpy", "kfp==2.17.0"])
def install_two():
    """Have kfp and another package installed."""
    print(1)


def installing_beside_kfp() -> None:
    """Install a package beside kfp."""
    fresh(install_two())


def variable_called_like_an_input() -> None:
    """Have a variable that is called like an input."""
    fresh(consume(text="a")).set_env_variable("input_text", "b")


@dsl.component(base_image="registry.example/$(params.text)", install_kfp_package=False)
def run_elsewhere(text: str):
    """Run in an image whose name has a dollar."""
    print(text)


def image_with_dollar() -> None:
    """Run in an image that Tekton would replace."""
    fresh(run_elsewhere(text="a"))


def path_of_a_volume_with_dollar() -> None:
    """Mount a volume where Tekton would replace its path."""
    kubernetes.empty_dir_mount(fresh(consume(text="a")), "data", "/data/$(params.text)")


def limited() -> None:
    """Have a limit for each task."""
    kubernetes.set_timeout(fresh(consume(text="a")), 60)
