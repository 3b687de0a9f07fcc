"""How much memory a download takes, measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SHARDS, SHARD_BYTES = 4, 96 << 20
MIB = 1 << 20
DOWNLOAD = r"""
import json, re, sys
from pathlib import Path
from modelcar.sources.open import open_source
from modelcar.workspace.download import download
source = open_source(sys.argv[1])
downloaded = download(source.snapshot(), source, Path(sys.argv[2]), concurrency=4)
# Not ru_maxrss: that begins with the memory of the process which started this one.
peak_bytes = 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
print(json.dumps({"peak": peak_bytes, "read": downloaded.bytes_read}))
"""


def write_sparse_shard(path: Path) -> None:
    """A sound safetensors file of zeros, which take no room on the disk."""
    data_bytes = SHARD_BYTES - 256
    header = {"weight": {"dtype": "U8", "shape": [data_bytes], "data_offsets": [0, data_bytes]}}
    text = json.dumps(header).ljust(256 - 8).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(SHARD_BYTES)


def test_a_download_takes_less_memory_than_one_of_its_files(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for number in range(SHARDS):
        write_sparse_shard(model / f"model-{number}.safetensors")
    run = subprocess.run(
        [sys.executable, "-c", DOWNLOAD, model.as_uri(), str(tmp_path / "copy")],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(run.stdout)
    assert told["read"] == SHARDS * SHARD_BYTES
    assert told["peak"] < SHARD_BYTES
    assert (tmp_path / "copy" / "model-3.safetensors").stat().st_size == SHARD_BYTES
