"""The report as text; `succeeded.md` beside this file is one as a whole."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from modelcar.page import FailureReport, Report, StepReport, render_markdown
from page.examples import EXAMPLES, FAILED, HOSTILE, MANY, NASTY, PATCH, RETRAINED, SKIPPED, SUCCEEDED
from page.html_tree import read

SHOWN = " ".join(NASTY.replace("\u202e", "\\u202e").replace("\0", "\\u0000").replace("\ud800", "\\ud800").split())
MEANT = {
    *("heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "text", "text_special"),
    *("blockquote_open", "blockquote_close", "bullet_list_open", "bullet_list_close"),
    *("list_item_open", "list_item_close", "fence", "code_inline", "strong_open", "strong_close"),
    *("link_open", "link_close", "table_open", "table_close", "thead_open", "thead_close", "tbody_open", "tbody_close"),
    *("tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close"),
}
"""What a report is made of; no markup of a value is among it."""


def lines(report: Report) -> list[str]:
    return render_markdown(report).splitlines()


def test_a_whole_report() -> None:
    assert render_markdown(SUCCEEDED) == (Path(__file__).parent / "succeeded.md").read_text(encoding="utf-8")


def test_a_failure_says_which_step_why_what_to_do_and_whose_fault() -> None:
    assert [line for line in lines(FAILED) if line.startswith(">")] == [
        "> **Register failed**: version 3.3-2b of granite exists in the Model Registry with another image",
        ">",
        "> **What to do**: Choose another version name; a version never changes its image.",
        ">",
        "> exit code 2: the input is at fault",
    ]


def test_what_nobody_knows_is_left_out() -> None:
    report = replace(FAILED, failure=FailureReport("Push", "it broke"))
    assert [line for line in lines(report) if line.startswith(">")] == ["> **Push failed**: it broke"]


def test_a_skipped_run_says_its_reason() -> None:
    assert lines(SKIPPED)[:3] == ["# Retrain and promote granite", "", f"**SKIPPED**: {SKIPPED.sentence}"]


def test_metrics_stand_beside_their_floors() -> None:
    assert [line for line in lines(RETRAINED) if line.startswith(("| acc", "| f1", "| loss"))] == [
        "| accuracy | 0.71 | 0.8 | **below the floor** |",
        "| f1 | 0.834 | 0.8 | reached |",
        "| loss | 1.25 |  |  |",
    ]


def test_of_a_hundred_layers_twelve_are_listed() -> None:
    assert sum(line.endswith(("| sent |", "| reused |")) for line in lines(MANY)) == 12
    assert "… and 88 more." in lines(MANY)


@pytest.mark.parametrize("report", EXAMPLES.values(), ids=EXAMPLES)
def test_no_value_is_taken_for_markup(report: Report) -> None:
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse(render_markdown(report))
    inline = [child for token in tokens for child in token.children or ()]

    assert {token.type for token in [*tokens, *inline]} <= MEANT
    addresses = [str(token.attrs["href"]) for token in inline if token.type == "link_open"]
    assert all(address.startswith("https://") for address in addresses)
    headings = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    assert set(headings[1:]) <= {"Metrics", "Steps", "Layers", "Diff", "Links"}
    whole = read(str(parser.render(render_markdown(report))).replace("<br />", ""))
    columns = [{len(row.all("td") or row.all("th")) for row in table.all("tr")} for table in whole.all("table")]
    assert all(len(counts) == 1 for counts in columns)
    if report is HOSTILE:
        assert whole.text.count(SHOWN) > 20
        assert whole.all("h1")[0].text == SHOWN
    render_markdown(report).encode("utf-8")


def test_code_is_no_link() -> None:
    assert lines(HOSTILE)[-2].endswith(": `javascript:alert(1)`")


@pytest.mark.parametrize("value", ["# a", "- a", "+ a", "> a", "1. a", "1) a", "= a", "- - a"])
def test_a_value_begins_no_block(value: str) -> None:
    [line] = [line for line in lines(replace(SUCCEEDED, links=((value, "https://a.example"),))) if "a.example" in line]
    assert re.search(r"- \[\d*\\[#>+.)=-]", line)


def test_a_fence_is_longer_than_any_in_the_diff() -> None:
    report = replace(SUCCEEDED, patch=replace(PATCH, diff="+````\n+```\n"))
    assert "`````diff\n+````\n+```\n`````\n" in render_markdown(report)


def test_a_step_without_a_time_has_none() -> None:
    report = replace(SUCCEEDED, steps=(StepReport("Patch", "SKIPPED", None, "no change"),))
    assert "| Patch | SKIPPED |  | no change |" in lines(report)
