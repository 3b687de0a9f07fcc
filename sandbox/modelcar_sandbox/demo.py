"""`make demo`: the main job on real bytes, with every outside service on loopback, and a look at what happened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from rich.console import Console
from rich.markdown import Markdown

from modelcar.errors import PromotionError
from modelcar_pipelines.arguments import SPEC, read_spec_text
from modelcar_pipelines.catalog import PIPELINES, compile_pipeline
from modelcar_pipelines.compiled_files import list_files, write_files
from modelcar_pipelines.connection import Server, connect
from modelcar_pipelines.run_reports import fetch_report
from modelcar_pipelines.runs import follow, start_run
from modelcar_pipelines.showing import StepLines
from modelcar_pipelines.upload import upload
from modelcar_pipelines.versions import find_version
from modelcar_sandbox.demo_model import write_demo_model
from modelcar_sandbox.git_tree import MANIFEST
from modelcar_sandbox.sandbox import DEMO_MODEL, Sandbox

DIRECTORY = Path(".demo")
PIPELINE = "promote-model"


class DemoFailed(PromotionError):
    """The demo did not show what it says."""


def main() -> None:
    """Compile, upload, run, run again, publish a new version and run; exit 1 unless each did what it should."""
    console = Console()
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    try:
        with Sandbox(DIRECTORY) as sandbox:
            os.environ |= sandbox.environment
            _show(console, sandbox)
    except PromotionError as error:
        console.print(f"\nThe demo failed: {error}", style="red", markup=False)
        sys.exit(1)


def _show(console: Console, sandbox: Sandbox) -> None:
    _heading(console, "Where things run (all on this machine, data in .demo/)")
    services = {
        "Hub": sandbox.hub_url,
        "OCI registry": sandbox.registry_address,
        "Model Registry": sandbox.model_registry_url,
        "Pipelines": sandbox.pipelines_url,
        "git": f"{sandbox.git_url} (stage 01, as Argo CD applies it)",
    }
    for what, where in services.items():
        _say(console, f"  {what:<16} {where}")

    _heading(console, "1. Compile the pipelines, and upload them")
    server = connect()
    _upload(console, server)

    _heading(console, f"2. Run {PIPELINE}: {DEMO_MODEL} from the Hub to a commit in git")
    _run(console, server, sandbox)
    first = _commits(sandbox)
    _expect(len(first) == 2, "the first promotion makes one commit")

    _heading(console, "3. Run it again: nothing is new, so nothing moves")
    report = _run(console, server, sandbox)
    _expect("Nothing was new" in report, "the report says that nothing was new")
    _expect(_commits(sandbox) == first, "no second commit")

    _heading(console, "4. The team publishes new weights in one of two shards; run it once more")
    published = DIRECTORY / "new-weights"
    write_demo_model(published, variant=2)
    sandbox.hub.publish(DEMO_MODEL, published)
    _run(console, server, sandbox)
    _expect(len(_commits(sandbox)) == 3, "new weights make one more commit")

    _heading(console, "What Argo CD would roll out: the history of the GitOps repository")
    for line in _commits(sandbox):
        _say(console, line)
    changed, files = _git(sandbox, "diff", "--name-only", "HEAD~2", "HEAD"), _git(sandbox, "ls-tree", "-r", "HEAD")
    _expect(changed == [MANIFEST], "promotions change their InferenceService and no other file")
    _say(console, f"\nOf {len(files)} files of the tree that Argo CD applies, the promotions changed one: {MANIFEST}")
    _say(console, f"\nThe last report as a page: {_save_report(server)}")
    _say(console, "Next: `.venv/bin/modelcar sandbox up --dir .sandbox` runs the same services for you to play with;")
    _say(console, "README.md says how to use your own Hub, registry, Model Registry, git and Kubeflow Pipelines.")


def _upload(console: Console, server: Server) -> None:
    _command(console, f"modelcar pipeline compile --dir {DIRECTORY / 'compiled'}")
    pipelines = [compile_pipeline(name) for name in PIPELINES]
    for path in write_files(list_files(pipelines), DIRECTORY / "compiled"):
        _say(console, f"{path}  written")
    _command(console, "modelcar pipeline upload")
    for compiled in pipelines:
        done = upload(server, compiled)
        _say(console, f"{compiled.name}  {done.version.name}  uploaded")
        _expect(done.created, "the sandbox's pipeline server is new")


def _run(console: Console, server: Server, sandbox: Sandbox) -> str:
    """Run the pipeline on the sandbox's spec, as the command does; returns its report as Markdown."""
    _command(console, f"modelcar pipeline run {PIPELINE} --spec {DIRECTORY / sandbox.promotion_spec.name} --wait")
    values: dict[str, object] = {SPEC: read_spec_text(sandbox.promotion_spec)}
    run = start_run(server, find_version(server, PIPELINE), values, PIPELINE)
    outcome = follow(server, run.run_id, StepLines(sys.stdout))
    for note in outcome.failures:
        _say(console, f"{note.step}: {note.message}")
    _expect(outcome.exit_code == 0, f"the run ends SUCCEEDED, not {outcome.run.state}")
    report = fetch_report(server, run.run_id, "summary") or ""
    console.print()
    console.print(Markdown(report))
    return report


def _save_report(server: Server) -> Path:
    """The page of the newest run, as a file."""
    newest = server.call(server.runs.run_service_list_runs, page_size=1, sort_by="created_at desc").runs[0]
    path = DIRECTORY / "report.html"
    path.write_text(fetch_report(server, newest.run_id) or "", encoding="utf-8")
    return path


def _commits(sandbox: Sandbox) -> list[str]:
    """Of the GitOps repository, newest first."""
    return _git(sandbox, "log", "--format=%h  %s  %(trailers:key=Image-Digest,separator=%x20)")


def _git(sandbox: Sandbox, *words: str) -> list[str]:
    """Lines that git prints of the GitOps repository."""
    repository = url2pathname(urlsplit(sandbox.git_url).path)
    done = subprocess.run(["git", "--git-dir", repository, *words], check=True, capture_output=True)
    return [line.strip() for line in done.stdout.decode().splitlines()]


def _heading(console: Console, text: str) -> None:
    console.print(f"\n{text}", style="bold cyan", highlight=False)
    console.print("─" * min(len(text), console.width), style="cyan")


def _command(console: Console, text: str) -> None:
    console.print(f"$ {text}\n", style="bold", highlight=False, markup=False, soft_wrap=True)


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _expect(holds: bool, claim: str) -> None:
    if not holds:
        raise DemoFailed(f"expected that {claim}, and it is not so")


if __name__ == "__main__":
    main()
