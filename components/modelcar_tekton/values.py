r"""Values as the texts that Tekton and the kubelet hand on.

Everything in a Tekton run is text, and on its way from a run's parameter to a step's environment it is read twice:
Tekton puts values where it finds `$(params.NAME)`, also inside of what it has put there; then the kubelet makes `$` of
`$$` and puts variables where it finds `$(NAME)`. There is no escape that holds for both. So no text of ours has a `$`:
a string with one travels as JSON, with `\u0024` in its place.

A string without anything in it that needs this travels as it is, and is what people write in a console. What begins
with a double quote and is a JSON string is one; numbers, booleans, lists and objects are JSON in any case.

Source: https://tekton.dev/docs/pipelines/tasks/#using-variable-substitution and
https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

from modelcar.errors import InvalidInput

LONGEST_BYTES: Final = 120_000
"""Of one text. Linux takes environment variables up to 128 KiB, name and all: `MAX_ARG_STRLEN`, execve(2)."""
_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "STRING": (str,),
    "NUMBER_INTEGER": (int,),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
}


def encode(value: Any, name: str) -> str:
    """The text of a value.

    Args:
        value: Of JSON: a string, a number, true or false, a list or an object.
        name: What an error calls it.

    Raises:
        InvalidInput: The text would be too long to reach a step, or JSON has no such value: half of a surrogate pair,
            a number that is none or has no end, lists in lists without end.
    """
    try:
        text = value if isinstance(value, str) and _is_plain(value) else _write_json(_whole(value))
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{name} holds a character that is none", hint="Write it as UTF-8.") from error
    except (ValueError, TypeError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidInput(
            f"{name} is no value of JSON: {reason}", hint="Give strings, finite numbers, true or false, lists, objects."
        ) from error
    if size > LONGEST_BYTES:
        raise InvalidInput(
            f"{name} is {size} bytes as text; {LONGEST_BYTES} can be handed to a step of Tekton",
            hint="Put it into a file or an object store, and hand on its address.",
        )
    return text


def decode(text: str, kind: str, name: str) -> Any:
    """The value of a text.

    Args:
        text: As it arrived.
        kind: One of Kubeflow Pipelines' types of parameters, such as STRING.
        name: What an error calls it.

    Raises:
        InvalidInput: It is no value of that type; or it holds a `$`, so that nobody knows what it was when it was sent.
    """
    if "$" in text:
        raise InvalidInput(
            f"{name} holds a $, and Tekton and Kubernetes replace parts of such a text on its way to the step",
            hint='Start the run with modelcar pipeline run --tekton, or write it as JSON: "…\\u0024…".',
        )
    value: Any = _read_string(text) if kind == "STRING" else _read_json(text)
    if not isinstance(value, _KINDS[kind]) or isinstance(value, bool) != (kind == "BOOLEAN"):
        shown = text if len(text) <= 60 else f"{text[:60]}…"
        raise InvalidInput(f"{name} is {shown!r}, and no {kind}", hint="Values other than strings are written as JSON.")
    return value


def _is_plain(text: str) -> bool:
    """Whether nothing in the text needs to be written otherwise; a text with lines keeps them."""
    return "$" not in text and not text.startswith('"') and text.replace("\n", "").isprintable()


def _whole(value: Any) -> Any:
    """The same with whole numbers written as such: compiled pipelines have them as fractions."""
    if isinstance(value, list):
        return [_whole(one) for one in value]
    if isinstance(value, dict):
        return {key: _whole(one) for key, one in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _write_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("$", r"\u0024")


def _read_string(text: str) -> str:
    value = _read_json(text) if text.startswith('"') else None
    return value if isinstance(value, str) else text


def _read_json(text: str) -> Any:
    """None where it is no JSON, which is no value of any type either."""
    try:
        return json.loads(text, parse_constant=_read_number, parse_float=_read_number)
    except (ValueError, RecursionError):
        return None


def _read_number(text: str) -> float:
    """A number that is one, and has an end: JSON has no others, and Python reads them all the same."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number
