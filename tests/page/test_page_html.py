"""What a page says, and that it is complete in itself, whatever the values are."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import get_args
from xml.etree import ElementTree

import pytest

from modelcar.page import LayerReport, Report, State, StepReport, VersionReport, render_html, render_notebook
from modelcar.page.blocks import MOST_ROWS
from page.examples import (
    COMMIT,
    EXAMPLES,
    FAILED,
    HOSTILE,
    IMAGE,
    LAYERS,
    MANY,
    NASTY,
    PATCH,
    PUSHED,
    RETRAINED,
    SKIPPED,
    SUCCEEDED,
)
from page.html_tree import Element, read

ELEMENTS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "section", "div", "span", "p", "strong"),
    *("h1", "h2", "ol", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"),
    *("pre", "code", "a", "bdi", "svg", "g", "rect", "path"),
}
ATTRIBUTES = {
    *("class", "lang", "charset", "name", "content", "http-equiv", "dir", "scope", "role", "aria-hidden", "aria-label"),
    *("href", "target", "rel", "viewbox", "preserveaspectratio", "width", "height", "x", "rx", "d"),
}


def page(report: Report) -> Element:
    return read(render_html(report))


def nodes(report: Report) -> list[str]:
    return [node.text for node in page(report).all("li", "node")]


def rows(report: Report, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    [found] = [part for part in page(report).all("section") if part.all("h2")[0].text.startswith(heading)]
    return [[cell.text for cell in row.all("td")] for row in found.all("table")[0].all("tr")[1:]]


def hrefs(report: Report) -> list[str]:
    return [anchor.attributes["href"] for anchor in page(report).all("a")]


# --- what holds for every page


@pytest.mark.parametrize("report", EXAMPLES.values(), ids=EXAMPLES)
def test_a_page_is_well_formed(report: Report) -> None:
    markup = render_html(report)
    ElementTree.fromstring(markup.removeprefix("<!DOCTYPE html>\n"))  # noqa: S314 - our own
    ElementTree.fromstring(render_notebook(report))  # noqa: S314

    assert read(markup).all("main")
    markup.encode("utf-8")


@pytest.mark.parametrize("report", EXAMPLES.values(), ids=EXAMPLES)
def test_a_page_has_no_code_and_nothing_from_elsewhere(report: Report) -> None:
    found = page(report).all()

    assert {element.name for element in found} <= ELEMENTS
    assert {name for element in found for name in element.attributes} <= ATTRIBUTES
    assert all(href.startswith(("https://", "http://")) for href in hrefs(report))
    [style] = page(report).all("style")
    assert not re.search(r"url\(|@import|expression|</", str(style.children[0]))
    policies = [meta.attributes.get("content") for meta in page(report).all("meta") if "http-equiv" in meta.attributes]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


@pytest.mark.parametrize("report", EXAMPLES.values(), ids=EXAMPLES)
def test_links_open_beside_the_page_and_tell_it_nothing(report: Report) -> None:
    for anchor in page(report).all("a"):
        assert (anchor.attributes["target"], anchor.attributes["rel"]) == ("_blank", "noopener noreferrer")


def test_a_page_is_the_same_every_time() -> None:
    assert [render_html(SUCCEEDED)] * 3 == [render_html(SUCCEEDED) for _ in range(3)]


def test_values_are_shown_as_they_are() -> None:
    shown = " ".join(NASTY.replace("\u202e", "\\u202e").replace("\0", "\\u0000").replace("\ud800", "\\ud800").split())
    whole = page(HOSTILE)

    assert whole.all("h1")[0].text == shown
    assert whole.all("title")[0].text == shown
    assert whole.text.count(shown) > 20
    assert whole.all("script") == []


@pytest.mark.parametrize("hidden", ["\u202e", "\u2066", "\u200b", "\ufeff", "\x1b", "\x85", "\u2028", "\udcff"])
def test_what_cannot_be_seen_is_shown_as_an_escape(hidden: str) -> None:
    heading = page(replace(SUCCEEDED, title=f"a{hidden}b")).all("h1")[0]
    assert heading.text == f"a\\u{ord(hidden):04x}b"


@pytest.mark.parametrize("seen", ["\u05e9\u05dc\u05d5\u05dd", "\U0001f469\u200d\U0001f52c", "e\u0301", "日本語"])
def test_all_that_can_be_seen_stays(seen: str) -> None:
    assert page(replace(SUCCEEDED, title=seen)).all("h1")[0].text == seen


# --- the chain


def test_the_chain_leads_from_the_source_to_the_commit() -> None:
    assert nodes(SUCCEEDED) == [
        "Source ibm-granite/granite-3.3-2b-instruct at 4f3c9b0f1f2a 12 files, 5.0 GiB",
        "Image quay.io/acme/granite sha256:785dfbb8b1e9… :3.3-2b",
        "Model version granite / 785dfbb8b1e9 version id 12",
        "Commit b1946ac92492 granite.yaml on main acme/private-ai",
    ]
    assert [edge.text for edge in page(SUCCEEDED).all("li", "edge")] == [
        "1.0 GiB read, 1.0 GiB sent",
        "registered",
        "committed",
    ]


def test_the_chain_of_a_rerun_says_that_all_was_there() -> None:
    again = replace(
        SUCCEEDED,
        image=replace(PUSHED, bytes_read=0, bytes_uploaded=0),
        version=VersionReport("granite", "1"),
        patch=replace(PATCH, changed=False, diff=""),
    )
    edges = [edge.text for edge in page(again).all("li", "edge")]
    assert edges == ["nothing read, nothing sent", "was there", "was there"]


def test_a_manifest_that_had_the_image_has_no_commit_of_ours() -> None:
    report = replace(SUCCEEDED, patch=replace(PATCH, commit=None, changed=False, diff=""))
    assert nodes(report)[3].startswith("Commit no commit of ours ")
    assert "none: the manifest had the image already" in page(report).text


@pytest.mark.parametrize(
    ("report", "words"), [(FAILED, "not reached"), (SKIPPED, "not needed"), (MANY, "not part of this run")]
)
def test_the_chain_says_what_was_not_reached(report: Report, words: str) -> None:
    assert nodes(report)[2:] == [f"Model version {words}", f"Commit {words}"]


def test_without_anything_to_draw_there_is_no_chain() -> None:
    assert nodes(EXAMPLES["bare"]) == []


# --- failures and reasons


def test_a_failure_says_which_step_why_what_to_do_and_whose_fault() -> None:
    [notice] = page(FAILED).all("div", "notice")
    assert notice.text == (
        "Register failed version 3.3-2b of granite exists in the Model Registry with another image "
        "What to do: Choose another version name; a version never changes its image. "
        "exit code 2: the input is at fault"
    )


def test_a_skipped_run_says_its_reason_once() -> None:
    [notice] = page(SKIPPED).all("div", "notice")
    assert notice.text == f"Nothing was done {SKIPPED.sentence}"
    assert page(SKIPPED).text.count(SKIPPED.sentence) == 1


@pytest.mark.parametrize("report", [SUCCEEDED, FAILED, SKIPPED])
def test_the_state_stands_beside_the_title(report: Report) -> None:
    [header] = page(report).all("header")
    assert header.all("span", "pill")[0].text == report.state
    assert header.all("h1")[0].text == report.title


# --- steps, layers, metrics, diff


def test_steps_say_how_they_ended_and_how_long_they_took() -> None:
    assert rows(FAILED, "Steps: 5 min 15 s in all") == [
        ["✓ Resolve succeeded", "", "2.4 s", ""],
        ["✓ Build and push succeeded", "", "5 min 12 s", ""],
        ["✕ Register failed", "", "0.9 s", "after 3 attempts"],
        ["○ Patch skipped", "", "", ""],
    ]


def test_a_step_of_every_state_is_drawn() -> None:
    states: tuple[State, ...] = get_args(State)
    steps = tuple(StepReport("Push", state) for state in states)
    marks = [row[0] for row in rows(replace(SUCCEEDED, steps=steps), "Steps")]
    assert [mark.split(maxsplit=1)[1] for mark in marks] == [f"Push {state.lower()}" for state in states]
    assert len({mark[0] for mark in marks}) == len(states)


def test_layers_are_listed_with_their_sizes_and_what_became_of_them() -> None:
    assert rows(SUCCEEDED, "Image") == [
        ["ubi9/ubi-micro:latest", "9.0 MiB", "", "reused"],
        ["directories", "2.0 KiB", "", "sent"],
        ["README.md and 8 more", "4.0 MiB", "", "sent"],
        ["model-00001-of-00002.safetensors", "4.0 GiB", "", "reused"],
        ["model-00002-of-00002.safetensors", "1.0 GiB", "", "sent"],
    ]
    [legend] = page(SUCCEEDED).all("div", "legend")
    assert legend.text == "3 layers sent, 1.0 GiB 2 layers reused, 4.0 GiB"


def test_the_picture_of_the_layers_is_as_wide_as_they_are_large() -> None:
    [picture] = page(SUCCEEDED).all("svg", "stack")
    widths = [float(rect.attributes["width"]) for rect in picture.all("rect")]
    whole = sum(layer.size_bytes for layer in LAYERS)
    for width, layer in zip(widths, LAYERS, strict=True):
        assert abs(width - max(0.4, 1000 * layer.size_bytes / whole - 1.5)) < 0.01
    assert [rect.classes for rect in picture.all("rect")] == [["kept" if x.reused else "sent"] for x in LAYERS]


def test_of_a_hundred_layers_those_that_moved_are_listed_first_and_the_rest_is_folded() -> None:
    listed = rows(MANY, "Image")
    assert len(listed) == MOST_ROWS
    assert [row[0] for row in listed if row[3] == "sent"] == [
        "config.json and 20 more",
        "model-00007-of-00098.safetensors",
        "model-00047-of-00098.safetensors",
        "model-00087-of-00098.safetensors",
    ]
    [folded] = page(MANY).all("details")
    assert folded.all("summary")[0].text == "88 more layers, 351.9 GiB in all"
    assert len(folded.all("tr")) == 1 + 88
    assert len(page(MANY).all("svg", "stack")[0].all("rect")) == 100


def test_layers_of_nothing_are_drawn() -> None:
    report = replace(SUCCEEDED, image=replace(PUSHED, layers=(LayerReport("directories", 0, reused=False),)))
    assert rows(report, "Image") == [["directories", "0 B", "", "sent"]]


def test_metrics_stand_beside_their_floors() -> None:
    assert rows(RETRAINED, "Metrics") == [
        ["accuracy", "0.71", "0.8", "✕ below the floor"],
        ["f1", "0.834", "0.8", "✓ reached"],
        ["loss", "1.25", "", ""],
    ]


def test_the_diff_is_there_line_by_line_and_coloured() -> None:
    [pre] = page(SUCCEEDED).all("pre")
    lines = [(str(line.children[0]), line.classes) for line in pre.all("span")]
    assert "".join(line for line, _ in lines) == PATCH.diff
    assert [classes[0] if classes else "" for _, classes in lines if classes] == [
        *("file", "file", "place"),
        *("removed", "added", "removed", "added"),
    ]


# --- links


def test_what_has_a_page_is_a_link() -> None:
    assert set(hrefs(SUCCEEDED)) == {
        f"https://huggingface.co/ibm-granite/granite-3.3-2b-instruct/commit/{COMMIT}",
        f"https://quay.io/repository/acme/granite/manifest/{IMAGE.partition('@')[2]}",
        f"https://github.com/acme/private-ai/commit/{PATCH.commit}",
        "https://kfp.example/#/runs/details/42",
    }


def test_links_are_also_there_in_words() -> None:
    assert ["The commit", f"https://github.com/acme/private-ai/commit/{PATCH.commit}"] in rows(SUCCEEDED, "Links")


def test_what_is_no_page_is_no_link() -> None:
    report = replace(SUCCEEDED, links=(("Click", "javascript:alert(1)"), ("Broken", "http://[")))
    assert not any("javascript" in href or "[" in href for href in hrefs(report))
    assert ["Click", "javascript:alert(1)"] in rows(report, "Links")


def test_a_password_in_a_remote_is_not_shown() -> None:
    report = replace(SUCCEEDED, patch=replace(PATCH, repository="https://robot:geheim@github.com/acme/x.git"))
    assert "geheim" not in render_html(report)
    assert f"https://github.com/acme/x/commit/{PATCH.commit}" in hrefs(report)
