"""One operation of the generated client, in an event loop of its own.

The generated client (`mr_openapi`) is asynchronous and knows one path, `/api/model_registry/v1/`; servers up to 2026
know only `v1alpha3`. The client made here rewrites that path, sends the token and follows no redirect, because where
one leads is a login page. It gives answers as parsed JSON, because the generated types refuse what servers hold: whole
numbers of ten digits, states that came later.

Nothing is patched: an operation has its own loop in its own thread, so that a notebook's running loop, other threads
and forked processes never meet it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar

from modelcar.bearer import Token, find_proxy
from modelcar.model_registry.failures import describe_answer, describe_connection, describe_nonsense

T = TypeVar("T")
Operation = Callable[[Any], Awaitable[Any]]
"""One call of the `mr_openapi.ModelRegistryServiceApi` that it is given; gives parsed JSON."""

GENERATED_BASE: Final = "/api/model_registry/v1/"
CONNECT_TIMEOUT_S: Final = 10.0
TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where operations go.

    Attributes:
        url: The server, without the API's path.
        base: The API's path on this server, with a slash at both ends.
        token: Read for every request.
        trusted: For https; None for http.
    """

    url: str
    base: str
    token: Token
    trusted: ssl.SSLContext | None


def perform(target: Target, operation: Operation, read: Callable[[Any], T]) -> T:
    """Perform one operation, once.

    Args:
        target: Where.
        operation: What to ask.
        read: Takes what is wanted from the answer; a KeyError, TypeError or ValueError of it says that the answer makes
            no sense.

    Raises:
        NotFound: 404.
        Conflict: 409.
        ModelRegistryError: Another status, no connection, or an answer that makes no sense.
        InvalidInput: The token cannot be read.
    """
    return _run(_perform(target, operation, read))


async def _perform(target: Target, operation: Operation, read: Callable[[Any], T]) -> T:
    import aiohttp
    from mr_openapi import ApiException, ModelRegistryServiceApi

    try:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=target.trusted or True),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            client = _unbound_client().bind(target, session)
            return read(await operation(ModelRegistryServiceApi(client)))
    except ApiException as error:
        raise describe_answer(target.url, error, token_sent=bool(target.token)) from error
    except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
        raise describe_connection(target.url, error) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        # JSON, a charset or a member is not what the API promises.
        raise describe_nonsense(target.url) from error


@cache
def _unbound_client() -> Any:
    """A client to copy: importing its base class takes a second, and making one reads the system's certificates."""
    from mr_openapi import ApiClient, Configuration
    from mr_openapi.api_response import ApiResponse
    from mr_openapi.rest import RESTResponse
    from yarl import URL

    class RewritingClient(ApiClient):  # type: ignore[misc]
        target: Target
        session: Any

        def bind(self, target: Target, session: Any) -> Any:
            bound = copy(self)
            bound.target, bound.session = target, session
            return bound

        async def call_api(
            self, method: str, url: str, header_params: Any = None, body: Any = None, *_: Any, **__: Any
        ) -> Any:
            path = self.target.base + url.removeprefix(GENERATED_BASE)
            arguments = _find_proxy(self.target.url)
            arguments["headers"] |= {**(header_params or {}), **self.target.token.headers()}
            answer = await self.session.request(
                method,
                URL(self.target.url + path, encoded=True),
                json=body,
                allow_redirects=False,
                **arguments,
            )
            return RESTResponse(answer)

        def response_deserialize(self, response_data: Any, response_types_map: Any = None) -> Any:
            if not 200 <= response_data.status < 300:
                return super().response_deserialize(response_data, response_types_map)  # raises
            content = response_data.data
            return ApiResponse(status_code=response_data.status, data=json.loads(content), raw_data=content)

    return RewritingClient(Configuration(host=""))


def _find_proxy(url: str) -> dict[str, Any]:
    """Aiohttp's arguments for the proxy that `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy` name for a URL.

    Not left to aiohttp's `trust_env`, which reads passwords out of .netrc too and then refuses to send our token.
    """
    proxy = find_proxy(url)
    if proxy is None:
        return {"headers": {}}
    found: dict[str, Any] = {"proxy": proxy.url, "headers": {}}
    # A proxy sees all of a plain request, and of an encrypted one only the request for a tunnel.
    found["headers" if url.startswith("http:") else "proxy_headers"] = dict(proxy.headers)
    return found


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a new loop and thread, whatever runs in this one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="model-registry", daemon=True)
    thread.start()
    future = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        return future.result()
    finally:
        future.cancel()  # Ctrl-C; has no effect on what is done
        asyncio.run_coroutine_threadsafe(_settle(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _settle() -> None:
    """End what an interrupted operation left behind, the thread that looks up host names included."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_default_executor()
