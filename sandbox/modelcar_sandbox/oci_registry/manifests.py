"""The manifest half of the API: pull, push, deletion, tags and referrers.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints (end-3, 7, 8, 9, 12)
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode

from werkzeug.wrappers import Request, Response

from modelcar_sandbox.oci_registry.bodies import Body
from modelcar_sandbox.oci_registry.documents import OCI_INDEX, Document, Reference, read_document
from modelcar_sandbox.oci_registry.errors import Refusal
from modelcar_sandbox.oci_registry.names import Digest, check_reference, check_tag
from modelcar_sandbox.oci_registry.store import Manifest, Store

LARGEST_MANIFEST_BYTES = 4 << 20
MOST_TAGS = 100


class ManifestEndpoints:
    """Answers requests for manifests, tags and referrers; every method takes request, body and the path's parts."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, _request: Request, _body: Body, name: str, reference: str) -> Response:
        """GET and HEAD of a manifest by tag or digest."""
        manifest = self._store.find_manifest(name, check_reference(reference))
        headers = {"Docker-Content-Digest": str(manifest.digest), "ETag": f'"{manifest.digest}"'}
        return Response(manifest.content, status=200, headers=headers, content_type=manifest.media_type)

    def put(self, request: Request, body: Body, name: str, reference: str) -> Response:
        """PUT of a manifest by tag, or by digest with any number of tags in the query."""
        target = check_reference(reference)
        tags = [check_tag(tag) for tag in request.args.getlist("tag")] if isinstance(target, Digest) else [target]
        if len(tags) > MOST_TAGS:
            raise Refusal("UNSUPPORTED", f"more than {MOST_TAGS} tags at once", status=414)
        content = body.read_all(LARGEST_MANIFEST_BYTES)
        digest = Digest.of(content, target.algorithm if isinstance(target, Digest) else "sha256")
        if isinstance(target, Digest) and target != digest:
            details = {"provided": str(target), "actual": str(digest)}
            raise Refusal("DIGEST_INVALID", "provided digest did not match uploaded content", details)
        document = read_document(content, request.headers.get("Content-Type"))
        self._check_references(name, document)
        self._store.add_manifest(name, Manifest(digest, document.media_type, content), tags)
        headers = {"Location": f"/v2/{name}/manifests/{digest}", "Docker-Content-Digest": str(digest)}
        if document.subject is not None:
            headers["OCI-Subject"] = str(document.subject)
        if isinstance(target, Digest) and tags:
            headers["OCI-Tag"] = ", ".join(tags)
        return Response(status=201, headers=headers)

    def delete(self, _request: Request, _body: Body, name: str, reference: str) -> Response:
        """DELETE of a tag, which leaves the manifest, or of a manifest, which takes its tags along."""
        target = check_reference(reference)
        if isinstance(target, Digest):
            self._store.remove_manifest(name, target)
        else:
            self._store.remove_tag(name, target)
        return Response(status=202)

    def list_tags(self, request: Request, _body: Body, name: str, _reference: str) -> Response:
        """GET of the tags, all or `n` of them after `last`, with a `Link` to the rest."""
        last = request.args.get("last", "")
        tags = [tag for tag in self._store.tags(name) if tag > last]
        response = Response(content_type="application/json")
        if "n" in request.args:
            count = _count(request.args["n"])
            if 0 < count < len(tags):
                query = urlencode({"n": count, "last": tags[count - 1]})
                response.headers["Link"] = f'</v2/{name}/tags/list?{query}>; rel="next"'
            tags = tags[:count]
        response.data = json.dumps({"name": name, "tags": tags})
        return response

    def list_referrers(self, request: Request, _body: Body, name: str, reference: str) -> Response:
        """GET of the manifests whose subject has this digest, all or those of one artifact type."""
        subject = Digest.parse(reference)
        wanted = request.args.get("artifactType")
        descriptors = []
        for manifest in self._store.manifests(name):
            document = read_document(manifest.content, manifest.media_type)
            if document.subject == subject and wanted in (None, document.artifact_type):
                descriptors.append(_describe(manifest, document))
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors}
        response = Response(json.dumps(index), content_type=OCI_INDEX)
        if wanted is not None:
            response.headers["OCI-Filters-Applied"] = "artifactType"
        return response

    def _check_references(self, name: str, document: Document) -> None:
        """Raise when the repository lacks something that the manifest refers to, or has it with another size."""
        missing = []
        for reference, size_bytes in self._stored_sizes(name, document):
            if size_bytes is None and reference.required:
                missing.append({"digest": str(reference.digest)})
            elif size_bytes not in (None, reference.size_bytes):
                message = f"manifest invalid: {reference.digest} has {size_bytes} bytes, not {reference.size_bytes}"
                raise Refusal("MANIFEST_INVALID", message)
        if missing:
            raise Refusal("MANIFEST_BLOB_UNKNOWN", "manifest references what the repository does not have", *missing)

    def _stored_sizes(self, name: str, document: Document) -> list[tuple[Reference, int | None]]:
        blobs = [(blob, self._store.blob_size(name, blob.digest)) for blob in document.blobs]
        return blobs + [(child, self._manifest_size(name, child.digest)) for child in document.manifests]

    def _manifest_size(self, name: str, digest: Digest) -> int | None:
        try:
            return len(self._store.find_manifest(name, digest).content)
        except Refusal:
            return None


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise Refusal("UNSUPPORTED", "n is not a number", {"n": text})
    return int(text)


def _describe(manifest: Manifest, document: Document) -> dict[str, Any]:
    descriptor: dict[str, Any] = {
        "mediaType": manifest.media_type,
        "digest": str(manifest.digest),
        "size": len(manifest.content),
    }
    if document.artifact_type is not None:
        descriptor["artifactType"] = document.artifact_type
    if document.annotations:
        descriptor["annotations"] = dict(document.annotations)
    return descriptor
