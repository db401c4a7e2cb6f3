"""A frame as a small HTML table: escaped, numbers with separators, no column types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import polars as pl


@dataclass(frozen=True)
class Listing:
    """The first rows of a frame, as Jupyter and the offline page show them."""

    frame: pl.DataFrame
    rows: int
    wrap: bool = True

    def _repr_html_(self) -> str:
        if self.frame.is_empty():
            return "<p>none</p>"
        shown = self.frame.head(self.rows)
        body = html_table(shown.columns, [[_text(value) for value in row] for row in shown.iter_rows()], wrap=self.wrap)
        hidden = self.frame.height - shown.height
        return body + (f"<p>and {hidden:,} more</p>" if hidden else "")


def listing(frame: pl.DataFrame, rows: int = 20, *, wrap: bool = True) -> Listing:
    """Show the first rows of a frame as a table; texts stay on one line unless `wrap`.

    Example: `views.listing(run.states(), rows=3)`
    """
    return Listing(frame, rows, wrap)


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, wrap: bool = True) -> str:
    """An HTML table; every text is escaped."""
    cell = f"<td style='text-align:left{'' if wrap else ';white-space:nowrap'}'>"
    names = "".join(f"<th style='text-align:left'>{escape(name.replace('_', ' '))}</th>" for name in head)
    cells = [[f"{cell}{escape(text)}</td>" for text in row] for row in rows]
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in cells)
    return f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, float):
        return f"{value:,.6g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
