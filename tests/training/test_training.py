from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from model_files import shard
from modelcar.errors import InvalidInput, TrainingError
from modelcar.recipe import Recipe
from modelcar.training import Job, Trained, train

GOOD = """
import json, os, pathlib, shutil
out = pathlib.Path(os.environ["MODELCAR_OUTPUT"])
shutil.copytree(os.environ["MODELCAR_BASE_MODEL"], out, dirs_exist_ok=True)
pathlib.Path(os.environ["MODELCAR_METRICS"]).write_text('{"loss": 1.5}')
"""


def program(code: str) -> Recipe:
    """A recipe whose program is Python code."""
    return Recipe(None, (sys.executable, "-c", textwrap.dedent(code)), None, {"epochs": "3"})


@pytest.fixture
def job(tmp_path: Path) -> Job:
    base, data = tmp_path / "base", tmp_path / "data"
    base.mkdir()
    data.mkdir()
    (base / "config.json").write_text("{}")
    (base / "model.safetensors").write_bytes(shard(512))
    (data / "train.jsonl").write_text('{"text": "hello"}\n')
    return Job(base, data, program(GOOD), "a" * 64)


def run(job: Job, tmp_path: Path, code: str | None = None) -> Trained:
    """Train in a directory of the test."""
    wanted = job if code is None else replace(job, recipe=program(code))
    return train(wanted, tmp_path / "training", tell=lambda _: None)


def error_of(job: Job, tmp_path: Path, code: str) -> str:
    with pytest.raises(TrainingError) as caught:
        run(job, tmp_path, code)
    assert caught.value.exit_code == 1
    assert not (tmp_path / "training/done.json").exists()
    return str(caught.value)


# What a trainer is given


def test_a_trainer_is_told_by_its_environment_where_things_are(job: Job, tmp_path: Path) -> None:
    lines: list[str] = []
    code = """
    import json, os
    print(json.dumps({name: text for name, text in os.environ.items() if name.startswith("MODELCAR_")}))
    print(open(os.environ["MODELCAR_RECIPE"]).read().replace(chr(10), " "))
    print(os.listdir(os.environ["MODELCAR_OUTPUT"]))
    """
    recipe = replace(program(code), image="quay.io/acme/trainer:1")
    with pytest.raises(TrainingError):
        train(replace(job, recipe=recipe), tmp_path / "training", tell=lines.append)
    assert json.loads(lines[0]) == {
        "MODELCAR_BASE_MODEL": str(tmp_path / "base"),
        "MODELCAR_DATA": str(tmp_path / "data"),
        "MODELCAR_RECIPE": str(tmp_path / "training/recipe.json"),
        "MODELCAR_OUTPUT": str(tmp_path / "training/model"),
        "MODELCAR_METRICS": str(tmp_path / "training/metrics.json"),
    }
    assert json.loads(lines[1]) == {**recipe.to_json(), "recipeKey": "a" * 64}
    assert lines[2] == "[]"


