"""Schedules as files, so that git can say what is to run and when."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from modelcar.errors import InvalidInput

if TYPE_CHECKING:
    from modelcar_pipelines.connection import Server
    from modelcar_pipelines.schedules import Surroundings

_KEYS: Final = ("pipeline", "cron", "timezone", "spec", "specs", "version", "serviceAccount")


@dataclass(frozen=True, slots=True)
class DeclaredSchedule:
    """What one file says.

    Attributes:
        name: Of the schedule, which is the file's without its ending.
        pipeline: That runs.
        cron: Minute, hour, day, month, weekday.
        timezone: Whose clock that is.
        specs: PromotionSpecs, as mappings or texts; one for pipelines that take one.
        version: Of the pipeline, or None for the latest.
        service_account: Of its pods; empty for the server's own.
    """

    name: str
    pipeline: str
    cron: str
    timezone: str
    specs: tuple[Mapping[str, Any] | str, ...]
    version: str | None
    service_account: str


def read_declared(directory: Path) -> list[DeclaredSchedule]:
    """The schedules of a directory, by name; other files than `*.yaml` are passed over.

    Raises:
        InvalidInput: There is no such directory, or a file is no schedule; names the file, the key and the way out.
    """
    if not directory.is_dir():
        raise InvalidInput(f"{directory} is no directory", hint="Name the one with the files of schedules.")
    return [_read(path) for path in sorted(directory.glob("*.yaml"))]


def apply_declared(server: Server, declared: DeclaredSchedule, around: Surroundings) -> str:
    """Make the server have a schedule; returns what was done, in a word.

    Raises:
        PromotionError: As for `arguments.gather` and `schedules.schedule`.
    """
    from modelcar_pipelines.arguments import gather
    from modelcar_pipelines.schedule_plan import ScheduleRequest
    from modelcar_pipelines.schedules import schedule
    from modelcar_pipelines.versions import find_version, read_spec

    ir = read_spec(server, find_version(server, declared.pipeline, declared.version))
    values = gather(ir, specs=declared.specs)
    request = ScheduleRequest(
        declared.pipeline,
        declared.cron,
        declared.timezone,
        values,
        declared.version,
        declared.name,
        declared.service_account,
    )
    return schedule(server, request, around).action


def _read(path: Path) -> DeclaredSchedule:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        found = YAML(typ="safe", pure=True).load(io.StringIO(path.read_text(encoding="utf-8-sig")))
    except (YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} does not parse as YAML", hint="Check its indentation and its encoding.") from error
    if not isinstance(found, dict):
        raise InvalidInput(f"{path} is no schedule", hint="Give it the keys pipeline, cron, timezone and spec.")
    if unknown := sorted(str(key) for key in found if key not in _KEYS):
        raise InvalidInput(f"{path}: {unknown[0]}: unknown key", hint=f"There are {', '.join(_KEYS)}.")
    if "spec" in found and "specs" in found:
        raise InvalidInput(f"{path} has spec and specs", hint="specs is for promote-models, spec for the others.")
    specs = found.get("specs", [found["spec"]] if "spec" in found else [])
    if not isinstance(specs, list) or not all(isinstance(one, dict | str) for one in specs):
        raise InvalidInput(f"{path}: specs is no list of PromotionSpecs", hint="Write each whole, as spec is written.")
    return DeclaredSchedule(
        path.stem,
        _text(path, found, "pipeline"),
        _text(path, found, "cron"),
        _text(path, found, "timezone", "UTC"),
        tuple(specs),
        _text(path, found, "version", "") or None,
        _text(path, found, "serviceAccount", ""),
    )


def _text(path: Path, found: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = found.get(key, default)
    if value is None:
        raise InvalidInput(f"{path} has no {key}", hint='For instance pipeline: promote-model, cron: "0 2 * * *".')
    if not isinstance(value, str):
        raise InvalidInput(f"{path}: {key} is {value!r}, and no text", hint="Put it in quotes.")
    return value
