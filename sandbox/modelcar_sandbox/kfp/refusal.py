"""Requests that are answered with an error, in each of the forms that the real server has for them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from http import HTTPStatus
from typing import Any, Final

_STATUS: Final = "type.googleapis.com/google.rpc.Status"


class Code(IntEnum):
    """What went wrong, as gRPC numbers it.

    Source: https://grpc.io/docs/guides/status-codes/
    """

    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    INTERNAL = 13


HTTP_STATUS: Final[Mapping[Code, HTTPStatus]] = {
    Code.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    Code.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Code.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    Code.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    Code.ABORTED: HTTPStatus.CONFLICT,
    Code.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    Code.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class Refusal(Exception):
    """What most calls answer with when they cannot do what was asked.

    Attributes:
        code: Decides the HTTP status.
        message: Sentence in the body.
        detailed: Whether the body has `details`: not when the request was refused before it reached a service.
    """

    def __init__(self, code: Code, message: str, *, detailed: bool = True) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detailed = detailed

    def as_json(self) -> dict[str, Any]:
        """The answer's body; the details of an internal error do not say what it was."""
        body: dict[str, Any] = {"code": int(self.code), "message": self.message}
        if self.detailed:
            inner = "Internal Server Error" if self.code == Code.INTERNAL else self.message
            body["details"] = [{"@type": _STATUS, "code": int(self.code), "message": inner}]
        return body


class UploadRefusal(Exception):
    """What uploads, logs and artifacts answer with, which the real server serves beside gRPC.

    Attributes:
        status: Of the answer.
        message: Sentence in the body.
        plain: The body is that sentence alone, as text.
    """

    def __init__(self, status: HTTPStatus, message: str, *, plain: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.plain = plain

    def as_json(self) -> dict[str, Any]:
        """The answer's body when it is not plain."""
        return {"error_message": self.message, "error_details": self.message}


def invalid(message: str) -> Refusal:
    """A request with a value that cannot be."""
    return Refusal(Code.INVALID_ARGUMENT, message)


def malformed(message: str) -> Refusal:
    """A request that cannot be read."""
    return Refusal(Code.INVALID_ARGUMENT, message, detailed=False)


def not_found(what: str, identifier: str) -> Refusal:
    """Something that is not there."""
    return Refusal(Code.NOT_FOUND, f"{what} {identifier} not found")


def taken(what: str, name: str) -> Refusal:
    """A name that something else has."""
    message = f"Failed to create a new {what}. The name {name} already exists. Please specify a new name"
    return Refusal(Code.ALREADY_EXISTS, message)


def internal(message: str) -> Refusal:
    """What the real server answers with 500, though the caller is at fault."""
    return Refusal(Code.INTERNAL, message)
