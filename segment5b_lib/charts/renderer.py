"""Charts as notebooks show them: a Vega-Lite 5 spec and, from the same spec, a PNG.

JupyterLab 4.6 bundles Vega-Lite 5, while Altair 6 writes `$schema` 6; charts use what both
understand, and this renderer writes 5. The MIME type carries `+json`, without which papermill cannot store
it. Everything is drawn on this machine: nothing is fetched, neither here nor by the reader of the output.

vl-convert favours speed; deflated again, the same pixels take a third of the bytes, which notebooks and pages carry.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import altair as alt
import vl_convert

from segment5b_lib.charts.theme import config
from segment5b_lib.errors import InputError

Chart: TypeAlias = alt.Chart | alt.LayerChart | alt.HConcatChart | alt.VConcatChart | alt.FacetChart
"""What a chart function returns."""

RENDERER: Final = "segment5b"
VEGALITE_MIME: Final = "application/vnd.vegalite.v5+json"
WIDGET_MIME: Final = "application/vnd.jupyter.widget-view+json"
"""The live view of an output (`workbench.panels`); it needs its kernel."""
VEGALITE_SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v5.json"
VEGALITE_VERSION: Final = "5.8"
"""Version for the PNG and the offline page: the oldest of vl-convert, so the nearest to JupyterLab's 5.6."""
MAX_ROWS: Final = 5_000
"""Maximum number of rows of a chart, over all its layers: aggregate before drawing."""
_PNG_SCALE: Final = 2.0


def enable() -> None:
    """Make Altair show charts through this renderer; notebooks call it once, before the first chart.

    Example: `charts.enable()`
    """
    alt.renderers.register(RENDERER, render)
    alt.renderers.enable(RENDERER)
    alt.data_transformers.enable("default", max_rows=MAX_ROWS)


def render(spec: dict[str, Any], **metadata: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Renderer for the entry point group `altair.vegalite.v6.renderer`: MIME bundle and its metadata."""
    finished = finish(spec)
    image = _png(finished)
    width, height = size(image)
    shown = {"width": int(width / _PNG_SCALE), "height": int(height / _PNG_SCALE)}
    bundle = {VEGALITE_MIME: finished, "image/png": base64.b64encode(image).decode("ascii")}
    return bundle, {"image/png": shown, **metadata}


def spec(chart: Chart) -> dict[str, Any]:
    """The finished Vega-Lite 5 spec of a chart, as the renderer publishes it.

    Example: `charts.spec(charts.lorenz(views.lorenz(evidence)))["$schema"]`
    """
    return finish(chart.to_dict())


def titled(chart: Chart, about: str) -> Chart:
    """The same chart with `: about` added to its title."""
    title = chart.title.copy() if isinstance(chart.title, alt.TitleParams) else alt.TitleParams(chart.title)
    title.text = f"{title.text}: {about}"
    named: Chart = chart.properties(title=title)
    return named


def adaptive(chart: Chart) -> Chart:
    """The same chart in colours that follow the page's theme: for a live view, drawn as SVG (see `theme.config`)."""
    return chart.properties(config=alt.Config(**config("page")))


def png(chart: Chart) -> bytes:
    """A chart as a PNG at twice its nominal size, on light paper.

    Example: `charts.png(charts.lorenz(views.lorenz(evidence)))`
    """
    return _png(spec(chart))


def finish(spec: dict[str, Any]) -> dict[str, Any]:
    """A copy of a spec with the schema and theme of these charts; too many rows are an InputError."""
    rows = sum(len(values) for values in spec.get("datasets", {}).values())
    if rows > MAX_ROWS:
        raise InputError(
            "5B.CHART.TOO_MANY_ROWS",
            "a chart has too many rows",
            expected=f"at most {MAX_ROWS} rows",
            found=f"{rows} rows",
            next_step="aggregate the frame before drawing it",
        )
    return {**spec, "$schema": VEGALITE_SCHEMA, "config": config("light")}


def _png(finished: dict[str, Any]) -> bytes:
    return compact(vl_convert.vegalite_to_png(finished, vl_version=VEGALITE_VERSION, scale=_PNG_SCALE))


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LEVEL = 6


def compact(image: bytes) -> bytes:
    """The same image, with its data in one well-compressed chunk."""
    parts = list(chunks(image))
    pixels = zlib.decompress(b"".join(data for kind, data in parts if kind == b"IDAT"))
    head = [(kind, data) for kind, data in parts if kind not in (b"IDAT", b"IEND")]
    return _SIGNATURE + b"".join(
        _chunk(kind, data) for kind, data in [*head, (b"IDAT", zlib.compress(pixels, _LEVEL)), (b"IEND", b"")]
    )


def size(image: bytes) -> tuple[int, int]:
    """Width and height in pixels."""
    width, height = struct.unpack(">II", image[16:24])
    return width, height


def chunks(image: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and data of every chunk."""
    position = len(_SIGNATURE)
    while position < len(image):
        (length,) = struct.unpack(">I", image[position : position + 4])
        yield image[position + 4 : position + 8], image[position + 8 : position + 8 + length]
        position += length + 12


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
