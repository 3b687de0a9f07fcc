"""Hold a server against a recorded contract: send each request, compare each answer.

A step is `{"name", "request", "expect": {"status", "json"?}, "save"?}`, its request `{"method", "path", "query"?,
"json"? | "text"? | "file"?}`; a file is `{"name", "text"}`, sent as the form field `uploadfile`. `{run}` is a name of
this run alone, `{model}` what an earlier step saved with `"save": {"model": "id"}`. Expected values may be `<any>`,
`<time>` (milliseconds, or RFC 3339), `<uuid>`, `<token>` (text that is not empty) or `<absent>`; members that the
contract does not name may be there, entries of lists may not.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

CONTRACTS = Path(__file__).parent / "contracts"
TIMEOUT_S = 60
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

PLACEHOLDERS: Mapping[str, Callable[[Any], bool]] = {
    "<any>": lambda _: True,
    "<time>": lambda value: (
        isinstance(value, str)
        and bool(re.fullmatch(r"[0-9]{10,13}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", value))
    ),
    "<uuid>": lambda value: (
        isinstance(value, str) and bool(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value))
    ),
    "<token>": lambda value: isinstance(value, str) and bool(value),
}


@dataclass
class Replay:
    """One run of a contract against one server.

    Attributes:
        base: URL that the paths come after.
        saved: Names and their values; `run` is always there.
    """

    base: str
    saved: dict[str, str] = field(default_factory=lambda: {"run": f"run-{uuid.uuid4().hex[:10]}"})

    def run(self, contract: str) -> tuple[int, list[str]]:
        """Replay a whole contract; the number of its steps, and what was wrong."""
        steps = [json.loads(line) for line in (CONTRACTS / contract).read_text(encoding="utf-8").splitlines()]
        with requests.Session() as session:
            return len(steps), [f"{step['name']}: {wrong}" for step in steps for wrong in self._step(session, step)]

    def _step(self, session: requests.Session, step: dict[str, Any]) -> list[str]:
        request, expect = self._fill(step["request"]), step["expect"]
        answer = session.request(
            request["method"],
            self.base + request["path"],
            params=request.get("query"),
            timeout=TIMEOUT_S,
            **_body(request),
        )
        for name, member in step.get("save", {}).items():
            self.saved[name] = answer.json()[member]
        if answer.status_code != expect["status"]:
            return [f"status {answer.status_code} instead of {expect['status']}: {answer.text[:200]}"]
        return list(differences(self._fill(expect["json"]), answer.json())) if "json" in expect else []

    def _fill(self, value: Any) -> Any:
        if isinstance(value, str):
            return re.sub(r"\{(\w+)\}", lambda found: self.saved.get(found[1], found[0]), value)
        if isinstance(value, list):
            return [self._fill(item) for item in value]
        if isinstance(value, dict):
            return {self._fill(key): self._fill(item) for key, item in value.items()}
        return value


def _body(request: Mapping[str, Any]) -> dict[str, Any]:
    if "file" in request:
        return {"files": {"uploadfile": (request["file"]["name"], request["file"]["text"])}}
    body = request["text"] if "text" in request else json.dumps(request["json"]) if "json" in request else None
    return {"data": body, "headers": {"Content-Type": "application/json"}}


def differences(want: Any, got: Any, where: str = "$") -> Iterator[str]:
    """What in an answer is not as expected, a sentence each."""
    if isinstance(want, str) and want in PLACEHOLDERS:
        if not PLACEHOLDERS[want](got):
            yield f"{where} is {got!r}, not {want}"
    elif isinstance(want, dict) and isinstance(got, dict):
        for key, value in want.items():
            yield from _member_differences(value, got, key, f"{where}.{key}")
    elif isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for number, pair in enumerate(zip(want, got, strict=True)):
            yield from differences(*pair, f"{where}[{number}]")
    elif want != got:
        yield f"{where} is {got!r}, not {want!r}"


def _member_differences(want: Any, got: Mapping[str, Any], key: str, where: str) -> Iterator[str]:
    if want == "<absent>":
        if key in got:
            yield f"{where} is there: {got[key]!r}"
    elif key not in got:
        yield f"{where} is not there"
    else:
        yield from differences(want, got[key], where)
