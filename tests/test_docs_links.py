"""Links in what people read lead somewhere: to a file that is there, and to a heading in it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.M)
FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
_LISTED = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
PAGES = [path for path in _LISTED.split() if not path.startswith(("sandbox/", "tests/"))]


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", one.lower().replace("`", "")).replace(" ", "-") for one in headings}


def is_there(source: str, target: str) -> bool:
    path, _, anchor = target.partition("#")
    page = (ROOT / source).parent / path if path else ROOT / source
    return page.exists() and (not anchor or anchor in anchors(page))


@pytest.mark.skipif(not PAGES, reason="no git repository here, which lists the pages")
@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_somewhere(page: str) -> None:
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    targets = [target for target in LINK.findall(text) if not re.match(r"https?://|mailto:", target)]
    assert [target for target in targets if not is_there(page, target)] == []


def test_a_link_to_what_is_not_there_is_told() -> None:
    assert is_there("README.md", "docs/architecture.md#decisions-and-why")
    assert not is_there("README.md", "docs/architecture.md#nothing-of-the-kind")
    assert not is_there("README.md", "docs/nothing.md")
