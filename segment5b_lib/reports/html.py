"""A notebook as one HTML file that opens from disk: no request, live charts, pictures without scripts.

nbconvert renders the cells without their code; every Vega-Lite output becomes its PNG plus its spec, and one
bundle in the head (Vega, Vega-Lite and Vega-Embed from vl-convert) redraws the pictures as live charts, in
the reader's light or dark mode. A content security policy in the page forbids any other source.
"""

from __future__ import annotations

import html
import json
from functools import lru_cache
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import nbformat
import vl_convert
from nbconvert import HTMLExporter
from nbconvert.filters import ansi2html
from nbconvert.preprocessors import Preprocessor
from nbformat.v4 import new_markdown_cell, new_output

from segment5b_lib.charts.renderer import VEGALITE_MIME, VEGALITE_VERSION, WIDGET_MIME
from segment5b_lib.charts.theme import config
from segment5b_lib.errors import InputError, MissingInputError
from segment5b_lib.store.publish import write_file

_NO_CDN = dict.fromkeys(
    (
        "require_js_url",
        "mathjax_url",
        "jquery_url",
        "mermaid_js_url",
        "mermaid_layout_elk_js_url",
        "jupyter_widgets_base_url",
        "widget_renderer_url",
    ),
    "",
)


class OfflineOutputs(Preprocessor):
    """Swap each Vega-Lite output for a figure that holds its PNG and its spec, and fold tracebacks away."""

    def preprocess_cell(self, cell: Any, resources: dict[str, Any], index: int) -> tuple[Any, dict[str, Any]]:
        outputs = [_folded(item) if item["output_type"] == "error" else item for item in cell.get("outputs", [])]
        for output in outputs:
            bundle = output.get("data", {})
            if VEGALITE_MIME in bundle:
                size = output.get("metadata", {}).get("image/png", {})
                output["data"] = {"text/html": _figure(bundle[VEGALITE_MIME], bundle["image/png"], size)}
        if outputs:
            cell["outputs"] = outputs
        return cell, resources


def write_html(notebook: Path) -> Path:
    """Write `<name>.html` next to an executed notebook `<name>.ipynb`; returns its path."""
    document = read_notebook(notebook)
    target = notebook.with_suffix(".html")
    write_file(target, offline_html(document).encode("utf-8"))
    return target


def drop_live_views(path: Path) -> None:
    """Remove live views from an executed notebook's outputs: without their kernel they show errors."""
    notebook = read_notebook(path)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_MIME, None)
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]  # nbformat has no types


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """A notebook of format 4, or a typed error."""
    try:
        notebook: nbformat.NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has no types
    except FileNotFoundError as error:
        raise MissingInputError("5B.REPORT.NO_NOTEBOOK", "a notebook is missing", where=str(path)) from error
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError) as error:
        raise InputError(
            "5B.REPORT.NOT_A_NOTEBOOK",
            "a file is not a notebook",
            where=str(path),
            found=str(error).splitlines()[0][:200],
        ) from error
    return notebook


def offline_html(notebook: nbformat.NotebookNode) -> str:
    """The page of an executed notebook, as one self-contained HTML document."""
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]  # nbconvert has no types
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
        preprocessors=[OfflineOutputs],
        **_NO_CDN,
    )
    body, _ = exporter.from_notebook_node(_as_far_as_executed(notebook))
    return Template(asset("page.html")).substitute(
        title=html.escape(_title(notebook)),
        style=asset("page.css"),
        bundle=_bundle(),
        dark=script_json(config("dark")),
        body=body,
    )


def _as_far_as_executed(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without its sections that were not executed."""
    cells = notebook.cells
    executed = [n for n, cell in enumerate(cells) if cell.get("execution_count") is not None or cell.get("outputs")]
    last = max(executed, default=len(cells))
    if not any(cell.cell_type == "code" for cell in cells[last + 1 :]):
        return notebook
    ended = new_markdown_cell("*The notebook ended here; its further sections were not executed.*")  # type: ignore[no-untyped-call]  # nbformat has no types
    return nbformat.from_dict({**notebook, "cells": [*cells[: last + 1], ended]})  # type: ignore[no-any-return, no-untyped-call]  # nbformat has no types


def _folded(error: Any) -> Any:
    text = ansi2html("\n".join(error["traceback"]))  # type: ignore[no-untyped-call]  # nbconvert has no types
    block = f'<details class="traceback"><summary>Traceback</summary><pre>{text}</pre></details>'
    return new_output("display_data", {"text/html": block})  # type: ignore[no-untyped-call]  # nbformat has no types


def _title(notebook: nbformat.NotebookNode) -> str:
    """First heading of the notebook."""
    for cell in notebook.cells:
        for line in cell.source.splitlines() if cell.cell_type == "markdown" else ():
            if line.startswith("# "):
                return str(line[2:].strip())
    return "Segment 5B"


def _figure(spec: dict[str, Any], png_base64: str, size: dict[str, int]) -> str:
    title = spec.get("title", "")
    name = html.escape(title.get("text", "") if isinstance(title, dict) else str(title))
    width = f' width="{int(size["width"])}"' if "width" in size else ""
    return (
        f'<figure class="chart"><img alt="{name}"{width} src="data:image/png;base64,{png_base64.strip()}">'
        f'<script type="application/json">{script_json(spec)}</script></figure>'
    )


def script_json(value: object) -> str:
    """JSON for a script element: no `<` that could end it."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True).replace("<", "\\u003c")


def asset(name: str) -> str:
    """Text of a file in this package."""
    return resources.files("segment5b_lib.reports").joinpath(name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script (about 0.9 MB)."""
    exposed = "window.vegaEmbed = vegaEmbed;"
    bundle = vl_convert.javascript_bundle(exposed, vl_version=VEGALITE_VERSION)
    return bundle.replace("</script", "<\\/script")
