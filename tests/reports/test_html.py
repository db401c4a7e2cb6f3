"""The offline page: nothing is fetched, everything is escaped, charts are there with and without scripts."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from segment5b_lib.charts.renderer import VEGALITE_MIME, render, spec
from segment5b_lib.errors import InputError, MissingInputError
from segment5b_lib.reports.html import offline_html, read_notebook, write_html
from tests.charts.test_charts import CHARTS
from tests.reports.browser import dom, needs_browser

_LOADS = {"src", "href", "action", "data", "poster", "srcset", "background", "formaction", "xlink:href"}


class Loads(HTMLParser):
    """Every attribute through which a browser would fetch something, and every picture."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.pictures: list[dict[str, str]] = []
        self.policy = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]
        if tag == "img":
            self.pictures.append(values)
        self.found += [value for name, value in values.items() if name in _LOADS]


def notebook_with(*names: str) -> nbformat.NotebookNode:
    """Some charts, all with the first one's picture: that each draws its own is for `test_charts`."""
    cells = [new_markdown_cell("# A <title> & more")]
    bundle, metadata = render(CHARTS[names[0]]().to_dict())
    for name in names:
        bundle = {**bundle, VEGALITE_MIME: spec(CHARTS[name]())}
        output = new_output("display_data", bundle, metadata=metadata)
        cells.append(new_code_cell("secret_call()", outputs=[output], execution_count=1))
    text = new_output("stream", name="stdout", text="a <script>alert(1)</script>\n")
    cells.append(new_code_cell("print()", outputs=[text], execution_count=2))
    return new_notebook(cells=cells)


@pytest.fixture(scope="module")
def page() -> str:
    return offline_html(notebook_with(*CHARTS))


def test_nothing_is_fetched(page: str) -> None:
    loads = Loads(page)
    assert loads.found and all(load.startswith(("data:", "#")) for load in loads.found)
    assert "default-src 'none'" in loads.policy
    assert not re.search(r"@import|url\(\s*['\"]?http", page.split("<script>")[0])
    assert not re.search(r"<script[^>]+src", page)


def test_text_is_escaped_and_code_is_left_out(page: str) -> None:
    assert "<title>A &lt;title&gt; &amp; more</title>" in page
    assert "alert(1)" in page and "<script>alert(1)</script>" not in page
    assert "secret_call" not in page


def test_every_chart_is_there_twice(page: str) -> None:
    assert page.count('<figure class="chart">') == len(CHARTS)
    pictures = Loads(page).pictures
    assert len(pictures) == len(CHARTS)
    for picture in pictures:
        kind, content = picture["src"].split(",")
        assert kind == "data:image/png;base64" and base64.b64decode(content).startswith(b"\x89PNG")
        assert picture["alt"] and int(picture["width"]) > 300


def test_a_spec_cannot_end_its_script() -> None:
    frame = CHARTS["largest_zones"]().to_dict()
    rows = next(iter(frame["datasets"].values()))
    rows[0]["tzid"] = "</script><script>alert(2)</script>"
    bundle, metadata = render(frame)
    cell = new_code_cell("", outputs=[new_output("display_data", bundle, metadata=metadata)])
    page = offline_html(new_notebook(cells=[cell]))
    assert "alert(2)" in page and "<script>alert(2)" not in page


def test_a_file_that_is_no_notebook(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        read_notebook(tmp_path / "none.ipynb")
    (tmp_path / "bad.ipynb").write_text("{ not json")
    with pytest.raises(InputError) as caught:
        read_notebook(tmp_path / "bad.ipynb")
    assert caught.value.code == "5B.REPORT.NOT_A_NOTEBOOK"


@needs_browser
def test_a_browser_draws_every_chart_from_disk(tmp_path: Path) -> None:
    notebook = tmp_path / "page.ipynb"
    nbformat.write(notebook_with(*CHARTS), notebook)
    drawn = dom(write_html(notebook), tmp_path)
    assert drawn.count('data-drawn="live"') == len(CHARTS)
    assert 'data-drawn="picture"' not in drawn
