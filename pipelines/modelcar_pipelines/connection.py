"""A connection to a Kubeflow Pipelines API server: the SDK's own client, with its habits taken off."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlunsplit

from modelcar.bearer import Token, refuse_token_in_clear, split_url, trust
from modelcar.retry import ATTEMPTS, CONTACT_ATTEMPTS, retry
from modelcar_pipelines.cluster import find_cluster
from modelcar_pipelines.discovery import find_server
from modelcar_pipelines.failures import SERVICE, describe_nonsense
from modelcar_pipelines.surroundings import ca_file_of, namespace_of, token_of
from modelcar_pipelines.transport import Transport

T = TypeVar("T")

_URL_HINT: Final = "Write http(s)://HOST[:PORT][/PATH], for instance https://ds-pipeline-dspa.example.com."
_API: Final = "/apis/v2beta1"


class Server:
    """One pipeline server, and who asks it.

    Attributes:
        url: The server's address, without a slash or the API's path at its end.
        namespace: The one whose pipelines it runs; empty when nobody said which.
        client: A `kfp.Client`, for all that has no service below. Its requests go the same way and fail with the same
            errors, but are not sent again; it prints links.
        pipelines: `kfp_server_api.PipelineServiceApi`.
        uploads: `kfp_server_api.PipelineUploadServiceApi`.
        runs: `kfp_server_api.RunServiceApi`.
        recurring_runs: `kfp_server_api.RecurringRunServiceApi`.
        experiments: `kfp_server_api.ExperimentServiceApi`.
        health: `kfp_server_api.HealthzServiceApi`.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "",
        token: str | None = None,
        token_file: Path | None = None,
        ca_file: Path | None = None,
        ui_url: str | None = None,
        token_in_clear: bool = False,
        attempts: int = ATTEMPTS,
    ) -> None:
        """Prepare; nothing is sent, and nothing read or written but the CA file.

        Args:
            url: `http://` or `https://`, host, optional port and path.
            namespace: Kept, and told to servers that have users' namespaces.
            token: Sent as Bearer token; goes before `token_file`.
            token_file: Holds the token, and is read again for every request.
            ca_file: PEM certificates, trusted beside the system's.
            ui_url: Where people look at runs; None for `url`.
            token_in_clear: Send the token over plain http to other machines, too.
            attempts: Requests in all while the server fails in a way that may pass; as long as it has never answered,
                `modelcar.retry.CONTACT_ATTEMPTS` at most.

        Raises:
            InvalidInput: The URL is none or holds credentials; the token would travel in the clear to another machine;
                the CA file cannot be used; the environment names a proxy that cannot be one.
        """
        self.url = parse_url(url)
        self.namespace = namespace
        self._token = Token(SERVICE, token) if token is not None else Token(SERVICE, file=token_file)
        if self._token and not token_in_clear:
            refuse_token_in_clear(SERVICE, self.url)
        self._ui_url = (ui_url or self.url).rstrip("/")
        self._attempts = attempts
        self._transport = Transport(
            self.url, self._token, trust(SERVICE, ca_file) if self.url.startswith("https:") else None
        )
        self.client = _make_client(self.url, namespace, self._transport)

    def __repr__(self) -> str:
        return f"Server({self.url!r}, namespace={self.namespace!r})"

    @property
    def pipelines(self) -> Any:  # noqa: D102 - described with the class
        return self.client._pipelines_api

    @property
    def uploads(self) -> Any:  # noqa: D102
        return self.client._upload_api

    @property
    def runs(self) -> Any:  # noqa: D102
        return self.client._run_api

    @property
    def recurring_runs(self) -> Any:  # noqa: D102
        return self.client._recurring_run_api

    @property
    def experiments(self) -> Any:  # noqa: D102
        return self.client._experiment_api

    @property
    def health(self) -> Any:  # noqa: D102
        return self.client._healthz_api

    def run_url(self, run_id: str) -> str:
        """Where people look at a run."""
        return f"{self._ui_url}/#/runs/details/{run_id}"

    def call(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Call a function of one of the services, or of the client.

        What only asks is asked again while the server fails in a way that may pass. What makes or changes something is
        sent again only if it certainly had no effect.

        Args:
            function: For instance `server.runs.run_service_get_run`.
            args: Of the function.
            kwargs: Of the function.

        Returns:
            What the function returns.

        Raises:
            NotFound: 404 of the server.
            Conflict: 409 of the server.
            Refused: 400; the server's own words.
            PipelineServerAccessDenied: 401, 403, or a page to log in.
            PipelineServerError: The server fails, cannot be reached, or is none.
            InvalidInput: The token cannot be read.
        """
        attempts = self._attempts if self._transport.answered else min(self._attempts, CONTACT_ATTEMPTS)
        return retry(lambda: function(*args, **kwargs), attempts=attempts)

    def check(self) -> None:
        """Ask whether it is a pipeline server, and lets us in.

        Raises:
            PipelineServerError: As for `call`.
        """
        answer = self.call(self.health.healthz_service_get_healthz)
        if answer.multi_user is None:
            raise describe_nonsense(self.url, "it does not tell its health as one")


def parse_url(url: str) -> str:
    """The server's address, without a slash and without the API's path at its end.

    Raises:
        InvalidInput: No `http://` or `https://`, no host, or something that is no part of an address: a user name, a
            password, a query, a fragment.
    """
    parts = split_url(SERVICE, url, _URL_HINT)
    path = parts.path.rstrip("/").removesuffix(_API).rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _make_client(url: str, namespace: str, transport: Transport) -> Any:
    """A client that was made without asking anybody, and sends by `transport`."""
    import kfp
    import kfp_server_api

    configuration = kfp_server_api.Configuration(host=url)

    class Client(kfp.Client):  # type: ignore[misc]
        """The SDK's client; only where it takes its settings from is another."""

        def _load_config(self, *_: Any, **__: Any) -> Any:
            return configuration

        def _load_context_setting_or_default(self) -> None:
            # With a namespace, whatever it is, the constructor does not ask the server for its health.
            self._context_setting = {"namespace": namespace or "none"}

        def set_user_namespace(self, namespace: str) -> None:
            """Keep it for this client, and not in a file for all others."""
            self._context_setting["namespace"] = namespace

        def _refresh_api_client_token(self) -> None:
            """The transport reads the token for every request."""

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        client = Client(host=url)
    client.set_user_namespace(namespace)
    api = client._run_api.api_client
    api.rest_client.pool_manager = transport
    read = api.deserialize

    def deserialize(response: Any, kind: Any) -> Any:
        try:
            return read(response, kind)
        except (kfp_server_api.ApiException, ValueError, TypeError, LookupError, AttributeError) as error:
            raise describe_nonsense(url, "its answer has another shape") from error

    api.deserialize = deserialize
    return client


def connect(
    *,
    endpoint: str | None = None,
    namespace: str | None = None,
    token: str | None = None,
    token_file: Path | None = None,
    ca_file: Path | None = None,
    token_in_clear: bool = False,
    attempts: int = ATTEMPTS,
    env: Mapping[str, str] = os.environ,
) -> Server:
    """The pipeline server that the arguments name, else the environment, else the cluster.

    Asks a cluster only when no address is given, and the server itself nothing.

    Args:
        endpoint: The server's address; else `KF_PIPELINES_ENDPOINT`, else that of the one
            DataSciencePipelinesApplication in the namespace: its service in a pod, its route elsewhere.
        namespace: Where to look; else `KF_PIPELINES_NAMESPACE`, else the pod's, else the kubeconfig's.
        token: Goes before `token_file`, and that before `KF_PIPELINES_TOKEN`, `KF_PIPELINES_TOKEN_FILE`,
            `KF_PIPELINES_SA_TOKEN_PATH`, and for https the pod's own. A server that was found by a kubeconfig gets
            that one's token when there is no other.
        token_file: As for `Server`.
        ca_file: Goes before `PIPELINES_SSL_CA_CERTS`, `SSL_CERT_FILE` and `REQUESTS_CA_BUNDLE`, and these before the
            cluster's CA for services in a pod.
        token_in_clear: As for `Server`.
        attempts: As for `Server`; of the cluster as well.
        env: Empty means not set. `KF_PIPELINES_UI_ENDPOINT` says where people look at runs.

    Raises:
        PipelineServerNotFound: No server is named and none is found.
        PipelineServerError: The one found is not ready; the cluster refuses, fails, or cannot be reached.
        InvalidInput: As for `Server`; several servers; a kubeconfig that cannot be used.
    """
    url = endpoint or env.get(SERVICE.url_variable) or ""
    where = namespace or namespace_of(env)
    known = ""
    if not url:
        cluster = find_cluster(env, attempts=min(attempts, CONTACT_ATTEMPTS))
        where = where or cluster.namespace
        url = find_server(cluster, where).url
        known = cluster.token if url.startswith("https://") else ""
    given = Token(SERVICE, token, token_file) or token_of(env, url) or Token(SERVICE, known or None)
    return Server(
        url,
        namespace=where,
        token=given.text,
        token_file=given.file,
        ca_file=ca_file or ca_file_of(env, url),
        ui_url=env.get("KF_PIPELINES_UI_ENDPOINT") or None,
        token_in_clear=token_in_clear,
        attempts=attempts,
    )
