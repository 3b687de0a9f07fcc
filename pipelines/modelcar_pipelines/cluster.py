"""The cluster that knows where pipeline servers are: as a pod sees it, or as a kubeconfig says."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from modelcar import bearer
from modelcar.bearer import find_proxy
from modelcar.errors import (
    InvalidInput,
    PipelineServerAccessDenied,
    PipelineServerError,
    PipelineServerNotFound,
    PromotionError,
)
from modelcar.retry import CONTACT_ATTEMPTS, retry
from modelcar.wire import find_causes, find_reason, read_delay
from modelcar_pipelines.core_objects import CoreObjects
from modelcar_pipelines.transport import CONNECT_TIMEOUT_S, READ_TIMEOUT_S

_KUBECONFIG: Final = Path(".kube/config")
_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
_TIMEOUTS_S: Final = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
_NAME_SERVER: Final = "Name the pipeline server with --endpoint or KF_PIPELINES_ENDPOINT to do without."


class NotAllowed(PipelineServerAccessDenied):
    """The cluster knows who asks, and does not let them do this (403)."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A way to ask a kube-apiserver.

    Attributes:
        url: Of the kube-apiserver.
        namespace: The pod's own, or the context's.
        inside: Whether this is a pod of it, so that its services can be reached.
        token: That people are known by in it; empty when they are known otherwise. Not in its `repr`.
        client: A `kubernetes.client.ApiClient`.
        instead: A sentence for errors: how people do without a cluster.
        attempts: Requests in all while the cluster fails in a way that may pass.
        timeouts_s: For the connection, and for the answer.
    """

    url: str
    namespace: str
    inside: bool
    token: str = field(repr=False)
    client: Any = field(repr=False)
    instead: str
    attempts: int = CONTACT_ATTEMPTS
    timeouts_s: tuple[float, float] = _TIMEOUTS_S

    @property
    def _limits(self) -> dict[str, Any]:
        return {"_request_timeout": self.timeouts_s}

    def list_objects(
        self, group: str, version: str, namespace: str, plural: str, *, label_selector: str = ""
    ) -> list[dict[str, Any]] | None:
        """The objects of a kind in a namespace.

        Args:
            group: API group; empty for the core's, such as pods.
            version: Of the group.
            namespace: Where.
            plural: The kind, as paths have it.
            label_selector: Which; all when empty.

        Returns:
            None when the cluster does not know the kind in this version.

        Raises:
            PipelineServerError: The cluster refuses, fails, cannot be reached, or is none.
        """
        where = (group, version, namespace, plural)
        selector = {"label_selector": label_selector} if label_selector else {}
        answer = self._call(
            "list", where, lambda api: api.list_namespaced_custom_object(*where, **self._limits, **selector)
        )
        if answer is None:
            return None
        if not isinstance(answer.get("items"), list):
            raise self._describe_nonsense()
        return list(answer["items"])

    def get_object(self, group: str, version: str, namespace: str, plural: str, name: str) -> dict[str, Any] | None:
        """One object; of the core's when `group` is empty.

        Returns:
            None when there is none of that name, or the cluster does not know the kind.

        Raises:
            PipelineServerError: As for `list_objects`.
        """
        where = (group, version, namespace, plural)
        return self._call("get", where, lambda api: api.get_namespaced_custom_object(*where, name, **self._limits))

    def has_namespace(self, name: str) -> bool:
        """Whether there is a namespace; whoever has no rights in it may be refused, whether there is one or not.

        Raises:
            PipelineServerError: As for `list_objects`.
        """
        where = ("", "v1", name, "namespaces")
        found = self._call("get", where, lambda api: api.get_namespace(name, **self._limits))
        if found is not None and found.get("kind") != "Namespace":
            raise self._describe_nonsense()
        return found is not None

    def create_object(self, group: str, version: str, namespace: str, plural: str, body: Mapping[str, Any]) -> None:
        """Create a custom resource by its name; done as well when an attempt before was not heard to succeed.

        Raises:
            InvalidInput: The cluster refuses what it is.
            PipelineServerError: As for `list_objects`; or the cluster does not know the kind.
        """
        where = (group, version, namespace, plural)
        made = self._call(
            "create", where, lambda api: api.create_namespaced_custom_object(*where, body, **self._limits)
        )
        if made is None:
            raise PipelineServerNotFound(
                f"the cluster at {self.url} does not know {plural}.{group}",
                hint="Check which cluster the kubeconfig names.",
            )

    def _call(self, verb: str, where: tuple[str, str, str, str], send: Callable[[Any], Any]) -> dict[str, Any] | None:
        """An answer of the cluster; None when it does not have that."""
        answer = retry(lambda: self._call_once(verb, where, send), attempts=self.attempts)
        if answer is not None and not isinstance(answer, dict):
            raise self._describe_nonsense()
        return answer

    def _call_once(self, verb: str, where: tuple[str, str, str, str], send: Callable[[Any], Any]) -> Any:
        from kubernetes.client import ApiException, CustomObjectsApi
        from urllib3.exceptions import HTTPError

        try:
            return send(CustomObjectsApi(self.client) if where[0] else CoreObjects(self.client))
        except ApiException as error:
            if error.status == 404 and _is_clusters_own(error):
                return None
            if error.status == 409 and verb == "create":
                return {}
            if error.status == 0:  # the client's own word for TLS that failed
                raise self._describe_connection(error) from error
            raise self._describe_answer(error, verb, where) from error
        except HTTPError as error:
            raise self._describe_connection(error) from error
        except ValueError as error:
            raise self._describe_nonsense() from error

    def _describe_answer(self, error: Any, verb: str, where: tuple[str, str, str, str]) -> PromotionError:
        group, _, namespace, plural = where
        if error.status == 401:
            return PipelineServerAccessDenied(
                f"the cluster at {self.url} does not know who you are (401)",
                hint="Log in again, for instance with oc login.",
            )
        if error.status == 403:
            role = "edit" if verb == "create" else "view"
            kind = f"{plural}.{group}" if group else plural
            return NotAllowed(
                f"the cluster at {self.url} does not let you {verb} {kind} in namespace {namespace} (403)",
                hint=f"Check the namespace and ask for the role {role} in it. {self.instead}",
            )
        if error.status in (400, 422) and verb == "create":
            return InvalidInput(f"the cluster at {self.url} refuses this: {_read_message(error)}")
        if error.status in _PASSING:
            return PipelineServerError(
                f"the cluster at {self.url} answered {error.status}",
                hint="Try again later.",
                retryable=True,
                retry_after_s=read_delay(error.headers or {}),
            )
        return self._describe_nonsense()

    def _describe_connection(self, error: Exception) -> PipelineServerError:
        for cause in find_causes(error):
            if isinstance(cause, ssl.SSLCertVerificationError):
                return PipelineServerError(
                    f"the cluster at {self.url} cannot be trusted: {cause.verify_message}",
                    hint="Put its CA's certificate into the kubeconfig, for instance by logging in again.",
                )
        return PipelineServerError(
            f"the cluster at {self.url} cannot be reached: {find_reason(error)}",
            hint=f"Check the kubeconfig, and that you may reach the cluster from here. {self.instead}",
            retryable=True,
        )

    def _describe_nonsense(self) -> PipelineServerError:
        return PipelineServerError(
            f"{self.url} is not a cluster's API", hint="Check the kubeconfig: something else answers there."
        )


def _is_clusters_own(error: Any) -> bool:
    """Whether a cluster says that something is not there, and not what else may answer at its address."""
    return "page not found" in str(error.body) or '"kind":"Status"' in str(error.body).replace(" ", "")


def _read_message(error: Any) -> str:
    """The cluster's own words, on one line."""
    try:
        return " ".join(str(json.loads(error.body)["message"]).split())
    except (ValueError, TypeError, LookupError):
        return str(error.reason)


