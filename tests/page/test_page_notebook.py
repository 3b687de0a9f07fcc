"""What notebooks draw: pieces with a style of their own that leaves the notebook as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from modelcar.build import BuildRequest, prepare
from modelcar.distribution.client import Access
from modelcar.page import blocks, render_notebook, render_plan
from modelcar.page.style import STYLE
from modelcar.reference import LayoutReference, Platform
from modelcar.report import describe_plan
from modelcar_sandbox.demo_model import write_demo_model
from page.examples import SUCCEEDED
from page.html_tree import read


def test_a_plan_says_what_would_move(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    write_demo_model(model)
    (model / "model.gguf").write_bytes(b"GGUF")
    request = BuildRequest(
        model.as_uri(), LayoutReference(tmp_path / "layout", "1"), None, (Platform("linux", "amd64"),)
    )
    drawn = read(render_plan(describe_plan(prepare(request, Access()))))

    assert drawn.all("h1")[0].text == "Plan"
    assert "At most 8.4 MiB would move, 0 B would be reused." in drawn.text
    assert f"Source {model.as_uri()} Goes to oci-layout:{tmp_path}/layout Base image scratch" in drawn.text
    assert [row.all("td")[3].text for row in drawn.all("table")[0].all("tr")[1:]] == ["to send"] * 4
    assert drawn.all("details")[-1].all("summary")[0].text == "1 file left out"
    assert "model.gguf 4 B default pattern *.gguf, and safetensors are there" in drawn.text


def test_what_a_notebook_shows_is_one_element_with_its_style() -> None:
    [frame] = read(render_notebook(SUCCEEDED)).children

    assert not isinstance(frame, str)
    assert (frame.name, frame.classes) == ("div", ["modelcar"])
    assert len(frame.all("style")) == 1


def test_the_style_reaches_nothing_outside() -> None:
    rules = re.sub(r"@media[^{]*\{|/\*.*?\*/", "", STYLE)
    selectors = [part.strip() for rule in re.findall(r"([^{}]+)\{", rules) for part in rule.split(",")]

    assert len(selectors) > 50
    assert [name for name in selectors if ".modelcar" not in name] == []


def test_pieces_of_nothing_are_nothing() -> None:
    assert blocks.steps(()) is None
    assert blocks.layers(()) is None
    assert blocks.diff("\n") is None
    assert blocks.facts({"Name": None, "Other": ""}) is None
    assert blocks.section("Title", None) is None


def test_other_objects_are_drawn_from_the_same_pieces() -> None:
    fires = blocks.table(("Fires", "In"), [("2026-11-26 02:00", "5 h")])
    drawn = read(blocks.frame(blocks.headline("Nightly", "RUNNING", "<i>"), blocks.section("Next", fires)))

    assert drawn.text == "Nightly RUNNING <i> Next Fires In 2026-11-26 02:00 5 h"


def test_a_page_is_made_without_what_draws_on_terminals() -> None:
    program = "import sys, modelcar.page; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert set(done.stdout.split()) & {"rich", "click", "requests", "jinja2", "kfp"} == set()
