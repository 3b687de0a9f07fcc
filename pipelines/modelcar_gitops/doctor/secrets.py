"""The Secrets of the contract: there, missing, or lacking a key. Their values are neither decoded nor shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from modelcar_gitops import NAMESPACE
from modelcar_gitops.bootstrap_secrets import BY_HAND, SECRETS, Secret
from modelcar_gitops.doctor.findings import Finding, Sign
from modelcar_gitops.pod_failure import show_line
from modelcar_pipelines.cluster import Cluster, NotAllowed

GROUP: Final = "Secrets"
_LOGINS: Final = ".dockerconfigjson"


def list_secrets(namespace: str) -> dict[str, list[Secret]]:
    """The contract by namespace, where models are served in this one."""
    placed = [replace(one, namespace=namespace) if one.namespace == NAMESPACE else one for one in SECRETS]
    return {where: [one for one in placed if one.namespace == where] for where in {one.namespace: 0 for one in placed}}


def look_at_secrets(cluster: Cluster, namespace: str, secrets: list[Secret]) -> list[Finding]:
    """A finding for each Secret of a namespace; one for all of them where none may be read.

    Raises:
        PromotionError: The cluster fails or cannot be reached.
    """
    findings = []
    refused = []
    for secret in secrets:
        try:
            found = cluster.get_object("", "v1", namespace, "secrets", secret.name)
        except NotAllowed:
            refused.append(secret.name)
            continue
        findings.append(_missing(cluster, secret) if found is None else _found(secret, found))
    if refused:
        told = f"may not read Secrets in {namespace}: {', '.join(refused)}"
        way_out = "Ask somebody who may get Secrets there (the role edit) to run this."
        findings.append(Finding(GROUP, namespace, Sign.CANNOT_TELL, told, way_out))
    return findings


def _found(secret: Secret, found: dict[str, Any]) -> Finding:
    lacking = [key for key in secret.keys if key not in (found.get("data") or {})]
    if not lacking:
        return Finding(GROUP, secret.name, Sign.OK, f"is there in {secret.namespace}, with {_join(secret.keys)}")
    told = f"is there in {secret.namespace} and has no {' or '.join(lacking)}, for {secret.purpose}"
    if secret.made_by == BY_HAND:
        way_out = f"oc delete secret {secret.name} -n {secret.namespace}, and then: {_command(secret)}"
    else:
        way_out = (
            f"Add it; or, if nothing uses the Secret yet, oc delete secret/{secret.name} "
            f"{_job(secret)} -n {secret.namespace}: Argo CD makes both anew"
        )
    return Finding(GROUP, secret.name, Sign.BROKEN, told, way_out)


def _missing(cluster: Cluster, secret: Secret) -> Finding:
    what = f"is not there in {secret.namespace}, for {secret.purpose}"
    if secret.made_by != BY_HAND:
        why, way_out = _ask_job(cluster, secret)
        return Finding(GROUP, secret.name, Sign.MISSING, f"{what}; {why}", way_out, note=secret.optional)
    optional = " (optional)" if secret.optional else ""
    return Finding(GROUP, secret.name, Sign.MISSING, f"{what}{optional}", _command(secret), note=secret.optional)


def _ask_job(cluster: Cluster, secret: Secret) -> tuple[str, str]:
    """What became of the Job that makes a Secret, and the way out."""
    job, namespace = _job(secret), secret.namespace
    again = f"oc delete {job} -n {namespace}: Argo CD makes it anew"
    try:
        found = cluster.get_object("batch", "v1", namespace, "jobs", job.removeprefix("job/"))
    except NotAllowed:
        return f"{secret.made_by} makes it, and may not be read by you", f"Ask for the role view in {namespace}."
    if found is None:
        return (
            f"{secret.made_by} makes it, and is not there",
            "Look at the Argo CD Applications of the tree: they have the Job.",
        )
    conditions = {one.get("type"): one for one in (found.get("status") or {}).get("conditions") or ()}
    failed, complete = (conditions.get(kind) or {} for kind in ("Failed", "Complete"))
    if failed.get("status") == "True":
        why = show_line(f"{failed.get('reason')}: {failed.get('message') or ''}")
        return (
            f"{secret.made_by} makes it, and has failed: {why}",
            f"oc logs {job} -n {namespace} says why; then {again}",
        )
    if complete.get("status") == "True":
        return f"{secret.made_by} made it, and somebody deleted it since", again
    return f"{secret.made_by} makes it, and has not ended", f"Look again in a minute; oc describe {job} -n {namespace}"


def _command(secret: Secret) -> str:
    """How people make a Secret; its values come from a file or from what is typed, and are in no list of processes."""
    if secret.keys == (_LOGINS,):
        return (
            f"oc create secret generic {secret.name} -n {secret.namespace} "
            f"--type=kubernetes.io/dockerconfigjson --from-file={_LOGINS}=auth.json # the file that podman login wrote"
        )
    lines = _join(tuple(f"{key}=…" for key in secret.keys))
    return (
        f"oc create secret generic {secret.name} -n {secret.namespace} --from-env-file=/dev/stdin "
        f"# then type {lines}, {'a line each, ' if len(secret.keys) > 1 else ''}and Ctrl-D"
    )


def _job(secret: Secret) -> str:
    return f"job/{secret.made_by.removeprefix('Job ')}"


def _join(words: tuple[str, ...] | list[str]) -> str:
    return " and ".join(words)
