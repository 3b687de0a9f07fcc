"""The sandbox's object store as a test wants it: recorded, and breakable."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from modelcar_sandbox.object_store import KEYS, ObjectStore
from modelcar_sandbox.service import Service
from wsgi_faults import Faults, Recorder

_numbers = itertools.count(1)


class RunningStore:
    """The sandbox's object store, with one bucket of its own."""

    def __init__(self, address: str, store: ObjectStore, bucket: str, faults: Faults, recorder: Recorder) -> None:
        self.address, self.bucket, self.faults, self.recorder = address, bucket, faults, recorder
        self._store = store
        store.make_bucket(bucket)

    @property
    def environment(self) -> dict[str, str]:
        """What a data connection of OpenShift AI gives, without a bucket."""
        return {"AWS_S3_ENDPOINT": f"http://{self.address}", **KEYS}

    def put(self, files: Mapping[str, bytes], prefix: str = "") -> None:
        for key, content in files.items():
            self._store.put(self.bucket, prefix + key, content)

    def delete(self, key: str) -> None:
        self._store.delete(self.bucket, key)


@contextmanager
def serve_store() -> Iterator[RunningStore]:
    store = ObjectStore()
    faults = Faults(store)
    recorder = Recorder(faults)
    with Service(recorder) as service:
        yield RunningStore(service.address, store, f"bucket-{next(_numbers)}", faults, recorder)