def find_cluster(env: Mapping[str, str], *, instead: str = _NAME_SERVER, attempts: int = CONTACT_ATTEMPTS) -> Cluster:
    """The cluster to ask; nothing is sent.

    Args:
        env: A kubeconfig that `KUBECONFIG` names goes first, then the pod that this is, then `~/.kube/config`.
        instead: A sentence for errors: how people do without a cluster.
        attempts: Requests in all while the cluster fails in a way that may pass.

    Raises:
        PipelineServerNotFound: There is none.
        InvalidInput: The kubeconfig cannot be used.
    """
    if not env.get("KUBECONFIG") and (pod := _find_pod(env, instead)) is not None:
        return replace(pod, attempts=attempts)
    named = env.get("KUBECONFIG") or str(Path(env.get("HOME") or Path.home()) / _KUBECONFIG)
    if not any(Path(one).expanduser().is_file() for one in named.split(":") if one):
        raise PipelineServerNotFound(
            f"there is no cluster to ask: no kubeconfig at {named}",
            hint=f"Log in to the cluster with oc login. {instead}",
        )
    return replace(_read_kubeconfig(named, instead), attempts=attempts)


def _find_pod(env: Mapping[str, str], instead: str) -> Cluster | None:
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException
    from kubernetes.config.incluster_config import InClusterConfigLoader

    mounted = bearer.SERVICE_ACCOUNT_TOKEN
    configuration = Configuration()
    try:
        loader = InClusterConfigLoader(str(mounted), str(mounted.with_name("ca.crt")), environ=env)
        loader.load_and_set(configuration)
        namespace = mounted.with_name("namespace").read_text().strip()
    except (ConfigException, OSError):
        return None
    return _make_cluster(configuration, namespace, instead, inside=True)


def _read_kubeconfig(named: str, instead: str) -> Cluster:
    import yaml  # type: ignore[import-untyped]
    from kubernetes import config
    from kubernetes.client import Configuration

    configuration = Configuration()
    try:
        # Its token may be renewed meanwhile; the file is the user's all the same, and is not written.
        config.load_kube_config(named, client_configuration=configuration, persist_config=False)
        _, context = config.list_kube_config_contexts(named)
        namespace = context["context"].get("namespace") or "default"
    except config.ConfigException as error:
        # Other texts of it, and YAML's, may quote what a program printed or the file holds: tokens.
        text = str(error)
        detail = f": {text}" if text.startswith("Invalid kube-config file. ") else ""
        raise _describe_kubeconfig(named, detail.replace("Invalid kube-config file. ", ""), instead) from error
    except (yaml.YAMLError, OSError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise _describe_kubeconfig(named, ": it does not parse as one", instead) from error
    return _make_cluster(configuration, namespace, instead, inside=False)


def _describe_kubeconfig(named: str, detail: str, instead: str) -> InvalidInput:
    return InvalidInput(
        f"the kubeconfig {named} cannot be used{detail}",
        hint=f"Log in to the cluster again, with oc login. {instead}",
    )


def _make_cluster(configuration: Any, namespace: str, instead: str, *, inside: bool) -> Cluster:
    from kubernetes.client import ApiClient

    configuration.retries = False
    proxy = find_proxy(configuration.host)
    if proxy is not None:
        configuration.proxy, configuration.proxy_headers = proxy.url, dict(proxy.headers)
    scheme, _, token = (configuration.api_key.get("authorization") or "").partition(" ")
    known = token.strip() if scheme.lower() == "bearer" else ""
    return Cluster(configuration.host, namespace, inside, known, ApiClient(configuration), instead)
