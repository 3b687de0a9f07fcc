"""Small pipelines that local runs are tested with. Component bodies stand alone: kfp copies their source."""

# mypy: disable-error-code="type-arg, no-any-return"
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from kfp import compiler, dsl


def component(function: Callable[..., Any]) -> Any:
    """A component that installs nothing."""
    return dsl.component(function, base_image="registry.example/tools-python:1", install_kfp_package=False)


def pipeline(name: str, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`dsl.pipeline`, with types."""

    def make(function: Callable[..., Any]) -> Any:
        return dsl.pipeline(name=name, **options)(function)

    return make


def installing(function: Callable[..., Any]) -> Any:
    """A component that would install packages into the environment that it runs in."""
    return dsl.component(function, base_image="other.example/slim:1", packages_to_install=["no-such-package==1"])


@component
def say(text: str) -> str:
    print("said", text)
    return text


@installing
def say_uninstalled(text: str) -> str:
    return text


@component
def show(record: dict, items: list, count: int, share: float, text: str) -> str:
    return repr((record, items, count, share, text))


@component
def length(text: str) -> int:
    return len(text)


@component
def is_long(text: str) -> bool:
    return len(text) > 3


@component
def fail(sentence: str = "", exit_code: int = 1) -> str:
    import os
    import sys

    print("about to fail")
    if sentence:
        with open(os.environ["MODELCAR_TERMINATION_LOG"], "w") as file:
            file.write(sentence)
    sys.exit(exit_code)


@component
def fall_back(text: str = "fallen back") -> str:
    return text


@component
def raise_error(text: str) -> str:
    raise RuntimeError(text)


@component
def fail_on(text: str, bad: str) -> str:
    if text == bad:
        raise SystemExit(2)
    return text


@component
def succeed_at(attempt: int, counter: str) -> int:
    """Fails until its `attempt`th attempt; counts in a file, as a server's counts in its own state."""
    from pathlib import Path

    tries = Path(counter)
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    if len(tries.read_text()) < attempt:
        raise SystemExit(f"attempt {len(tries.read_text())} fails")
    return attempt


@component
def final(status: dsl.PipelineTaskFinalStatus) -> list:
    return [status.state, status.pipeline_task_name, status.error_code, status.error_message]


@component
def write_page(text: str, page: dsl.Output[dsl.HTML], model: dsl.Output[dsl.Model]) -> None:
    with open(page.path, "w") as file:
        file.write(text)
    model.uri = "oci://registry.example/m@sha256:0"
    model.metadata["files"] = 3


@component
def read_page(page: dsl.Input[dsl.HTML], model: dsl.Input[dsl.Model]) -> str:
    with open(page.path) as file:
        return f"{file.read()} {model.uri} {model.metadata['files']}"


@component
def write_to(directory: str) -> str:
    import os

    with open(os.path.join(directory, "weights"), "w") as file:
        file.write("w")
    return directory


@component
def list_of(directory: str) -> list:
    import os

    return sorted(os.listdir(directory))


@component
def letters() -> NamedTuple("Outputs", [("letters", list), ("word", str)]):  # type: ignore[valid-type]
    return (["a", "b", "c"], "word")


@component
def pair(first: str, second: str) -> str:
    return f"{first}{second}"


@component
def join(texts: list) -> str:
    return "-".join(texts)


@component
def environment(name: str) -> str:
    import os

    return os.environ.get(name, "not set")


@component
def stand(pipe: str) -> None:
    with open(pipe) as file:
        file.read()


@component
def wait_for(path: str, stubborn: bool) -> None:
    """Says who it is, and stays until it is ended; a stubborn one does not end by SIGTERM."""
    import os
    import signal
    import subprocess
    import sys

    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    with open(path, "w") as file:
        file.write(f"{os.getpid()} {child.pid}")
    signal.pause()


@pipeline("inner")
def inner(text: str) -> str:
    return say(text=f"<{text}>").output


@pipeline("values")
def values(
    text: str = "default",
    count: int = 3,
    share: float = 2.5,
    flag: bool = True,
    items: list = ["a", 1],  # noqa: B006 - how a pipeline has defaults
    record: dict = {"a": 1, "b": [2, 2.5]},  # noqa: B006
    image: str = "registry.example/anything:1",
    nothing: list = [],  # noqa: B006
) -> str:
    """Values of every type, and conditions on them."""
    said = say(text=text).set_display_name("Say it").set_cpu_limit("2").set_memory_limit("1Gi")
    said.set_container_image(image)
    show(record=record, items=items, count=count, share=share, text=f"{count} of {text} and {items}")
    show(record={"said": said.output}, items=[said.output], count=1, share=1.0, text=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
    inner(text=said.output).set_display_name("Nested")
    inner(text="again")
    say_uninstalled(text="installed nothing")
    with dsl.If(flag == True):  # noqa: E712
        say(text="flag").set_display_name("Flag")
    with dsl.If(said.output != "other"):
        say(text="not other")
    with dsl.If(length(text=text).output > 3):
        say(text="long")
    with dsl.If(text != "it"):
        say(text="not it")
    with dsl.ParallelFor(nothing, name="no rounds") as item:
        say(text=item)
    with dsl.If(flag == False):  # noqa: E712
        say(text="never")
    return said.output


@pipeline("branches")
def branches(text: str = "long enough") -> str:
    with dsl.If(is_long(text=text).output == True):  # noqa: E712
        one = say(text="long")
    with dsl.Else():
        other = say(text="short")
    return dsl.OneOf(one.output, other.output)


@pipeline("failures")
def failures(counter: str) -> None:
    """A body that fails, what follows it, and what runs all the same."""
    with dsl.ExitHandler(final().set_display_name("Report"), name="body"):
        failed = fail(sentence="Error: no such model\nName another.", exit_code=2).set_retry(2, backoff_duration="30s")
        say(text=failed.output).set_display_name("Follows")
        say(text="independent")
        fall_back(text=failed.output).ignore_upstream_failure()
        succeed_at(attempt=2, counter=counter).set_retry(2, backoff_duration="30s")
        raise_error(text="boom").set_retry(1, backoff_duration="30s")


@pipeline("loops")
def loops(bad: str = "b", texts: list = ["x", "y"]) -> None:  # noqa: B006
    given = letters()
    with dsl.ExitHandler(final(), name="body"):
        with dsl.ParallelFor(given.outputs["letters"], parallelism=1, name="some fail") as letter:
            tried = fail_on(text=letter, bad=bad)
            say(text=tried.output)
        with dsl.ParallelFor(texts, name="outer") as text:
            with dsl.ParallelFor(given.outputs["letters"], name="inner") as letter:
                pair(first=text, second=letter)
            worded = pair(first=text, second=given.outputs["word"])
        join(texts=dsl.Collected(worded.output))


@pipeline("files", pipeline_config=dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size="1Gi")))
def files(text: str = "hello") -> None:
    written = write_page(text=text)
    read_page(page=written.outputs["page"], model=written.outputs["model"])
    filled = write_to(directory=dsl.WORKSPACE_PATH_PLACEHOLDER)
    list_of(directory=filled.output)
    list_of(directory=f"{dsl.WORKSPACE_PATH_PLACEHOLDER}/").after(filled)
    environment(name="PLANTED")
    environment(name="FROM_PIPELINE").set_env_variable("FROM_PIPELINE", "python3")


@pipeline("endless")
def endless(path: str, stubborn: bool = False) -> None:
    with dsl.ExitHandler(final(), name="body"):
        say(text="after").after(wait_for(path=path, stubborn=stubborn))


@pipeline("abreast")
def abreast(pipes: list) -> None:
    with dsl.ParallelFor(pipes, parallelism=3) as pipe:
        stand(pipe=pipe)


def compiled(definition: Any, directory: Path) -> Path:
    """The file of a compiled pipeline."""
    file = directory / f"{definition.name}.yaml"
    compiler.Compiler().compile(definition, str(file))
    return file
