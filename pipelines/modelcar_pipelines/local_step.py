"""The process of one step of a local run: `python -m modelcar_pipelines.local_step SOURCE INPUT FUNCTION`.

Does what the command of a lightweight component does in a pod (write its source to a file, run kfp's executor on it),
but reads the executor's input from a file: as an argument it could not have more than 128 KiB (Linux, per argument),
would stand in the list of processes, and `python3` in it would be rewritten by kfp.local. The executor also prints its
whole input, so that every parameter would be in the log; that line is left out here.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path


def main(source: str, executor_input: str, function: str) -> None:
    """Run one component's function.

    Args:
        source: Path of the component's source; its name ends in `.py`.
        executor_input: Path of the ExecutorInput, JSON.
        function: The component's function in the source.
    """
    # Before kfp is imported: it then leaves out compiler and client, 0.03 s instead of 0.4 s.
    os.environ["_KFP_RUNTIME"] = "true"
    from kfp.dsl import executor_main

    logging.basicConfig(
        stream=sys.stdout, format="[%(asctime)s %(levelname)s] %(message)s", datefmt="%H:%M:%S", level=logging.INFO
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: record.module != executor_main.__name__.rpartition(".")[2])
    text = Path(executor_input).read_text(encoding="utf-8")
    sys.argv = [sys.argv[0], "--component_module_path", source, "--function_to_execute", function]
    sys.argv += ["--executor_input", text]
    executor_main.executor_main()


if __name__ == "__main__":
    main(*sys.argv[1:])
