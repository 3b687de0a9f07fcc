"""Add up what pytest wrote for several runs, and print it as one plain line."""

import sys
from xml.etree import ElementTree

counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
for path in sys.argv[1:]:
    for suite in ElementTree.parse(path).iter("testsuite"):  # noqa: S314 - written by our own pytest
        for name in counts:
            counts[name] += int(suite.get(name, "0"))
failed = counts["failures"] + counts["errors"]
print(f"{counts['tests'] - failed - counts['skipped']} passed, {failed} failed, {counts['skipped']} skipped")
sys.exit(failed > 0)
