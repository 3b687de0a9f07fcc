"""What a task needs of the cluster, from the platform spec: variables, volumes, time, and what only a run can say.

Source: https://github.com/kubeflow/pipelines/blob/master/kubernetes_platform/proto/kubernetes_executor_config.proto
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

from modelcar_pipelines.tekton.graph import refuse

SCRATCH: Final = "/tmp"  # noqa: S108 - a volume of the pod's own
_KNOWN: Final = frozenset(
    {
        "activeDeadlineSeconds",
        "configMapAsEnv",
        "configMapAsVolume",
        "emptyDirMounts",
        "imagePullSecret",
        "pvcMount",
        "secretAsEnv",
        "secretAsVolume",
        "tolerations",
        "nodeSelector",
    }
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What one task needs.

    Attributes:
        env: Variables, as a container has them.
        volumes: As a pod has them.
        mounts: As a container has them.
        timeout_s: After this many seconds it is ended; None when nothing is said.
        pull_secrets: Names of secrets that pull its image; a Pipeline cannot say these.
        pod_template: What of the pod a Pipeline cannot say either, as Tekton's pod template has it.
    """

    env: tuple[Mapping[str, Any], ...]
    volumes: tuple[Mapping[str, Any], ...]
    mounts: tuple[Mapping[str, Any], ...]
    timeout_s: int | None
    pull_secrets: tuple[str, ...]
    pod_template: Mapping[str, Any]

    def with_scratch(self) -> Surroundings:
        """The same with a directory that can be written to, which is the only one: the image is read-only."""
        if any(mount["mountPath"].rstrip("/") == SCRATCH for mount in self.mounts):
            return self
        name = _name_volume("tmp", [one["name"] for one in self.volumes])
        volumes = (*self.volumes, {"name": name, "emptyDir": {}})
        return replace(self, volumes=volumes, mounts=(*self.mounts, {"name": name, "mountPath": SCRATCH}))


def read_surroundings(task: str, config: Mapping[str, Any]) -> Surroundings:
    """What a task needs.

    Args:
        task: Its name, for errors.
        config: Of its executor in the platform spec; empty when it needs nothing.

    Raises:
        InvalidInput: Something that is not compiled.
    """
    unknown = sorted(set(config) - _KNOWN)
    if unknown:
        raise refuse(task, f"has {unknown[0]}")
    volumes, mounts = _mount_all(_volumes(task, config))
    node_selector = _read_node_selector(task, config.get("nodeSelector", {}))
    tolerations = [_read_toleration(task, one) for one in config.get("tolerations", ())]
    template = {
        **({"nodeSelector": node_selector} if node_selector else {}),
        **({"tolerations": tolerations} if tolerations else {}),
    }
    deadline = config.get("activeDeadlineSeconds")
    found = Surroundings(
        tuple(_variables(task, config)),
        volumes,
        mounts,
        int(deadline) if deadline is not None else None,
        tuple(_constant(task, one, "secretName") for one in config.get("imagePullSecret", ())),
        template,
    )
    if "$" in str((found.env, volumes, mounts)):
        raise refuse(task, "has a $ in a name or a path", "Tekton would replace it; leave it out.")
    return found


def _variables(task: str, config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for kind, key_name, name_name, reference in (
        ("configMapAsEnv", "configMapKey", "configMapName", "configMapKeyRef"),
        ("secretAsEnv", "secretKey", "secretName", "secretKeyRef"),
    ):
        for one in config.get(kind, ()):
            for pair in one["keyToEnv"]:
                source = {"name": _constant(task, one, name_name), "key": pair[key_name], **_optional(one)}
                yield {"name": pair["envVar"], "valueFrom": {reference: source}}


_Objects = tuple[Mapping[str, Any], ...]


def _mount_all(wanted: Iterable[tuple[str, dict[str, Any], dict[str, Any]]]) -> tuple[_Objects, _Objects]:
    """Volumes and mounts; what is mounted twice is one volume, what only shares a name is two, as are empty ones."""
    volumes: dict[str, dict[str, Any]] = {}
    mounts: list[dict[str, Any]] = []
    for wish, what, mount in wanted:
        known = (name for name, one in volumes.items() if one == what and "emptyDir" not in what)
        name = next(known, None) or _name_volume(wish, volumes)
        volumes[name] = what
        mounts.append({"name": name, **mount})
    return tuple({"name": name, **what} for name, what in volumes.items()), tuple(mounts)


def _name_volume(wish: str, taken: Container[str]) -> str:
    """A name for a volume that none has: like what is in it, which may have dots and be longer."""
    stem = wish.replace(".", "-")[:58].rstrip("-")
    return next(name for number in count(1) if (name := stem if number == 1 else f"{stem}-{number}") not in taken)


def _read_node_selector(task: str, given: Mapping[str, Any]) -> Mapping[str, str]:
    match given.get("nodeSelectorJson"):
        case None:
            labels: Mapping[str, str] = given.get("labels", {})
            return labels
        case {"runtimeValue": {"constant": dict(constant)}}:
            return constant
    raise refuse(task, "takes a node selector that is known only when it runs", "Write it into the pipeline.")


def _read_toleration(task: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    if "tolerationJson" in given:
        raise refuse(task, "takes a toleration that is known only when it runs", "Write it into the pipeline.")
    seconds = given.get("tolerationSeconds")  # a text there: JSON has no whole numbers of 64 bits
    return {**given, "tolerationSeconds": int(seconds)} if seconds is not None else given


def _volumes(task: str, config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """A name like it, and what the pod and the container say of it."""
    for one in config.get("configMapAsVolume", ()):
        name = _constant(task, one, "configMapName")
        yield name, {"configMap": {"name": name, **_optional(one)}}, _mount(one)
    for one in config.get("secretAsVolume", ()):
        name = _constant(task, one, "secretName")
        yield name, {"secret": {"secretName": name, **_optional(one)}}, _mount(one)
    for one in config.get("pvcMount", ()):
        name = _constant(task, one, "constant") if "constant" in one else _constant(task, one, "pvcName")
        yield name, {"persistentVolumeClaim": {"claimName": name}}, _mount(one)
    for one in config.get("emptyDirMounts", ()):
        what = {key: one[key] for key in ("medium", "sizeLimit") if one.get(key)}
        yield one["volumeName"], {"emptyDir": what}, _mount(one)


def _mount(one: Mapping[str, Any]) -> dict[str, Any]:
    read_only = {} if "volumeName" in one or "subPath" in one or "pvcNameParameter" in one else {"readOnly": True}
    sub_path = {"subPath": one["subPath"]} if one.get("subPath") else {}
    return {"mountPath": one["mountPath"], **sub_path, **read_only}


def _optional(one: Mapping[str, Any]) -> dict[str, bool]:
    return {"optional": True} if one.get("optional") else {}


def _constant(task: str, one: Mapping[str, Any], name: str) -> str:
    """A name that stands in the pipeline; newer compilers write it as a value that a run could give."""
    given = one.get(f"{name}Parameter") or {}
    match given:
        case {"runtimeValue": {"constant": str(constant)}}:
            return constant
        case {}:
            pass
    if not given and one.get(name):
        return str(one[name])
    raise refuse(task, f"takes a {name} that is known only when it runs", "Write its name into the pipeline.")
