"""How requests to a pipeline server travel: as `kfp_server_api` sends them, with what it leaves out.

Its own pool waits for ever, asks an unreachable host four times, follows redirects to login pages, knows no proxy
variables, and takes any 200 for an answer. This one is put in the pool's place, in one client only.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from typing import Any, Final

from modelcar.bearer import Token, find_proxy
from modelcar.errors import InvalidInput
from modelcar_pipelines.failures import describe_answer, describe_connection, describe_login, describe_nonsense

CONNECT_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 60.0
PLAIN_TEXT: Final = "text/plain"
"""Told to accept this, an answer may be anything."""
_PAGE_MARK: Final = b"<"
"""What web pages begin with, and JSON never does."""
_LOGIN_WORDS: Final = (b"log in", b"login", b"sign in", b"signin", b"oauth", b"password")
"""What tells a page to log in from other pages."""


class Transport:
    """Sends one request at a time per thread; has what `kfp_server_api` wants of a pool.

    Attributes:
        answered: Whether the server has answered yet.
    """

    def __init__(self, url: str, token: Token, trusted: ssl.SSLContext | None) -> None:
        """Prepare; nothing is sent.

        Args:
            url: The server's address.
            token: Read for every request.
            trusted: For https.

        Raises:
            InvalidInput: The environment names a proxy that cannot be one.
        """
        self._url, self._token = url, token
        self._pool = _make_pool(url, trusted)
        self.answered = False

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, timeout: Any = None, **more: Any
    ) -> Any:
        """One request, once.

        Args:
            method: In upper case.
            url: With the server's address.
            headers: Sent beside the token. `Accept: text/plain` says that the answer need be no JSON.
            timeout: None for `CONNECT_TIMEOUT_S` and `READ_TIMEOUT_S`.
            more: As for `urllib3.PoolManager.request`.

        Returns:
            The answer, which holds a JSON object where no text was asked for.

        Raises:
            PipelineServerError: There is none, or another one.
            InvalidInput: The token cannot be read.
        """
        import urllib3
        from urllib3.exceptions import HTTPError

        own = self._token.headers()
        try:
            answer = self._pool.request(
                method,
                url,
                headers={**(headers or {}), **own},
                timeout=timeout or urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
                redirect=False,
                **more,
            )
        except HTTPError as error:
            raise describe_connection(self._url, method, error, known=self.answered) from error
        self.answered = True
        if not 200 <= answer.status < 300:
            raise describe_answer(self._url, method, answer.status, answer.headers, answer.data, token_sent=bool(own))
        if (headers or {}).get("Accept") != PLAIN_TEXT:
            self._check(answer.data, token_sent=bool(own))
        return answer

    def _check(self, body: bytes, *, token_sent: bool) -> None:
        """Let nothing through but a JSON object."""
        if body.lstrip().startswith(_PAGE_MARK):
            if any(word in body.lower() for word in _LOGIN_WORDS):
                raise describe_login(self._url, token_sent=token_sent)
            raise describe_nonsense(self._url, "it answers with a web page")
        try:
            parsed = json.loads(body)
        except ValueError as error:
            raise describe_nonsense(self._url, "its answer is no JSON") from error
        if not isinstance(parsed, dict):
            raise describe_nonsense(self._url, "its answer is no JSON object")


def _make_pool(url: str, trusted: ssl.SSLContext | None) -> Any:
    import urllib3
    from urllib3.exceptions import HTTPError

    settings: dict[str, Any] = {"retries": False}
    if trusted is not None:
        settings["ssl_context"] = trusted
    proxy = find_proxy(url)
    if proxy is None:
        return urllib3.PoolManager(**settings)
    try:
        return urllib3.ProxyManager(proxy.url, proxy_headers=dict(proxy.headers), **settings)
    except (HTTPError, ValueError) as error:
        raise InvalidInput(
            "the proxy that the environment names cannot be used",
            hint="HTTPS_PROXY and HTTP_PROXY take http(s)://HOST:PORT.",
        ) from error
