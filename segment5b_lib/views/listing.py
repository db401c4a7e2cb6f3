"""A frame as a small HTML table: escaped, numbers with separators, no column types."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from segment5b_lib.html_table import html_table


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
        rows = [[_text(value) for value in row] for row in shown.iter_rows()]
        body = html_table(shown.columns, rows, one_line=() if self.wrap else shown.columns)
        hidden = self.frame.height - shown.height
        return body + (f"<p>and {hidden:,} more</p>" if hidden else "")


def listing(frame: pl.DataFrame, rows: int = 20, *, wrap: bool = True) -> Listing:
    """Show the first rows of a frame as a table; texts stay on one line unless `wrap`.

    Example: `views.listing(run.states(), rows=3)`
    """
    return Listing(frame, rows, wrap)


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, float):
        return f"{value:,.6g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
