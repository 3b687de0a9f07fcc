"""The blob half of the API: pull, push in all its ways, mount, deletion.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints (end-2, 4, 5, 6, 10, 11, 13, 14)
"""

from __future__ import annotations

import re

from werkzeug.wrappers import Request, Response

from modelcar_sandbox.oci_registry.bodies import Body, FileBlocks, parse_range
from modelcar_sandbox.oci_registry.errors import Refusal
from modelcar_sandbox.oci_registry.names import HEX_DIGITS, Digest, check_name
from modelcar_sandbox.oci_registry.store import Store
from modelcar_sandbox.oci_registry.uploads import Upload, Uploads

_CONTENT_RANGE = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")


class BlobEndpoints:
    """Answers requests below `/v2/<name>/blobs/`; every method takes the request, its body and the path's parts."""

    def __init__(self, store: Store, uploads: Uploads) -> None:
        self._store = store
        self._uploads = uploads

    def get(self, request: Request, _body: Body, name: str, reference: str) -> Response:
        """GET and HEAD of a blob, with `Range`."""
        digest = Digest.parse(reference)
        blocks = FileBlocks(self._store.open_blob(name, digest))
        try:
            return _send(request, digest, blocks)
        except Refusal:
            blocks.close()
            raise

    def delete(self, _request: Request, _body: Body, name: str, reference: str) -> Response:
        """DELETE of a blob, from this repository only."""
        self._store.remove_blob(name, Digest.parse(reference))
        return Response(status=202)

    def begin_upload(self, request: Request, body: Body, name: str, _upload_id: str) -> Response:
        """POST: begin an upload, push in one request (`digest`), or mount (`mount`, `from`)."""
        if "mount" in request.args and self._mount(request, name):
            return _created(name, Digest.parse(request.args["mount"]))
        if "digest" in request.args:
            digest = Digest.parse(request.args["digest"])
            with self._uploads.begin(name, digest.algorithm) as upload:
                try:
                    upload.append(body)
                    return self._finish(name, upload, digest)
                finally:
                    self._uploads.end(upload)
        algorithm = request.args.get("digest-algorithm", "sha256")
        if algorithm not in HEX_DIGITS:
            raise Refusal("DIGEST_INVALID", "digest algorithm not supported", algorithm)
        return _progress(name, self._uploads.begin(name, algorithm), 202)

    def get_upload(self, _request: Request, _body: Body, name: str, upload_id: str) -> Response:
        """GET: how far an upload has come."""
        return _progress(name, self._uploads.find(name, upload_id), 204)

    def append(self, request: Request, body: Body, name: str, upload_id: str) -> Response:
        """PATCH: the next chunk, or everything in one stream when there is no `Content-Range`."""
        with self._uploads.find(name, upload_id) as upload:
            self._append(name, upload, request, body, None)
            return _progress(name, upload, 202)

    def finish_upload(self, request: Request, body: Body, name: str, upload_id: str) -> Response:
        """PUT: the last bytes, if any are missing, and the digest of the whole."""
        with self._uploads.find(name, upload_id) as upload:
            if "digest" not in request.args:
                raise Refusal("DIGEST_INVALID", "the query has no digest")
            digest = Digest.parse(request.args["digest"])
            self._append(name, upload, request, body, digest.algorithm)
            return self._finish(name, upload, digest)

    def cancel_upload(self, _request: Request, _body: Body, name: str, upload_id: str) -> Response:
        """DELETE: forget an upload."""
        with self._uploads.find(name, upload_id) as upload:
            self._uploads.end(upload)
        return Response(status=204)

    def _mount(self, request: Request, name: str) -> bool:
        """Mount the blob if it is where the request says, or anywhere; if not, an upload begins instead."""
        source = request.args.get("from")
        return self._store.mount_blob(name, Digest.parse(request.args["mount"]), check_name(source) if source else None)

    def _append(self, name: str, upload: Upload, request: Request, body: Body, algorithm: str | None) -> None:
        before = upload.size_bytes
        announced = _announced(request.headers.get("Content-Range"), body)
        if announced is not None and announced[0] != before:
            where = _position(name, upload)
            raise Refusal("BLOB_UPLOAD_INVALID", "chunk out of order", {"size": before}, status=416, headers=where)
        received = upload.append(body, algorithm)
        if announced is not None and announced[1] != received:
            upload.truncate(before)
            raise Refusal("SIZE_INVALID", "Content-Range has another length than the body", {"length": received})

    def _finish(self, name: str, upload: Upload, digest: Digest) -> Response:
        """Check the digest and make the blob visible; the upload ends either way."""
        actual = upload.digest(digest.algorithm)
        if actual != digest:
            self._uploads.end(upload)
            details = {"provided": str(digest), "actual": str(actual)}
            raise Refusal("DIGEST_INVALID", "provided digest did not match uploaded content", details)
        self._store.add_blob(name, digest, upload.file)
        self._uploads.end(upload)
        return _created(name, digest)


def _send(request: Request, digest: Digest, blocks: FileBlocks) -> Response:
    """The blob or the range of it that is asked for; the answer closes the file."""
    etag = f'"{digest}"'
    part = None
    if request.method == "GET" and request.headers.get("If-Range", etag) == etag:
        part = parse_range(request.headers.get("Range"), blocks.size_bytes)
    start, count = part or (0, blocks.size_bytes)
    headers = {
        "Docker-Content-Digest": str(digest),
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        "Content-Length": str(count),
    }
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{start + count - 1}/{blocks.size_bytes}"
    blocks.choose(start, count)
    return Response(blocks, status=206 if part else 200, headers=headers, direct_passthrough=True)


def _announced(header: str | None, body: Body) -> tuple[int, int] | None:
    """First position and length that `Content-Range` states; None without one.

    Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-in-chunks
    (not HTTP's own form of that header)
    """
    if header is None:
        return None
    match = _CONTENT_RANGE.fullmatch(header)
    if match is None:
        raise Refusal("BLOB_UPLOAD_INVALID", "Content-Range is not <first>-<last>", header)
    first, last = int(match.group(1)), int(match.group(2))
    if body.length is not None and body.length != last - first + 1:
        details = {"length": body.length, "range": header}
        raise Refusal("SIZE_INVALID", "Content-Range has another length than Content-Length", details)
    return first, last - first + 1


def _progress(name: str, upload: Upload, status: int) -> Response:
    return Response(status=status, headers=_position(name, upload))


def _position(name: str, upload: Upload) -> dict[str, str]:
    """Where to go on, and the range that is there; `0-0` also stands for nothing, as in the registries that exist."""
    return {
        "Location": f"/v2/{name}/blobs/uploads/{upload.id}",
        "Range": f"0-{max(upload.size_bytes - 1, 0)}",
        "Docker-Upload-UUID": upload.id,
    }


def _created(name: str, digest: Digest) -> Response:
    headers = {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": str(digest)}
    return Response(status=201, headers=headers)
