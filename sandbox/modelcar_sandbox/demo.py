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

from modelcar.display import show_progress, stderr_console
from modelcar.drawing import draw_promotion
from modelcar.errors import PromotionError
from modelcar.promotion import Promotion, promote
from modelcar.spec import load_spec
from modelcar_sandbox.demo_model import write_demo_model
from modelcar_sandbox.sandbox import DEMO_MODEL, Sandbox

DIRECTORY = Path(".demo")


class DemoFailed(PromotionError):
    """The demo did not show what it says."""


def main() -> None:
    """Promote, promote again, publish a new version and promote that; exit 1 unless each did what it should."""
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
        "git": sandbox.git_url,
    }
    for what, where in services.items():
        _say(console, f"  {what:<16} {where}")

    _heading(console, f"1. Promote {DEMO_MODEL}: from the Hub to a commit in git")
    first = _promote(console, sandbox)
    _expect(len(first.register.created) == 3 and first.patch.changed, "the first promotion makes version and commit")

    _heading(console, "2. Promote it again: nothing is new, so nothing moves")
    second = _promote(console, sandbox)
    _expect(second.push.digest == first.push.digest, "the same model gives the same digest")
    _expect(second.push.bytes_read == 0 and second.push.bytes_uploaded == 0, "no byte moves twice")
    _expect(not second.register.created and not second.patch.changed, "no second version, no second commit")

    _heading(console, "3. The team publishes new weights in one of two shards; promote once more")
    published = DIRECTORY / "new-weights"
    write_demo_model(published, variant=2)
    sandbox.hub.publish(DEMO_MODEL, published)
    third = _promote(console, sandbox)
    _expect(third.patch.changed and third.push.bytes_reused > 0, "only what changed moves")

    _heading(console, "What Argo CD would roll out: the history of the GitOps repository")
    repository = url2pathname(urlsplit(sandbox.git_url).path)
    form = "%h  %s%n         %(trailers:key=Image-Digest,separator=%x20)"
    log = subprocess.run(["git", "--git-dir", repository, "log", f"--format={form}"], check=True, capture_output=True)
    _say(console, log.stdout.decode())
    _say(console, "Next: `.venv/bin/modelcar sandbox up --dir .sandbox` runs the same services for you to play with;")
    _say(console, "README.md says how to use your own Hub, registry, Model Registry and git.")


def _promote(console: Console, sandbox: Sandbox) -> Promotion:
    console.print(f"$ modelcar promote {DIRECTORY / sandbox.promotion_spec.name}\n", style="bold", highlight=False)
    promotion = promote(
        load_spec(sandbox.promotion_spec),
        show_progress=lambda total_bytes: show_progress(total_bytes, stderr_console()),
    )
    draw_promotion(promotion, console)
    return promotion


def _heading(console: Console, text: str) -> None:
    console.print(f"\n{text}", style="bold cyan", highlight=False)
    console.print("─" * min(len(text), console.width), style="cyan")


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _expect(holds: bool, claim: str) -> None:
    if not holds:
        raise DemoFailed(f"expected that {claim}, and it is not so")


if __name__ == "__main__":
    main()
