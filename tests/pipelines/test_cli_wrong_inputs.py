"""Everything that goes wrong in connecting, uploading, running and scheduling: one clear sentence, and the way out."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bare_machine import few_certificates, home
from canned_answers import Answer, serve_answers
from cli.command import Run, modelcar
from kfp_scripted import Scripted, serve_scripted
from wsgi_faults import Fault

__all__ = ["few_certificates", "home", "modelcar"]

SPEC = """\
apiVersion: modelcar.dev/v1alpha1
kind: PromotionSpec
model: {source: "hf://acme/base"}
image: {repository: registry.example/acme/base}
modelRegistry: {url: "https://registry.example", registeredModel: base}
inferenceService: {repository: "https://git.example/x.git", path: base.yaml, name: base}
"""
FIVE = "A schedule has five fields: minute, hour, day of month, month, day of week; every night at two is 0 2 * * *."
PIPELINES = "There are promote-model, promote-model-workspace, promote-models, retrain-and-promote."
NAMED = "Name the pipeline server with --endpoint or KF_PIPELINES_ENDPOINT"
DOLLAR = (
    "the parameter text holds $( or $$, which Kubernetes replaces on the way to the step",
    "Give the spec as a file (--spec), where a dollar sign may stand.",
)
KIND = "datasciencepipelinesapplications.datasciencepipelinesapplications.opendatahub.io"


@dataclass(frozen=True)
class Case:
    """A command that must fail, and all that it says then.

    Attributes:
        arguments: After `modelcar pipeline`; SERVER, CLOSED, HOME and ANSWERS are filled in, in texts as well.
        sentence: What is wrong.
        hint: The way out; None when there is none, or when the command line itself is wrong.
        code: 2 when the caller is at fault, else 1.
        env: Variables beside `KF_PIPELINES_ENDPOINT`, which an empty one takes away.
        answer: Of the server at `ANSWERS`.
        fault: On the way to the server.
    """

    arguments: tuple[str, ...]
    sentence: str
    hint: str | None = None
    code: int = 2
    env: Mapping[str, str] = field(default_factory=dict)
    answer: Answer = field(default_factory=Answer)
    fault: Fault | None = None


def connecting(answer: Answer, sentence: str, hint: str, code: int) -> Case:
    return Case(("list", "--endpoint", "ANSWERS"), sentence, hint, code, answer=answer)


def discovering(answer: Answer, sentence: str, hint: str, code: int = 2, *more: str) -> Case:
    env = {"KF_PIPELINES_ENDPOINT": "", "KUBECONFIG": "HOME/work/kubeconfig"}
    return Case(("list", *more), sentence, hint, code, env, answer)


def cluster_says(code: int) -> Answer:
    return Answer(code, {"kind": "Status", "status": "Failure", "code": code})


def servers(*names: str) -> Answer:
    return Answer(200, {"items": [{"metadata": {"name": name}, "status": {}} for name in names]})


CONNECTING = {
    "no server is named": Case(
        ("list",),
        "there is no cluster to ask: no kubeconfig at HOME/.kube/config",
        f"Log in to the cluster with oc login. {NAMED} to do without.",
        env={"KF_PIPELINES_ENDPOINT": ""},
    ),
    "no address": Case(
        ("list", "--endpoint", "localhost"),
        "'localhost' is not the URL of a pipeline server",
        "Write http(s)://HOST[:PORT][/PATH], for instance https://ds-pipeline-dspa.example.com.",
    ),
    "a password in the address": Case(
        ("list", "--endpoint", "https://me:s3cret@x.example"),
        "the pipeline server's URL (host x.example) holds a user name or a password",
        "Leave them out; a token goes into KF_PIPELINES_TOKEN or the file KF_PIPELINES_TOKEN_FILE names.",
    ),
    "nobody listens": Case(
        ("list", "--endpoint", "CLOSED"),
        "the pipeline server at CLOSED cannot be reached: Connection refused",
        "Check the address, and that the server runs and may be reached from here.",
        1,
    ),
    "no token file": Case(
        ("list", "--token-file", "nothing"),
        "the pipeline server's token file nothing cannot be read: No such file or directory",
        "Name a file that holds a token in KF_PIPELINES_TOKEN_FILE.",
    ),
    "a token without encryption": Case(
        ("list", "--endpoint", "http://x.example"),
        "a token would travel unencrypted to the pipeline server at http://x.example",
        "Use its https:// URL, or unset KF_PIPELINES_TOKEN and KF_PIPELINES_TOKEN_FILE.",
        env={"KF_PIPELINES_TOKEN": "s3cret"},
    ),
    "no CA file": Case(
        ("list", "--endpoint", "https://x.example", "--ca-file", "nothing"),
        "the CA file nothing cannot be read: No such file or directory",
        "Name the CA's certificate in PIPELINES_SSL_CA_CERTS.",
    ),
    "a CA file without certificates": Case(
        ("list", "--endpoint", "https://x.example", "--ca-file", "spec.yaml"),
        "the CA file spec.yaml holds no certificate",
        "A CA file is one or more certificates in PEM.",
    ),
    "a login page": connecting(
        Answer(200, b"<html><title>Log in</title></html>"),
        "ANSWERS answers with a page to log in, not as a pipeline server",
        "Put a token into KF_PIPELINES_TOKEN, or into a file that KF_PIPELINES_TOKEN_FILE names; "
        "with OpenShift's client `oc whoami -t` prints one.",
        2,
    ),
    "another page": connecting(
        Answer(200, b"<html>"),
        "ANSWERS is not a pipeline server: it answers with a web page",
        "Check --endpoint and KF_PIPELINES_ENDPOINT: it is the API's address, without /apis at its end.",
        1,
    ),
    "401": connecting(
        Answer(401),
        "the pipeline server at ANSWERS asks for a token (401)",
        "Put one into KF_PIPELINES_TOKEN, or into a file that KF_PIPELINES_TOKEN_FILE names.",
        2,
    ),
    "403": connecting(
        Answer(403),
        "the pipeline server at ANSWERS does not allow this (403)",
        "Ask for a role in its namespace, for instance edit, for the token's user or ServiceAccount.",
        2,
    ),
    "something else": connecting(
        Answer(200, b"hello"),
        "ANSWERS is not a pipeline server: its answer is no JSON",
        "Check --endpoint and KF_PIPELINES_ENDPOINT: it is the API's address, without /apis at its end.",
        1,
    ),
    "a broken server": connecting(
        Answer(500, {"code": 13, "message": "database is gone"}),
        "the pipeline server at ANSWERS answered 500: database is gone",
        "Look whether its pods run and what their logs say, and try again.",
        1,
    ),
    "a namespace without server": discovering(
        servers(),
        "namespace elsewhere has no pipeline server",
        "Name another one with --namespace, or configure a pipeline server in that project.",
        2,
        "--namespace",
        "elsewhere",
    ),
    "a namespace with several": discovering(
        servers("b", "a"), "namespace demo has several pipeline servers: a, b", "Name one with --endpoint."
    ),
    "a namespace of others": discovering(
        cluster_says(403),
        f"the cluster at ANSWERS does not let you list {KIND} in namespace demo (403)",
        f"Check the namespace and ask for the role view in it. {NAMED} to do without.",
    ),
    "a login that has expired": discovering(
        cluster_says(401),
        "the cluster at ANSWERS does not know who you are (401)",
        "Log in again, for instance with oc login.",
    ),
    "a cluster without OpenShift AI": discovering(
        Answer(404, b"404 page not found\n"),
        f"the cluster at ANSWERS has no pipeline servers of OpenShift AI: it does not know {KIND}",
        "Check which cluster the kubeconfig names, or name the pipeline server with --endpoint.",
    ),
    "a kubeconfig that is none": Case(
        ("list",),
        "the kubeconfig HOME/work/text cannot be used: it does not parse as one",
        f"Log in to the cluster again, with oc login. {NAMED} to do without.",
        env={"KF_PIPELINES_ENDPOINT": "", "KUBECONFIG": "HOME/work/text"},
    ),
}


def refused(status: int, message: str) -> Fault:
    body = json.dumps({"error_message": message, "error_details": f"{message}\n github.com/x.go:7"}).encode()
    return Fault.answer("POST", "/upload_version$", status, body=body)


UPLOAD = ("upload", "promote-models")
UPLOADING = {
    "no such pipeline": Case(("upload", "nothing"), "there is no pipeline 'nothing'", PIPELINES),
    "an image without registry": Case(
        (*UPLOAD, "--image", "a b"),
        "image reference 'a b' does not name its registry",
        "Write registry/repository:tag, for instance quay.io/team/model:latest.",
    ),
    "an image without tag": Case(
        (*UPLOAD, "--image", "registry.example/a"),
        "registry.example/a names neither tag nor digest",
        "Write registry.example/a:0.1.0, or better a digest.",
    ),
    "the server refuses it": Case(
        UPLOAD,
        "the pipeline server at SERVER refuses this: Failed to create a pipeline version",
        fault=refused(400, "Failed to create a pipeline version"),
    ),
    "the server fails": Case(
        UPLOAD,
        "the pipeline server at SERVER answered 500: no space left",
        "Look whether its pods run and what their logs say, and try again.",
        1,
        fault=refused(500, "no space left"),
    ),
    "the connection breaks": Case(
        UPLOAD,
        "the pipeline server at SERVER cannot be reached: it broke the connection, or does not speak HTTP",
        "It may have happened all the same: look before you do it again.",
        1,
        fault=Fault.cut_request("POST", "/upload_version$", 0, reset=False),
    ),
    "compile: no such pipeline": Case(("compile", "nothing"), "there is no pipeline 'nothing'", PIPELINES),
    "compile: a file in the place of the directory": Case(
        ("compile", "promote-models", "--dir", "text"),
        "cannot read text/kfp/promote-models.yaml: Not a directory",
        "Name a directory for the compiled pipelines with --dir.",
    ),
}

SPECIFIED = ("--spec", "spec.yaml")
RUN = ("run", "hello", *SPECIFIED)
OTHERS = (
    "modelcar pipeline list says what it has; "
    "ours are promote-model, promote-model-workspace, promote-models, retrain-and-promote."
)
LISTED = "modelcar pipeline list shows the newest runs."
TAKES = "The pipeline takes do, text, spec, scheduled."
WORDS = "--dir and --image go with --local; upload takes --image, too."
RUNNING = {
    "no such pipeline": Case(("run", "nothing"), "SERVER has no pipeline nothing", OTHERS),
    "a pipeline of ours that was not uploaded": Case(
        ("run", "retrain-and-promote"),
        "SERVER has no pipeline retrain-and-promote",
        "modelcar pipeline upload retrain-and-promote",
    ),
    "no pipeline": Case(("run",), "Missing argument 'NAME'."),
    "no such parameter": Case((*RUN, "--param", "colour=red"), "hello has no parameter colour", TAKES),
    "a spec twice": Case(
        (*RUN, "--param", "spec=x"),
        "--spec and --param spec=… are both given",
        "Give one of them.",
    ),
    "no name": Case((*RUN, "--param", "=x"), "--param '=x' is not NAME=VALUE", "Write --param image_tag=nightly."),
    "twice": Case(
        (*RUN, "--param", "text=a", "--param", "text=b"), "--param text=… is given twice", "Give one of them."
    ),
    "no value": Case((*RUN, "--param", "text"), "--param 'text' is not NAME=VALUE", "Write --param image_tag=nightly."),
    "another type": Case(
        (*RUN, "--param", "do=7"),
        "the parameter do takes a list, not 7",
        'A list is written as JSON: ["a", "b"].',
    ),
    "half of a list": Case(
        (*RUN, "--param", "do=["),
        "the parameter do takes a list, not '['",
        'A list is written as JSON: ["a", "b"].',
    ),
    "no such file": Case(
        ("run", "hello", "--spec", "no.yaml"), "no.yaml: no such file", "Name the PromotionSpec's file."
    ),
    "a directory": Case(("run", "hello", "--spec", "."), ".: is a directory", "Name the PromotionSpec's file."),
    "a faulty spec": Case(
        ("run", "hello", "--spec", "faulty.yaml"),
        "faulty.yaml:1: image.repository: is required\nfaulty.yaml:4: imag: unknown key; did you mean image?",
        "docs/reference/promotion-spec.md lists every key and default.",
    ),
    "two specs": Case((*RUN, *SPECIFIED), "hello promotes one model, not 2", "Run promote-models instead."),
    "a pipeline that takes none": Case(("run", "bare", *SPECIFIED), "hello-pipe takes no spec", "It takes do, count."),
    "a variable of Kubernetes": Case((*RUN, "--param", "text=$(HOME)"), *DOLLAR),
    "a dollar sign that Kubernetes halves": Case((*RUN, "--param", "text=a$$b"), *DOLLAR),
    "a directory for a run on a server": Case((*RUN, "--dir", "x"), WORDS),
    "an image for a run on a server": Case((*RUN, "--image", "x"), WORDS),
    "local, on a server": Case((*RUN, "--local", "--endpoint", "SERVER"), "--local takes no server."),
    "local, in a namespace": Case((*RUN, "--local", "--namespace", "demo"), "--local takes no server."),
    "local, no such pipeline": Case(("run", "nothing", "--local"), "there is no pipeline 'nothing'", PIPELINES),
    "local, nothing to promote": Case(
        ("run", "promote-model", "--local", "--param", "image_tag=x"),
        "promote-model is given nothing to promote",
        "Give the file of a PromotionSpec with --spec FILE.",
    ),
    "local, an empty list of specs": Case(
        ("run", "promote-models", "--local", "--param", "specs=[]"),
        "promote-models is given nothing to promote",
        "Give the file of a PromotionSpec with --spec FILE.",
    ),
    "the server fails": Case(
        RUN,
        "the pipeline server at SERVER answered 500: Failed to create a run",
        "Look whether its pods run and what their logs say, and try again.",
        1,
        fault=Fault.answer("POST", "/runs$", 500, body=b'{"code": 13, "message": "Failed to create a run"}'),
    ),
    "the connection breaks": Case(
        RUN,
        "the pipeline server at SERVER cannot be reached: it broke the connection, or does not speak HTTP",
        "It may have happened all the same: look before you do it again.",
        1,
        fault=Fault.cut_request("POST", "/runs$", 0, reset=False),
    ),
    "status of no run": Case(
        ("status", "nope"), "the pipeline server at SERVER does not have that: Run nope not found", LISTED
    ),
    "waiting for no run": Case(
        ("status", "nope", "--wait"), "the pipeline server at SERVER does not have that: Run nope not found", LISTED
    ),
    "a server that breaks while a run is waited for": Case(
        ("status", "nope", "--wait"),
        "the pipeline server at SERVER refuses this: broken",
        "This does not end the run; modelcar pipeline status nope --wait follows it again.",
        fault=Fault.answer("GET", "/runs/nope$", 400, body=b'{"code": 3, "message": "broken"}'),
    ),
    "cancelling no run": Case(
        ("cancel", "nope"), "the pipeline server at SERVER does not have that: Run nope not found", LISTED
    ),
    "too long a list": Case(
        ("list", "--runs", "201"), "Invalid value for '--runs': 201 is not in the range 0<=x<=200."
    ),
}


def cron(expression: str, sentence: str, hint: str) -> Case:
    return Case(("schedule", "hello", *SPECIFIED, "--cron", expression), sentence, hint)


NIGHTLY = ("schedule", "hello", *SPECIFIED, "--cron", "0 2 * * *")
NO_ZONE = (
    "'Mars' is no time zone",
    "Give a name like Europe/Amsterdam or UTC; a fixed offset of two hours east is Etc/GMT-2.",
)
NO_SCHEDULE = ("there is no schedule nope", "There are none that this program has made.")
SCHEDULING = {
    "four fields": cron("2 * * *", "2 * * * has 4 fields", FIVE),
    "six fields": cron("0 0 2 * * *", "0 0 2 * * * has six fields", f"Leave out the seconds. {FIVE}"),
    "no fields": cron("", "the schedule is empty", FIVE),
    "no such name": cron(
        "@never",
        "@never is no schedule that can be used here",
        "Known are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly.",
    ),
    "no such day": cron("0 2 30 2 *", "0 2 30 2 * never fires: there is no such day", "Check day of month and month."),
    "no such minute": cron("61 * * * *", "61 is no minute", "The field minute takes 0 to 59."),
    "a word": cron(
        "a * * * *",
        "'a' cannot be read in the field minute",
        "It takes numbers from 0 to 59, ranges (a-b), steps (*/n), lists (a,b) and *; "
        "?, L, W and # of other crons are not known.",
    ),
    "a range that goes backwards": cron(
        "0 22-2 * * *", "22-2 goes backwards in the field hour", "Write it as two: 22-23,0-2."
    ),
    "a zone among the fields": cron(
        "CRON_TZ=UTC 0 2 * * *",
        "a schedule has no settings in it: CRON_TZ=UTC",
        "The time zone is given beside it (--timezone).",
    ),
    "no such zone": Case((*NIGHTLY, "--timezone", "Mars"), *NO_ZONE),
    "no such zone of the server": Case((*NIGHTLY, "--server-timezone", "Mars"), *NO_ZONE),
    "no such version": Case(
        (*NIGHTLY, "--version", "nope"),
        "hello has no version nope",
        "The latest is hello; leave the version out to run whatever is the latest.",
    ),
    "a name with blanks around it": Case(
        (*NIGHTLY, "--name", " x "),
        "' x ' cannot be a schedule's name",
        "Take up to 100 letters without blanks at the ends.",
    ),
    "no such parameter": Case((*NIGHTLY, "--param", "colour=red"), "hello has no parameter colour", TAKES),
    "the schedule's own parameter": Case(
        (*NIGHTLY, "--param", "scheduled=x"), "the parameter scheduled is set by the schedule itself", "Leave it out."
    ),
    "a variable of Kubernetes": Case((*NIGHTLY, "--param", "text=$(HOME)"), *DOLLAR),
    "no such file": Case(
        ("schedule", "hello", "--cron", "0 2 * * *", "--spec", "no.yaml"),
        "no.yaml: no such file",
        "Name the PromotionSpec's file.",
    ),
    "no such pipeline": Case(
        ("schedule", "nothing", "--cron", "0 2 * * *"),
        "SERVER has no pipeline nothing",
        OTHERS,
    ),
    "no cron": Case(("schedule", "hello"), "Missing option '--cron'."),
    "a pipeline that cannot tell the wrong hour": Case(
        ("schedule", "bare", "--cron", "0 2 * * *", "--timezone", "Europe/Amsterdam"),
        "a server whose clocks are UTC cannot say 0 2 * * * in Europe/Amsterdam exactly, and bare has no parameter "
        "scheduled to find out what came at the wrong time",
        "Say it in UTC, or give the pipeline's first step what modelcar.schedule.find_wrong_hour needs.",
    ),
    "pausing no schedule": Case(("pause", "nope"), *NO_SCHEDULE),
    "resuming no schedule": Case(("resume", "nope"), *NO_SCHEDULE),
    "removing no schedule": Case(("unschedule", "nope"), *NO_SCHEDULE),
    "the server fails": Case(
        NIGHTLY,
        "the pipeline server at SERVER answered 500: no such table",
        "Look whether its pods run and what their logs say, and try again.",
        1,
        fault=Fault.answer("POST", "/recurringruns$", 500, body=b'{"code": 13, "message": "no such table"}'),
    ),
}
ALL = {
    f"{group}: {name}": case
    for group, cases in (
        ("connecting", CONNECTING),
        ("uploading", UPLOADING),
        ("running", RUNNING),
        ("scheduling", SCHEDULING),
    )
    for name, case in cases.items()
}


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    with serve_scripted(tmp_path_factory.mktemp("kfp")) as made:
        made.api.pipeline("promote-models")
        yield made


@pytest.fixture(scope="module")
def closed() -> Iterator[str]:
    """A port that is taken, and on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def work(home: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory that the user's shell is in."""
    directory = home / "work"
    directory.mkdir()
    (directory / "spec.yaml").write_text(SPEC)
    (directory / "faulty.yaml").write_text(SPEC.replace("image:", "imag:"))
    (directory / "text").write_text("x")
    monkeypatch.chdir(directory)
    for name in ("KUBECONFIG", "KF_PIPELINES_NAMESPACE", "KF_PIPELINES_TOKEN", "KF_PIPELINES_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", scripted.api.url)
    monkeypatch.setenv("COLUMNS", "100")
    return directory


def write_kubeconfig(path: Path, url: str) -> None:
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "now",
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": {}}],
                "contexts": [{"name": "now", "context": {"cluster": "c", "user": "u", "namespace": "demo"}}],
            }
        )
    )


