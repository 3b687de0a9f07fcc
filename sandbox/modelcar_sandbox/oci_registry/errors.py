"""The error answers of the distribution specification."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

# Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes; the statuses, which it
# leaves open in part, are those of the CNCF distribution registry.
STATUS: Mapping[str, int] = MappingProxyType(
    {
        "BLOB_UNKNOWN": 404,
        "BLOB_UPLOAD_INVALID": 400,
        "BLOB_UPLOAD_UNKNOWN": 404,
        "DENIED": 403,
        "DIGEST_INVALID": 400,
        "MANIFEST_BLOB_UNKNOWN": 400,
        "MANIFEST_INVALID": 400,
        "MANIFEST_UNKNOWN": 404,
        "NAME_INVALID": 400,
        "NAME_UNKNOWN": 404,
        "SIZE_INVALID": 400,
        "UNAUTHORIZED": 401,
        "UNSUPPORTED": 400,
    }
)


class Refusal(Exception):
    """A request that is answered with an error.

    Attributes:
        code: Of the specification.
        status: HTTP status.
        headers: That the answer carries besides the usual ones.
        body: What goes into the answer as JSON.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *details: Any,
        status: int | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """One error in the answer for each of `details`, or one without any."""
        super().__init__(f"{code}: {message}")
        self.code = code
        self.status = STATUS[code] if status is None else status
        self.headers = headers
        errors = [{"code": code, "message": message, "detail": detail} for detail in details]
        self.body = {"errors": errors or [{"code": code, "message": message}]}
