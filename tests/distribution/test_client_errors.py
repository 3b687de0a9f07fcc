from __future__ import annotations

import json

import pytest

from modelcar.errors import ImageNotFound, RegistryAccessDenied
from registry_service import Running
from wsgi_faults import Fault

SCOPE = "repository:team/model:pull"


ERRORS = [
    (400, "MANIFEST_INVALID", False),
    (408, None, True),
    (409, None, False),
    (413, None, False),
    (416, "RANGE_INVALID", False),
    (429, "TOOMANYREQUESTS", True),
    (500, None, True),
    (501, "UNSUPPORTED", False),
    (505, None, False),
    (502, None, True),
    (503, "UNAVAILABLE", True),
]


@pytest.mark.parametrize(("status", "code", "retryable"), ERRORS)
def test_an_error_tells_status_code_and_message(
    running: Running, status: int, code: str | None, retryable: bool
) -> None:
    body = json.dumps({"errors": [{"code": code, "message": "no room"}]}).encode() if code else b"<html>"
    running.faults.add(Fault.answer("GET", "/v2/$", status, body=body))
    registry = running.registry()
    error = registry.error(registry.request("GET", "/v2/", scope=SCOPE), "push to team/model")
    told = f" {code}, no room" if code else ""
    assert str(error) == f"{running.address}: push to team/model: HTTP {status}{told}"
    assert (error.status, error.code, error.retryable) == (status, code, retryable)


def test_what_a_registry_says_of_its_refusal_is_told(running: Running) -> None:
    body = b'{"errors":[{"code":"DENIED","message":"quota exceeded"}]}'
    running.faults.add(Fault.answer("POST", "/uploads/", 403, body=body))
    with pytest.raises(RegistryAccessDenied) as caught:
        running.repository().check_access()
    assert str(caught.value) == (
        f"{running.address} refused to push to team/model without credentials (HTTP 403 DENIED, quota exceeded)"
    )


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"errors":[]}', b'{"errors":{}}', b'{"errors":[7]}', b"\xff\xfe"])
def test_an_error_without_a_readable_body_is_still_told(running: Running, body: bytes) -> None:
    running.faults.add(Fault.answer("GET", "/v2/$", 418, body=body))
    registry = running.registry()
    error = registry.error(registry.request("GET", "/v2/", scope=SCOPE), "pull team/model:1")
    assert str(error) == f"{running.address}: pull team/model:1: HTTP 418"


def test_a_registry_that_knows_no_such_repository_says_so(running: Running) -> None:
    body = b'{"errors":[{"code":"NAME_UNKNOWN","message":"project team not found"}]}'
    running.faults.add(Fault.answer("POST", "/uploads/", 404, body=body))
    with pytest.raises(ImageNotFound) as caught:
        running.repository().check_access()
    assert str(caught.value) == (
        f"{running.address}: push to team/model: HTTP 404 NAME_UNKNOWN, project team not found"
    )


def test_an_answer_is_not_read_for_ever_and_the_next_one_is_its_own(running: Running) -> None:
    running.faults.add(Fault.answer("POST", "/uploads/", 400, body=bytes(32 << 20)))
    registry = running.registry()
    response = registry.request("POST", "/v2/team/model/blobs/uploads/", scope=SCOPE, data=b"")
    assert len(response.content) == 1 << 18
    assert str(registry.error(response, "push")) == f"{running.address}: push: HTTP 400"
    running.repository().check_access()


def test_a_long_message_of_a_registry_is_told_in_one_line(running: Running) -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": "no\n room" + "!" * 1000}]}).encode()
    running.faults.add(Fault.answer("GET", "/v2/$", 500, body=body))
    registry = running.registry()
    error = registry.error(registry.request("GET", "/v2/", scope=SCOPE), "look")
    assert str(error) == f"{running.address}: look: HTTP 500 DENIED, no room{'!' * 293}"
