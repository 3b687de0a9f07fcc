"""Which models the parameters of a promotion name: what schedules are told apart by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass

from modelcar.spec.document import look_up, read_document
from modelcar.steps.fields import KEYS
from modelcar_pipelines.arguments import SPEC, SPECS


@dataclass(frozen=True, slots=True)
class Promoted:
    """A model, and the InferenceService that serves it; what is not said is empty.

    Attributes:
        registered_model: Its name in the Model Registry.
        manifest_path: The InferenceService manifest's file.
        inference_service: metadata.name of the InferenceService.
        namespace: Its metadata.namespace.
    """

    registered_model: str
    manifest_path: str
    inference_service: str
    namespace: str

    def __str__(self) -> str:
        service = "/".join(filter(None, (self.namespace, self.inference_service)))
        # Most services are called as their model; saying it twice tells nobody anything.
        named = f"{service} in " if service not in ("", self.registered_model) else ""
        where = f"{named}{self.manifest_path}" if self.manifest_path else service
        if not self.registered_model or not where:
            return self.registered_model or where
        return f"{self.registered_model} ({where})"

    def is_another(self, other: Promoted) -> bool:
        """Whether anything that both say differs."""
        return any(
            ours != theirs for ours, theirs in zip(astuple(self), astuple(other), strict=True) if ours and theirs
        )


def find_promoted(parameters: Mapping[str, object]) -> Promoted | None:
    """The one model that runs with these parameters promote.

    Args:
        parameters: Of a run or schedule; those that are fields of a spec go before what the spec says.

    Returns:
        None where they name no model, or a list of specs.
    """
    if SPECS in parameters:
        return None
    return _read(str(parameters.get(SPEC) or ""), parameters)


def describe_promoted(parameters: Mapping[str, object]) -> str:
    """All models that runs with these parameters promote, for people.

    Args:
        parameters: As for `find_promoted`.

    Returns:
        For instance `demo-llama (serving/demo-llama.yaml)`, several with commas; empty where they name none.
    """
    specs = parameters.get(SPECS)
    found = [_read(str(one), {}) for one in specs] if isinstance(specs, list) else [find_promoted(parameters)]
    return ", ".join(str(one) for one in found if one is not None)


def _read(spec: str, fields: Mapping[str, object]) -> Promoted | None:
    root = read_document(spec)[0] if spec else None  # a server may hold anything: what cannot be read names no model
    told = [
        str(fields.get(name) or look_up(root, KEYS[name]))
        for name in ("registered_model", "manifest_path", "inference_service", "namespace")
    ]
    return Promoted(*told) if any(told) else None
