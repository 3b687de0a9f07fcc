"""Which calls of a webhook start a run: the listener's filter, decided by an interpreter of CEL.

Two functions of Tekton's are ours here: the look-up of a header, and the comparison with a Secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cel
import pytest

from modelcar_pipelines.tekton.objects import SAMPLE_MODEL
from tekton.hub_webhook import make_webhook
from tekton.test_files import read

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SECRET = "s3cret"


def starts(body: Mapping[str, Any], secret: str | None = SECRET) -> bool:
    """Whether a call starts a run; an expression that cannot be decided does not, as with Tekton."""
    (trigger,) = read("trigger/event-listener.yaml")["spec"]["triggers"]
    (parameter,) = trigger["interceptors"][0]["params"]
    context = cel.Context()
    context.add_variable("body", body)
    context.add_variable("header", {"X-Webhook-Secret": secret or ""})
    context.add_function("canonical", lambda header, name: header[name])
    context.add_function(
        "compareSecret", lambda given, key, name: (given, key, name) == (SECRET, "secret", "modelcar-webhook")
    )
    try:
        return cel.evaluate(parameter["value"], context) is True
    except (RuntimeError, ValueError, TypeError, KeyError):
        return False


def change(**parts: Any) -> dict[str, Any]:
    """The call that starts a run, but for these parts."""
    body = make_webhook(SAMPLE_MODEL, COMMIT)
    for name, part in parts.items():
        body[name] = {**body[name], **part} if isinstance(part, dict) else part
    return body


def test_new_content_on_the_main_branch_of_the_model_starts_a_run() -> None:
    assert starts(change())


def test_nobody_without_the_secret_starts_a_run() -> None:
    assert not starts(change(), "guessed")
    assert not starts(change(), None)


@pytest.mark.parametrize(
    "body",
    [
        make_webhook("somebody/else", COMMIT),
        make_webhook(SAMPLE_MODEL, COMMIT, "refs/pr/7"),
        make_webhook(SAMPLE_MODEL, COMMIT, "refs/tags/v1"),
        make_webhook(SAMPLE_MODEL, "main; rm -rf /"),
        change(repo={"type": "dataset"}),
        change(event={"scope": "repo.config"}),
        change(event={"scope": "discussion"}),
        change(updatedRefs=[]),
        {name: part for name, part in change().items() if name != "updatedRefs"},
        {},
    ],
    ids=[
        "model",
        "pull request",
        "tag",
        "no commit",
        "dataset",
        "settings",
        "comment",
        "no ref",
        "refs left out",
        "empty",
    ],
)
def test_nothing_else_starts_a_run(body: dict[str, Any]) -> None:
    assert not starts(body)


def test_one_of_several_refs_is_enough() -> None:
    refs = [{"ref": "refs/pr/7"}, {"ref": "refs/heads/main"}]
    assert starts(change(updatedRefs=refs))
