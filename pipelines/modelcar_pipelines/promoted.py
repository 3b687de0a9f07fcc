"""Which models the parameters of a promotion name: what a schedule is told apart by."""

from __future__ import annotations

import io
from collections.abc import Mapping

from modelcar.steps.fields import KEYS
from modelcar_pipelines.arguments import SPEC, SPECS

_MODEL, _MANIFEST = KEYS["registered_model"], KEYS["manifest_path"]


def describe_promoted(parameters: Mapping[str, object]) -> str:
    """The models that runs with these parameters promote, and the manifests that serve them.

    Args:
        parameters: Of a run or schedule; `registered_model` and `manifest_path` go before what the spec says.

    Returns:
        For instance `demo-llama (serving/demo-llama.yaml)`, several with commas; empty where they name none.
    """
    specs = parameters.get(SPECS)
    if isinstance(specs, list):
        return ", ".join(filter(None, (_describe(str(one), {}) for one in specs)))
    return _describe(str(parameters.get(SPEC) or ""), parameters)


def _describe(spec: str, fields: Mapping[str, object]) -> str:
    document = _read(spec)
    model = str(fields.get("registered_model") or _look_up(document, _MODEL))
    manifest = str(fields.get("manifest_path") or _look_up(document, _MANIFEST))
    return f"{model} ({manifest})" if model and manifest else model or manifest


def _read(spec: str) -> object:
    """A spec as it stands on a server; nothing where it cannot be read, for then it is not ours to complain."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(io.StringIO(spec))
    except YAMLError:
        return None


def _look_up(document: object, key: str) -> str:
    for name in key.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return str(document or "")
