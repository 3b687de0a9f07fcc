"""Fail when a test was skipped for want of something that CI has: a server it started, a tool it installed.

    python skips.py OPT_IN… -- FILE.xml…

A skip is fine only when its reason begins with one of the OPT_INs.
"""

import sys
from xml.etree import ElementTree

split = sys.argv.index("--")
opt_ins, files = tuple(sys.argv[1:split]), sys.argv[split + 1 :]
missing = [
    f"{case.get('classname')}::{case.get('name')}: {reason}"
    for file in files
    for case in ElementTree.parse(file).iter("testcase")  # noqa: S314 - written by our own pytest
    for skip in case.iter("skipped")
    if not (reason := (skip.get("message") or "").removeprefix("Skipped: ")).startswith(opt_ins)
]
print("\n".join(missing))
sys.exit(bool(missing))
