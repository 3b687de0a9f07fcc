"""Requests that are answered with an error, in the form of a Kubernetes Status."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from modelcar_sandbox.kubernetes.kinds import Kind


class Refusal(Exception):
    """Carries an answer.

    Attributes:
        code: HTTP status.
        message: For people.
        reason: For programs; empty when there is none.
        details: About what; None when nothing is said.
    """

    def __init__(self, code: int, message: str, reason: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.reason, self.details = int(code), message, reason, details

    def as_json(self) -> dict[str, Any]:
        """The answer's body."""
        body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        body["message"] = self.message
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        return {**body, "code": self.code}


def _details(kind: Kind, name: str, called: str) -> dict[str, Any]:
    return {**({"name": name} if name else {}), **({"group": kind.group} if kind.group else {}), "kind": called}


def not_found(kind: Kind, name: str) -> Refusal:
    """There is no object of that name."""
    return Refusal(
        HTTPStatus.NOT_FOUND, f'{kind.resource} "{name}" not found', "NotFound", _details(kind, name, kind.plural)
    )


def no_such_resource() -> Refusal:
    """There is no kind of that name."""
    return Refusal(HTTPStatus.NOT_FOUND, "the server could not find the requested resource", "NotFound", {})


def not_allowed() -> Refusal:
    """There is no such verb for this path."""
    message = "the server does not allow this method on the requested resource"
    return Refusal(HTTPStatus.METHOD_NOT_ALLOWED, message, "MethodNotAllowed", {})


def bad_request(message: str) -> Refusal:
    """It cannot be understood."""
    return Refusal(HTTPStatus.BAD_REQUEST, message, "BadRequest")


def already_exists(kind: Kind, name: str) -> Refusal:
    """The name is taken."""
    return Refusal(
        HTTPStatus.CONFLICT,
        f'{kind.resource} "{name}" already exists',
        "AlreadyExists",
        _details(kind, name, kind.plural),
    )


def conflict(kind: Kind, name: str, why: str = "", *, called: str = "") -> Refusal:
    """The object is not what the caller thinks that it is.

    Args:
        kind: Of the object.
        name: Of the object.
        why: By default that it was changed meanwhile.
        called: What the message calls the object; by default its resource.
    """
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {called or kind.resource} "{name}": {why}'
    return Refusal(HTTPStatus.CONFLICT, message, "Conflict", _details(kind, name, called or kind.plural))


def invalid(
    kind: Kind, name: str, field: str, why: str, *, reason: str = "FieldValueInvalid", called: str = ""
) -> Refusal:
    """A field's value cannot be.

    Args:
        kind: Of the object.
        name: Of the object.
        field: Its path.
        why: With the value.
        reason: In one word.
        called: What the message calls the object; by default its kind.
    """
    title = f"{called}.{kind.group}" if called and kind.group else called or kind.title
    details = _details(kind, name, called or kind.name)
    details["causes"] = [{"reason": reason, "message": why, "field": field}]
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f'{title} "{name}" is invalid: {field}: {why}', "Invalid", details)


def rejected() -> Refusal:
    """A patch cannot be applied to the object."""
    message = "the server rejected our request due to an error in our request"
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, message, "Invalid", {})


def forbidden(kind: Kind, name: str, why: str) -> Refusal:
    """It may not be done."""
    return Refusal(
        HTTPStatus.FORBIDDEN,
        f'{kind.resource} "{name}" is forbidden: {why}',
        "Forbidden",
        _details(kind, name, kind.plural),
    )


def expired(message: str) -> Refusal:
    """The past is forgotten."""
    return Refusal(HTTPStatus.GONE, message, "Expired")


def in_future(asked: int, current: int) -> Refusal:
    """That resourceVersion is still to come."""
    return Refusal(
        HTTPStatus.GATEWAY_TIMEOUT,
        f"Timeout: Too large resource version: {asked}, current: {current}",
        "Timeout",
        {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
    )
