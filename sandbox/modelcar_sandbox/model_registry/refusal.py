"""The one exception of this package: a request that is answered with an error."""

from __future__ import annotations

from http import HTTPStatus


class Refusal(Exception):
    """Carries the status and sentence of an answer.

    Attributes:
        status: HTTP status of the answer.
        message: Sentence in the body.
    """

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    @property
    def code(self) -> str:
        """The body's `code`: the status in words, but the server says "Bad Request" with 422 too."""
        return (HTTPStatus.BAD_REQUEST if self.status == HTTPStatus.UNPROCESSABLE_ENTITY else self.status).phrase


def bad_request(message: str) -> Refusal:
    """A request that cannot be understood."""
    return Refusal(HTTPStatus.BAD_REQUEST, message)


def not_found(message: str) -> Refusal:
    """Something that is not there."""
    return Refusal(HTTPStatus.NOT_FOUND, message)


def too_long(column: str) -> Refusal:
    """A value that the database's column cannot hold; the server lets the database's refusal through."""
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"Data too long for column '{column}'")