def state(scripted: Scripted, directory: Path) -> Any:
    """All that a failed command must leave as it was."""
    versions = [
        scripted.api.get(f"/pipelines/{one['pipeline_id']}/versions")
        for one in scripted.api.get("/pipelines")["pipelines"]
    ]
    kept = versions, scripted.api.get("/runs"), scripted.api.get("/recurringruns")
    return kept, {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", ALL.values(), ids=ALL)
def test_what_is_wrong_is_told_in_a_sentence(
    case: Case,
    modelcar: Run,
    work: Path,
    scripted: Scripted,
    closed: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serve_answers(case.answer) as answers:
        places = {"SERVER": scripted.api.url, "CLOSED": closed, "HOME": str(work.parent), "ANSWERS": answers.url}

        def fill(text: str) -> str:
            return re.sub("|".join(places), lambda found: places[found[0]], text)

        write_kubeconfig(work / "kubeconfig", answers.url)
        for name, value in case.env.items():
            monkeypatch.setenv(name, fill(value))
        before = state(scripted, work)
        if case.fault is not None:
            scripted.faults.add(case.fault)
        ran = modelcar("pipeline", *map(fill, case.arguments))
        scripted.faults.clear()
    said = [line for line in ran.stderr.splitlines() if line and not line.startswith(("Usage: ", "Try ", "warning: "))]
    expected = "\n".join([f"Error: {fill(case.sentence)}", *([fill(case.hint)] if case.hint is not None else [])])
    assert (ran.code, "\n".join(said), ran.stdout) == (case.code, expected, "")
    assert state(scripted, work) == before


def test_a_certificate_that_nobody_trusts_is_told(modelcar: Run, work: Path, certificate: Path) -> None:
    with serve_answers(Answer(), certificate=certificate) as answers:
        ran = modelcar("pipeline", "list", "--endpoint", answers.url)
        assert ran.stderr.splitlines() == [
            f"Error: the pipeline server at {answers.url} cannot be trusted: self-signed certificate",
            "Name its CA's certificate with --ca-file or in PIPELINES_SSL_CA_CERTS, and the host as its certificate "
            "does.",
        ]
    assert (ran.code, ran.stdout) == (1, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("upload", "promote-models"),
        ("run", "hello"),
        ("list",),
        ("status", "x"),
        ("cancel", "x"),
        ("schedule", "hello", "--cron", "@daily"),
        ("schedules",),
        ("pause", "x"),
        ("resume", "x"),
        ("unschedule", "x"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_command_says_that_its_server_is_not_there(
    arguments: tuple[str, ...], modelcar: Run, work: Path, closed: str
) -> None:
    ran = modelcar("pipeline", *arguments, "--endpoint", closed)
    *warnings, sentence, hint = ran.stderr.splitlines()
    assert (ran.code, sentence) == (1, f"Error: the pipeline server at {closed} cannot be reached: Connection refused")
    assert hint == "Check the address, and that the server runs and may be reached from here."
    assert all(line.startswith("warning: ") for line in warnings)
