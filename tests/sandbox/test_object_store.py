"""The object store of the sandbox, beside what the sources' tests ask of it."""

from __future__ import annotations

from typing import Any
from wsgiref.util import setup_testing_defaults

from modelcar_sandbox.object_store import ObjectStore

SIGNED = "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


def test_a_large_object_is_answered_in_blocks_of_a_mebibyte() -> None:
    store, bucket = ObjectStore(), "blocks"
    store.make_bucket(bucket)
    store.put(bucket, "large", content := bytes(range(256)) * (10 << 10))
    path = f"/{bucket}/large"
    environ: dict[str, Any] = {"PATH_INFO": path, "RAW_URI": path, "HTTP_AUTHORIZATION": SIGNED}
    setup_testing_defaults(environ)
    said: list[str] = []
    blocks = list(store(environ, lambda status, *_: said.append(status)))  # type: ignore[arg-type]
    assert said == ["200 OK"]
    assert [len(block) for block in blocks] == [1 << 20, 1 << 20, 1 << 19]
    assert b"".join(blocks) == content
