"""Things that are looked at at once, each for so long and no longer."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from modelcar.errors import GitRepositoryNotFound, PipelineServerNotFound, PromotionError
from modelcar_gitops.doctor.findings import Finding, Sign
from modelcar_pipelines.cluster import NotAllowed

PATIENCE_S: Final = 15.0
"""How long one thing may take, from when all begin; kfp and the Model Registry's client need seconds to be imported."""
_LOOK: Final = "Check the network, and that it runs."
_NOT_THERE: Final = (PipelineServerNotFound, GitRepositoryNotFound)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at.

    Attributes:
        group: Title of its findings.
        subject: What it is called where it fails.
        look: Gives findings; a PromotionError of it becomes one.
        where: The address, where it is known before it is asked.
    """

    group: str
    subject: str
    look: Callable[[], list[Finding]]
    where: str = ""


def run_checks(checks: Sequence[Check], patience_s: float = PATIENCE_S) -> list[Finding]:
    """Do all of them at once.

    Args:
        checks: What to look at.
        patience_s: Whatever has not answered by then is told as broken, and left behind.

    Returns:
        Their findings, in the order of the checks.

    Raises:
        Exception: What a check raised that is no PromotionError: a fault of its own.
    """
    answers: queue.SimpleQueue[tuple[int, list[Finding] | Exception]] = queue.SimpleQueue()
    for number, check in enumerate(checks):
        # Daemons, because a server that is silent must not keep the process from its end.
        threading.Thread(target=_run, args=(number, check, answers), name=check.subject, daemon=True).start()
    deadline = time.monotonic() + patience_s
    found: dict[int, list[Finding]] = {}
    try:
        while len(found) < len(checks):
            number, answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
            if isinstance(answer, Exception):
                raise answer
            found[number] = answer
    except queue.Empty:
        for number, check in enumerate(checks):
            told = f"{check.where} did not answer within {patience_s:g} s".strip()
            found.setdefault(number, [Finding(check.group, check.subject, Sign.BROKEN, told, _LOOK)])
    return [finding for number in range(len(checks)) for finding in found[number]]


def _run(number: int, check: Check, answers: queue.SimpleQueue[tuple[int, list[Finding] | Exception]]) -> None:
    try:
        answers.put((number, check.look()))
    except PromotionError as error:
        answers.put((number, [find_fault(check.group, check.subject, error)]))
    except Exception as error:  # raised again where somebody looks
        answers.put((number, error))


def find_fault(group: str, subject: str, error: PromotionError) -> Finding:
    """An error as a finding: its sentence, and its hint as the way out. What may not be read is not broken."""
    sign = Sign.MISSING if isinstance(error, _NOT_THERE) else Sign.BROKEN
    sign = Sign.CANNOT_TELL if isinstance(error, NotAllowed) else sign
    return Finding(group, subject, sign, str(error), (error.hint or "").strip() or _LOOK)
