"""Which layers of a push are finished: kept beside its images while it runs, so that a killed push goes on.

A layer without a manifest that names it cannot be found again, and a registry may throw it away. So each time a big
layer has arrived, a small manifest under a tag of its own names all that are there. A push of the same files reads it
as it reads the manifests of earlier images, and the push that gets to the end takes it away.

The manifest is an OCI artifact; its layers are described as an image's are.
Source: https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Mapping, Sequence

from modelcar.distribution.destination import Destination, StoredManifest
from modelcar.distribution.upload import Content
from modelcar.errors import DistributionError
from modelcar.image.manifest import MANIFEST_TYPE, Descriptor
from modelcar.image.packing import LAYER_FORMAT_VERSION
from modelcar.plan import ImagePlan
from modelcar.reference import Digest
from modelcar.snapshot import ModelSnapshot

JOURNAL_TYPE = "application/vnd.modelcar.journal.v1"
EMPTY_CONFIG = b"{}"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"

log = logging.getLogger(__name__)


def journal_tag(snapshot: ModelSnapshot) -> str:
    """The tag of the journal of all pushes of these files: two that run at once share it, and what they find is true.

    Where a revision is, or which, does not count, so a branch that moved without a change goes on as well.
    """
    files = [
        [file.path, file.size_bytes, file.sha256.hex if file.sha256 is not None else None, file.git_blob_id]
        for file in snapshot.files
    ]
    key = hashlib.sha256(json.dumps([LAYER_FORMAT_VERSION, files]).encode()).hexdigest()
    return f"modelcar-journal-{key[:32]}"


class Journal:
    """The journal of one push; used by several threads.

    A registry that does not take it is no reason to fail: then a killed push begins anew. Nor is it one to wait: each
    write has one attempt, for the layers wait for it, and the next layer brings another.
    """

    def __init__(self, destination: Destination, plan: ImagePlan) -> None:
        """Begin; nothing is written before a layer is finished.

        Args:
            destination: Where the push goes.
            plan: What is pushed. Layers that earlier images or journals have for it stand in the journal until the
                push knows better. Whether it found a journal, to be removed at the end, is in `plan.found`.
        """
        self._destination, self._tag = destination.waiting_by(_do_not_wait), journal_tag(plan.snapshot)
        self._believed = {
            number: planned.candidate
            for number, planned in enumerate(plan.layers)
            if planned.candidate is not None and planned.origin is None
        }
        self._pending = {
            number for number, planned in enumerate(plan.layers) if not planned.reusable or planned.origin is not None
        }
        self._finished: dict[int, Descriptor] = {}
        exists = self._tag in plan.found
        self._exists, self._refused, self._may_remove = exists, False, True
        self._written: Digest | None = None
        self._lock = threading.Lock()

    def finished(self, number: int, layer: Descriptor, *, sent: bool) -> None:
        """Layer `number` of the plan is there; written at once if it moved and there are others to come.

        Returns when the registry has taken note of it, so that a push that is killed afterwards has not lost it.
        """
        with self._lock:
            self._finished[number] = layer
            self._pending.discard(number)
            if sent and self._pending and not self._refused:
                self._write()

    def close(self, image: bytes, media_type: str) -> None:
        """The push is done: take the journal away.

        A registry that lets nobody delete is given the image under the journal's tag instead, so that nothing is kept
        there for a journal's sake.

        Args:
            image: Manifest of the image that has all of the layers now.
            media_type: Of the manifest.
        """
        with self._lock:
            if not self._exists:
                return
            try:
                self._remove(image, media_type)
            except DistributionError as error:
                log.debug("the journal %s stays in %s: %s", self._tag, self._destination.name, error)

    def _remove(self, image: bytes, media_type: str) -> None:
        stored = self._destination.find_manifest(self._tag)
        if stored is None or stored.digest == Digest.of(image):
            return
        if not (_is_journal(stored) and self._remove_manifest(stored.digest, self._tag)):
            self._destination.write_manifest(image, media_type, [self._tag])

    def _remove_manifest(self, digest: Digest, tag: str | None) -> bool:
        try:
            return self._destination.remove_manifest(digest, tag)
        except DistributionError as error:
            log.debug("%s removes no journal: %s", self._destination.name, error)
            return False

    def _write(self) -> None:
        """Write what is finished; what is only believed to be there goes along as long as the registry agrees."""
        while True:
            try:
                self._put({**self._believed, **self._finished})
            except _Busy:
                return
            except DistributionError as error:
                log.debug("%s takes no journal: %s", self._destination.name, error)
                if not self._believed:
                    self._refused = True
                    return
                self._believed.clear()
            else:
                return

    def _put(self, layers: Mapping[int, Descriptor]) -> None:
        config = Digest.of(EMPTY_CONFIG)
        if self._written is None and not self._destination.has_blob(config):
            self._destination.write_blob(Content(EMPTY_CONFIG), config)
        manifest = _describe(config, [layers[number] for number in sorted(layers)])
        self._destination.write_manifest(manifest, MANIFEST_TYPE, [self._tag])
        before, self._written, self._exists = self._written, Digest.of(manifest), True
        if before is not None and self._may_remove:
            self._may_remove = self._remove_manifest(before, None)


class _Busy(DistributionError):
    """The registry would have to be asked once more, later."""


def _do_not_wait(_delay_s: float) -> None:
    raise _Busy("the registry has no time for a journal just now")


def _describe(config: Digest, layers: Sequence[Descriptor]) -> bytes:
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": JOURNAL_TYPE,
        "config": Descriptor(EMPTY_TYPE, config, len(EMPTY_CONFIG), {}).to_json(),
        "layers": [layer.to_json() for layer in layers],
    }
    return json.dumps(manifest, separators=(",", ":")).encode()


def _is_journal(stored: StoredManifest) -> bool:
    """Whether it is not the image that an earlier push has left under the tag."""
    try:
        return bool(json.loads(stored.content).get("artifactType") == JOURNAL_TYPE)
    except (ValueError, AttributeError):
        return False
