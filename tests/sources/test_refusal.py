from __future__ import annotations

import socket

import pytest

from modelcar.errors import PromotionError, SourceAccessDenied, SourceError, SourceNotFound
from modelcar.sources.refusal import Request, describe_outage, describe_refusal

FILE = Request("hub", "org/name", "v1", has_token=True, path="w.safetensors")
NOBODY = Request("hub", "org/name", "v1", has_token=False)


@pytest.mark.parametrize(
    ("status", "code", "request_", "kind", "message"),
    [
        (401, "", FILE, SourceAccessDenied, "hub does not accept the Hugging Face token"),
        (401, "", NOBODY, SourceNotFound, "hub has no model org/name, or it is private"),
        (401, "RepoNotFound", FILE, SourceNotFound, "hub has no model org/name, or it is private"),
        (401, "GatedRepo", NOBODY, SourceAccessDenied, "the model org/name on hub is gated, and there is no token"),
        (403, "GatedRepo", FILE, SourceAccessDenied, "is gated, and the token's account was not let in"),
        (403, "", FILE, SourceAccessDenied, "hub refuses w.safetensors of org/name"),
        (404, "", NOBODY, SourceNotFound, "hub has no model org/name, or it is private"),
        (404, "EntryNotFound", FILE, SourceNotFound, "hub has no w.safetensors of org/name at revision 'v1'"),
        (404, "RevisionNotFound", FILE, SourceNotFound, "the model org/name has no revision 'v1'"),
        (400, "", NOBODY, SourceError, "hub answered 400 when asked for the model org/name"),
    ],
)
def test_a_refusal_is_final_and_says_why(
    status: int, code: str, request_: Request, kind: type[PromotionError], message: str
) -> None:
    error = describe_refusal(status, {"X-Error-Code": code}, request_)
    assert (type(error), error.retryable) == (kind, False)
    assert str(error).endswith(message)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_trouble_of_the_server_is_worth_another_attempt(status: int) -> None:
    error = describe_refusal(status, {"Retry-After": "3"}, FILE)
    assert (type(error), error.retryable, error.retry_after_s) == (SourceError, True, 3.0)


def test_an_outage_is_told_in_the_words_of_the_system() -> None:
    wrapped = RuntimeError("http://hub/?signature=geheim")
    with pytest.raises(OSError, match="refused") as caught:
        socket.create_connection(("127.0.0.1", 9), timeout=5)
    wrapped.__cause__ = caught.value
    assert str(describe_outage("hub", wrapped)) == "hub cannot be reached: Connection refused"
    assert str(describe_outage("hub", TimeoutError())) == "hub cannot be reached: no answer in time"
    assert str(describe_outage("hub", RuntimeError("geheim"))) == "hub cannot be reached: RuntimeError"
