"""What the server can do, as clients ask for it: its version, groups and kinds."""

from __future__ import annotations

from typing import Any, Final

from modelcar_sandbox.kubernetes.kinds import KINDS

Document = dict[str, Any]

_VERSION: Final = {
    "major": "1",
    "minor": "34",
    "gitVersion": "v1.34.0+modelcar-sandbox",
    "gitCommit": "0" * 40,
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}


def find_document(path: str) -> Document | None:
    """What is at a path; None when there is nothing of this kind."""
    parts = path.strip("/").split("/")
    if path == "/version":
        return dict(_VERSION)
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        groups = dict.fromkeys(kind.group for kind in KINDS if kind.group)
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_describe_group(group) for group in groups]}
    if parts[0] == "apis" and len(parts) == 2 and _versions(parts[1]):
        return {"kind": "APIGroup", "apiVersion": "v1", **_describe_group(parts[1])}
    if path == "/api/v1":
        return _describe_resources("", "v1")
    if parts[0] == "apis" and len(parts) == 3 and parts[2] in _versions(parts[1]):
        return _describe_resources(parts[1], parts[2])
    return None


def _versions(group: str) -> list[str]:
    return list(dict.fromkeys(kind.version for kind in KINDS if kind.group == group))


def _describe_group(group: str) -> Document:
    versions = [{"groupVersion": f"{group}/{version}", "version": version} for version in _versions(group)]
    # A beta goes before an alpha, whatever was named first.
    preferred = min(versions, key=lambda one: ("alpha" in one["version"], "beta" in one["version"]))
    return {"name": group, "versions": versions, "preferredVersion": preferred}


def _describe_resources(group: str, version: str) -> Document:
    resources = [told for kind in KINDS if (kind.group, kind.version) == (group, version) for told in kind.describe()]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}
