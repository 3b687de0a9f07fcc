"""The kinds of object that are kept, and what is special about each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_NAMES: Final = ("metadata.name", "metadata.namespace")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind.

    Attributes:
        group: API group; empty for the core.
        version: Of the group.
        name: As objects have it in `kind`.
        plural: As paths have it.
        short_names: For people.
        namespaced: Whether objects are in a namespace.
        status: Whether `status` is written by a subresource of its own only.
        custom: Whether a CustomResourceDefinition makes it; custom kinds differ in many small ways.
        counted: Whether `metadata.generation` counts changes of what is wanted.
        unconditional: Whether a PUT may leave out the resourceVersion.
        fields: Field selectors, beside an object's name and namespace.
    """

    group: str
    version: str
    name: str
    plural: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    status: bool = False
    custom: bool = False
    counted: bool = False
    unconditional: bool = True
    fields: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """As objects have it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """As messages call it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def title(self) -> str:
        """As messages about what is invalid call it."""
        return f"{self.name}.{self.group}" if self.group else self.name

    @property
    def verbs(self) -> tuple[str, ...]:
        """What can be done."""
        return tuple(verb for verb in VERBS if self.namespaced or verb != "deletecollection")

    @property
    def selectable(self) -> tuple[str, ...]:
        """All field selectors."""
        return (*_NAMES, *self.fields)

    def describe(self) -> list[dict[str, Any]]:
        """The kind, and its status, as discovery tells them."""
        told: dict[str, Any] = {
            "name": self.plural,
            "singularName": self.name.lower(),
            "namespaced": self.namespaced,
            "kind": self.name,
            "verbs": list(self.verbs),
        }
        if self.short_names:
            told["shortNames"] = list(self.short_names)
        if not self.status:
            return [told]
        own = {"name": f"{self.plural}/status", "singularName": "", "namespaced": self.namespaced, "kind": self.name}
        return [told, {**own, "verbs": ["get", "patch", "update"]}]


def _custom(group: str, version: str, name: str, plural: str, *short_names: str, status: bool = True) -> Kind:
    return Kind(
        group, version, name, plural, short_names, status=status, custom=True, counted=True, unconditional=False
    )


_POD_FIELDS: Final = ("spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP")
_EVENT_FIELDS: Final = (
    *(f"involvedObject.{member}" for member in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath")),
    *("reason", "type", "reportingComponent"),
)

NAMESPACE: Final = Kind(
    "", "v1", "Namespace", "namespaces", ("ns",), namespaced=False, status=True, fields=("status.phase",)
)
SECRET: Final = Kind("", "v1", "Secret", "secrets", fields=("type",))
CONFIG_MAP: Final = Kind("", "v1", "ConfigMap", "configmaps", ("cm",))
POD: Final = Kind("", "v1", "Pod", "pods", ("po",), status=True, counted=True, fields=_POD_FIELDS)

KINDS: Final = (
    NAMESPACE,
    CONFIG_MAP,
    SECRET,
    POD,
    Kind("", "v1", "ServiceAccount", "serviceaccounts", ("sa",)),
    Kind("", "v1", "Event", "events", ("ev",), fields=_EVENT_FIELDS),
    Kind("apps", "v1", "Deployment", "deployments", ("deploy",), status=True, counted=True),
    Kind("apps", "v1", "ReplicaSet", "replicasets", ("rs",), status=True, counted=True),
    Kind("batch", "v1", "Job", "jobs", status=True, counted=True),
    Kind("coordination.k8s.io", "v1", "Lease", "leases", unconditional=False),
    _custom("serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices", "isvc"),
    _custom("serving.kserve.io", "v1alpha1", "ServingRuntime", "servingruntimes"),
    _custom("argoproj.io", "v1alpha1", "Application", "applications", "app", "apps", status=False),
    _custom("tekton.dev", "v1", "PipelineRun", "pipelineruns", "pr", "prs"),
    _custom("route.openshift.io", "v1", "Route", "routes"),
    _custom(
        "datasciencepipelinesapplications.opendatahub.io",
        "v1",
        "DataSciencePipelinesApplication",
        "datasciencepipelinesapplications",
        "dspa",
    ),
)


def find_kind(group: str, version: str, plural: str) -> Kind | None:
    """The kind that a path names; None when there is none."""
    return next((kind for kind in KINDS if (kind.group, kind.version, kind.plural) == (group, version, plural)), None)
