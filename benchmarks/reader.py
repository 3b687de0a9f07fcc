"""Read a model as a push reads it, and send it nowhere: every check, and each byte hashed for its file and its layer.

python benchmarks/reader.py URI
"""

from __future__ import annotations

import sys
import threading
from functools import partial

from modelcar.image.layer import LayerStream
from modelcar.image.packing import plan_layers
from modelcar.jobs import run_jobs
from modelcar.push import CONCURRENCY
from modelcar.sources.content import ModelCheck
from modelcar.sources.open import open_source


def main() -> None:
    """Read the model that the argument names."""
    source = open_source(sys.argv[1])
    snapshot = source.snapshot()
    check = ModelCheck(snapshot)
    streams = [LayerStream(layer, source.open, check.file) for layer in plan_layers(snapshot.files, base_layers=0)]
    run_jobs([partial(LayerStream.drain, stream) for stream in streams], CONCURRENCY, threading.Event())
    check.finish()


if __name__ == "__main__":
    main()