def test_the_page_names_what_a_trainer_is_given(job: Job, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/retraining.md").read_text(encoding="utf-8")
    told: list[str] = []
    code = "import os; print(*sorted(name for name in os.environ if name.startswith('MODELCAR_')))"
    with pytest.raises(TrainingError):
        train(replace(job, recipe=program(code)), tmp_path / "training", tell=told.append)
    assert told[0].split() == sorted(re.findall(r"^\| `(MODELCAR_\w+)`", page, flags=re.MULTILINE))


def test_paths_are_absolute_where_ours_are_not(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    relative = replace(job, base_model=Path("base"), data=Path("data"))
    assert train(relative, Path("training"), tell=lambda _: None).metrics == {"loss": 1.5}


def test_a_trainer_has_our_environment_but_not_the_credentials_that_it_has_no_use_for(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_TOKEN", "MODEL_REGISTRY_TOKEN", "MODELCAR_GIT_TOKEN", "KF_PIPELINES_TOKEN"):
        monkeypatch.setenv(name, "s3cret")
    lines: list[str] = []
    code = "import os; print(sorted(name for name, text in os.environ.items() if text == 's3cret'))"
    with pytest.raises(TrainingError):
        train(replace(job, recipe=program(code)), tmp_path / "training", tell=lines.append)
    assert lines == ["['HF_TOKEN']"]


def test_an_entry_point_is_called_in_a_process_of_its_own(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_trainer.py").write_text(f"import os\n\n\ndef train():\n{textwrap.indent(GOOD, '    ')}")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    recipe = Recipe("acme_trainer:train", (), None, {})
    assert train(replace(job, recipe=recipe), tmp_path / "training").metrics == {"loss": 1.5}
    assert "acme_trainer" not in sys.modules


# What it prints


def test_lines_are_told_as_they_come(job: Job, tmp_path: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        if line == "first":
            go.write_text("")  # ends only when the trainer reads it, which it does after its first line

    code = f"print('first'); open({str(go)!r}).read(); print('second')\n{textwrap.dedent(GOOD)}"
    train(replace(job, recipe=program(code)), tmp_path / "training", tell=tell)
    assert told == ["first", "second"]


def test_progress_bars_errors_long_lines_and_bytes_that_are_no_text_are_lines_too(job: Job, tmp_path: Path) -> None:
    code = r"""
    import os
    os.write(1, b"10%\r20%\r\n\n")
    os.write(2, b"warning \xff\n")
    os.write(1, b"x" * 200_000 + b"\n" + b"no end")
    """
    told: list[str] = []
    with pytest.raises(TrainingError):
        train(replace(job, recipe=program(code)), tmp_path / "training", tell=told.append)
    assert told[:3] == ["10%", "20%", "warning \ufffd"]
    assert told[-1] == "no end"
    assert "".join(told[3:-1]) == "x" * 200_000
    assert max(map(len, told)) < 1 << 18


def test_a_process_that_a_trainer_leaves_behind_is_not_waited_for(job: Job, tmp_path: Path) -> None:
    code = """
    import subprocess, sys
    left = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    print(left.pid)
    left.returncode = 0  # nobody waits for it
    """
    told: list[str] = []
    holder = replace(job, recipe=program(textwrap.dedent(code) + GOOD))
    assert train(holder, tmp_path / "training", tell=told.append).metrics == {"loss": 1.5}
    os.kill(int(told[0]), signal.SIGKILL)


# How it ends


def test_a_training_that_fails_is_told_with_its_exit_code_and_its_last_line(job: Job, tmp_path: Path) -> None:
    message = error_of(job, tmp_path, "print('epoch 1'); raise ValueError('no such column: text')")
    assert message == "the training failed with exit code 1; its last line was: ValueError: no such column: text"


def test_a_training_that_says_nothing_fails_all_the_same(job: Job, tmp_path: Path) -> None:
    assert error_of(job, tmp_path, "raise SystemExit(9)") == "the training failed with exit code 9"


@pytest.mark.parametrize(
    "code",
    ["import os; os.kill(os.getpid(), 9)", "raise SystemExit(137)"],
    ids=["itself", "as its shell says it"],
)
def test_a_training_that_is_killed_is_told_as_memory_that_ran_out(job: Job, tmp_path: Path, code: str) -> None:
    with pytest.raises(TrainingError) as caught:
        run(job, tmp_path, code)
    assert str(caught.value) == "the training was killed (SIGKILL, exit code 137)"
    assert caught.value.hint == "Most likely memory ran out: give the step more of it, or train with smaller batches."


def test_another_signal_is_told_by_its_name(job: Job, tmp_path: Path) -> None:
    message = error_of(job, tmp_path, "import os; os.kill(os.getpid(), 11)")
    assert message == "the training was ended by SIGSEGV (exit code 139)"


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (Recipe(None, ("/no/such", "x"), None, {}), "'/no/such' cannot be started: No such file or directory"),
        (Recipe(None, ("",), None, {}), "'' cannot be started: Permission denied"),
        (Recipe(None, ("/etc/passwd",), None, {}), "'/etc/passwd' cannot be started: Permission denied"),
        (Recipe(None, ("sh", "-c", "no-such-program"), None, {}), "sh: 1: no-such-program: not found"),
        (Recipe("no_such.module:train", (), None, {}), "there is no module no_such"),
        (Recipe("modelcar.no_such:train", (), None, {}), "there is no module modelcar.no_such"),
        (Recipe("modelcar:no_such", (), None, {}), "modelcar has no function no_such"),
        (Recipe("modelcar:__doc__", (), None, {}), "modelcar has no function __doc__"),
    ],
    ids=str,
)
def test_a_trainer_that_is_not_there_is_the_callers_fault(
    job: Job, tmp_path: Path, recipe: Recipe, reason: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        train(replace(job, recipe=recipe), tmp_path / "training", tell=lambda _: None)
    assert str(caught.value) == f"there is no such trainer in this image: {reason}"


def test_an_entry_point_that_lacks_something_is_there(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_broken.py").write_text("import no_such_library\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(TrainingError, match=r"No module named 'no_such_library'$"):
        train(
            replace(job, recipe=Recipe("acme_broken:train", (), None, {})), tmp_path / "training", tell=lambda _: None
        )


# What it leaves


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("", "the training left no sound model: file://{model} has no files"),
        ("write('config.json', b'{}')", "the training left no weights"),
        ("write('model.safetensors', WEIGHTS)", "the training left no config.json that holds a JSON object"),
        (
            "write('model.safetensors', WEIGHTS); write('config.json', b'[]')",
            "the training left no config.json that holds a JSON object",
        ),
        (
            "write('model.safetensors', WEIGHTS[:-1]); write('config.json', b'{}')",
            "the training left no sound model: model.safetensors is not a sound safetensors file: "
            "its tensors do not cover its {cut} bytes of data exactly",
        ),
        (
            "write('pytorch_model.bin', b'x'); write('config.json', b'{}')",
            "the training left no sound model: file://{model} has pickle files, which can run any code when loaded, "
            "and no safetensors: pytorch_model.bin",
        ),
        (
            "write('model.safetensors', WEIGHTS); write('config.json', b'{}'); "
            """write('model.safetensors.index.json', b'{"weight_map": {"a": "b.safetensors"}}')""",
            "the training left no sound model: model.safetensors.index.json needs 'b.safetensors', which is not there",
        ),
        (
            "write('model.safetensors', WEIGHTS); write('config.json', b'{}'); os.unlink(METRICS)",
            "the training wrote no metrics.json",
        ),
    ],
)
def test_what_is_no_model_with_its_metrics_is_no_training(job: Job, tmp_path: Path, code: str, message: str) -> None:
    weights = shard(512)
    head = f"""
    import os
    WEIGHTS, METRICS = {weights!r}, os.environ["MODELCAR_METRICS"]
    open(METRICS, "w").write('{{"loss": 1}}')
    def write(name, content):
        with open(os.path.join(os.environ["MODELCAR_OUTPUT"], name), "wb") as file:
            file.write(content)
    """
    cut = 512 - 8 - int.from_bytes(weights[:8], "little") - 1
    expected = message.format(model=tmp_path / "training/model", cut=cut)
    assert error_of(job, tmp_path, textwrap.dedent(head) + code) == expected


def test_pickles_that_the_spec_allows_are_weights(job: Job, tmp_path: Path) -> None:
    allowed = replace(
        job, allow_pickle=("*.bin",), recipe=program(GOOD + "(out / 'model.safetensors').rename(out / 'm.bin')")
    )
    assert train(allowed, tmp_path / "training").metrics == {"loss": 1.5}


# Again


def test_a_training_that_is_done_is_not_done_again(job: Job, tmp_path: Path) -> None:
    first = run(job, tmp_path)
    assert not first.was_done
    assert first.seconds > 0
    again = run(job, tmp_path, "raise SystemExit('trained again')")
    assert again == Trained(tmp_path / "training/model", {"loss": 1.5}, 0.0, was_done=True)
    assert sorted(path.name for path in again.model.iterdir()) == ["config.json", "model.safetensors"]


def test_another_recipe_is_trained_in_an_empty_directory(job: Job, tmp_path: Path) -> None:
    first = run(job, tmp_path)
    (first.model / "left.json").write_text("{}")
    second = train(replace(job, recipe_key="b" * 64), tmp_path / "training")
    assert not second.was_done
    assert sorted(path.name for path in second.model.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("path", ["model/model.safetensors", "model/config.json", "metrics.json", "done.json"])
def test_a_training_of_which_something_is_lost_is_done_again(job: Job, tmp_path: Path, path: str) -> None:
    run(job, tmp_path)
    (tmp_path / "training" / path).unlink()
    assert not run(job, tmp_path).was_done


def test_a_failed_training_leaves_nothing_that_the_next_one_takes(job: Job, tmp_path: Path) -> None:
    error_of(job, tmp_path, f"{textwrap.dedent(GOOD)}\n(out / 'left.json').write_text('{{}}')\nraise SystemExit(1)")
    trained = run(job, tmp_path)
    assert not trained.was_done
    assert not (trained.model / "left.json").exists()


def test_a_failed_training_takes_the_mark_of_an_earlier_one(job: Job, tmp_path: Path) -> None:
    run(job, tmp_path)
    with pytest.raises(TrainingError):
        run(replace(job, recipe_key="b" * 64), tmp_path, "raise SystemExit(1)")
    assert not run(job, tmp_path).was_done


def test_a_directory_of_somebody_else_is_refused_and_left_alone(job: Job, tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    (tmp_path / "training/thesis.txt").write_text("three years")
    with pytest.raises(InvalidInput, match=r"holds something else than a training$"):
        run(job, tmp_path)
    assert [path.name for path in (tmp_path / "training").iterdir()] == ["thesis.txt"]


def test_a_directory_that_is_a_file_is_told(job: Job, tmp_path: Path) -> None:
    (tmp_path / "training").write_text("")
    with pytest.raises(TrainingError, match=r"training cannot be written to: File exists$"):
        run(job, tmp_path)


CHILD = """
import sys
from pathlib import Path
from modelcar.recipe import Recipe
from modelcar.training import Job, train
base, data, directory, code = sys.argv[1:]
recipe = Recipe(None, (sys.executable, "-c", code), None, {})
train(Job(Path(base), Path(data), recipe, "a" * 64), Path(directory))
"""


def start(job: Job, tmp_path: Path, code: str) -> subprocess.Popen[str]:
    """Train in a process of its own, whose lines can be read."""
    arguments = [str(job.base_model), str(job.data), str(tmp_path / "training"), textwrap.dedent(code)]
    return subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stdout=subprocess.PIPE, text=True)


def test_a_training_killed_between_the_model_and_the_mark_is_done_again(job: Job, tmp_path: Path) -> None:
    code = f"{textwrap.dedent(GOOD)}\nprint(os.getpid(), flush=True)\n__import__('signal').pause()"
    with start(job, tmp_path, code) as process:
        assert process.stdout is not None
        trainer = int(process.stdout.readline())
        process.kill()
        process.wait()
        told: list[str] = []
        waiting = threading.Event()

        def tell(line: str) -> None:
            told.append(line)
            waiting.set()

        results: list[Trained] = []
        again = threading.Thread(target=lambda: results.append(train(job, tmp_path / "training", tell=tell)))
        again.start()
        # The trainer outlived its parent; nobody else begins in its directory before it is gone.
        assert waiting.wait(30)
        assert told == [f"another training is at work in {tmp_path / 'training'}; waiting for its end"]
        os.kill(trainer, signal.SIGKILL)
        again.join(30)
    assert [result.was_done for result in results] == [False]


def test_a_trainer_ends_with_whoever_started_it(job: Job, tmp_path: Path) -> None:
    code = "import signal\nprint('here', flush=True)\nsignal.pause()"

    def tell(line: str) -> None:
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt, match="here"):
        train(replace(job, recipe=program(code)), tmp_path / "training", tell=tell)
    assert not run(job, tmp_path).was_done
