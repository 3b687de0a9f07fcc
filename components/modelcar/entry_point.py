"""Run a Python function in a process of its own: `python -m modelcar.entry_point package.module:function`.

The function is called without arguments, and what it returns is not looked at. A function that is not there ends the
process with `NOT_FOUND`, as a shell does for a program.
"""

from __future__ import annotations

import importlib
import sys

NOT_FOUND = 127


def main(entry_point: str) -> int:
    """Import a module and call a function of it.

    Args:
        entry_point: `package.module:function`.

    Returns:
        0, or `NOT_FOUND` after a sentence on standard error. What the function raises is not caught.
    """
    module_name, _, function_name = entry_point.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if not f"{module_name}.".startswith(f"{error.name}."):
            raise  # it is there, and lacks something that it needs
        print(f"there is no module {error.name}", file=sys.stderr)
        return NOT_FOUND
    function = getattr(module, function_name, None)
    if not callable(function):
        print(f"{module_name} has no function {function_name}", file=sys.stderr)
        return NOT_FOUND
    function()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
