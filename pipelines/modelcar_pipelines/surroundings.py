"""What a shell, a workbench or a pod says about the pipeline server: token, certificates, namespace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from modelcar import bearer
from modelcar.bearer import Token, first_path
from modelcar_pipelines.failures import SERVICE

NAMESPACE_VARIABLE: Final = "KF_PIPELINES_NAMESPACE"
SDK_TOKEN: Final = Path("/var/run/secrets/kubeflow/pipelines/token")
"""Where Kubeflow mounts a token for its pipeline server. Source: kfp.client.KF_PIPELINES_SA_TOKEN_PATH."""


def token_of(env: Mapping[str, str], url: str) -> Token:
    """The token that an environment names; a pod's own, where there is one, goes to https only.

    Args:
        env: `KF_PIPELINES_TOKEN`, else the file that `KF_PIPELINES_TOKEN_FILE`, else that the SDK's
            `KF_PIPELINES_SA_TOKEN_PATH` names. Empty means not set.
        url: Where it goes.
    """
    if text := env.get(SERVICE.token_variable):
        return Token(SERVICE, text)
    if file := first_path(env, SERVICE.token_file_variable, "KF_PIPELINES_SA_TOKEN_PATH"):
        return Token(SERVICE, file=file)
    if url.startswith("https://"):
        for mounted in (SDK_TOKEN, bearer.SERVICE_ACCOUNT_TOKEN):
            if mounted.is_file():
                return Token(SERVICE, file=mounted)
    return Token(SERVICE)


def ca_file_of(env: Mapping[str, str], url: str) -> Path | None:
    """Certificates that an environment names: for pipeline servers, for everything, or those of a pod for services.

    Source: https://docs.openshift.com/container-platform/latest/security/certificates/service-serving-certificate.html
    """
    named = first_path(env, SERVICE.ca_variable, "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    mounted = bearer.SERVICE_ACCOUNT_TOKEN.with_name("service-ca.crt")
    if named is None and is_service(url) and mounted.is_file():
        return mounted
    return named


def namespace_of(env: Mapping[str, str]) -> str:
    """The namespace that an environment names, else the pod's own; empty when there is neither."""
    if named := env.get(NAMESPACE_VARIABLE):
        return named
    try:
        return bearer.SERVICE_ACCOUNT_TOKEN.with_name("namespace").read_text().strip()
    except OSError:
        return ""


def is_service(url: str) -> bool:
    """Whether a host's name is one that only a cluster knows."""
    host = urlsplit(url).hostname or ""
    return host.endswith((".svc", ".svc.cluster.local"))
