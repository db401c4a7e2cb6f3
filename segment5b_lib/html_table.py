"""Tables for people, as HTML that Jupyter, offline pages and plain viewers show alike. Everything is escaped here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from html import escape


class Markup(str):
    """HTML whose texts are escaped; only the functions of this module make it."""

    __slots__ = ()


@dataclass(frozen=True)
class Cell:
    """A cell with a colour of its own: of its text, or behind it at a quarter of its strength."""

    text: str
    colour: str = ""
    behind: str = ""


@dataclass(frozen=True)
class TableRow:
    """A row with a coloured bar before it, perhaps in bold."""

    cells: Sequence[str | Cell]
    bar: str = ""
    bold: bool = False


def html_table(
    columns: Sequence[str],
    rows: Iterable[TableRow | Sequence[str | Cell]],
    *,
    caption: str = "",
    one_line: Collection[str] = (),
) -> str:
    """A table; `one_line` names the columns whose texts do not wrap. Underscores of headings become spaces.

    Examples
    --------
    >>> html_table(["gate"], [["T1 & T2"]])
    "<table><thead><tr><th style='text-align:left'>gate</th></tr></thead><tbody><tr><td style='text-align:left'>T1 &amp; T2</td></tr></tbody></table>"
    """  # noqa: E501 - the example is the exact markup
    head = "".join(_heading(name.replace("_", " ")) for name in columns)
    lines = [row if isinstance(row, TableRow) else TableRow(row) for row in rows]
    keep = [name in one_line for name in columns]
    body = "".join(_row(row, keep or [False] * len(row.cells)) for row in lines)
    title = f"<caption>{_html(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_record(rows: Iterable[tuple[str, str]]) -> str:
    """A table of labels and texts, one pair per line."""
    return f"<table>{''.join(f'<tr>{_heading(label)}{_cell(text)}</tr>' for label, text in rows)}</table>"


def code(text: str) -> Markup:
    return Markup(f"<code>{_html(text)}</code>")


def bold(text: str) -> Markup:
    return Markup(f"<b>{_html(text)}</b>")


def small(text: str) -> Markup:
    return Markup(f"<small>{_html(text)}</small>")


def spaced(*texts: str) -> Markup:
    """Texts one after the other, with a space between them."""
    return Markup(" ".join(_html(text) for text in texts))


def lines(*texts: str) -> Markup:
    return Markup("<br>".join(_html(text) for text in texts))


def headline(first: str, rest: str, points: Iterable[str], *, bar: str) -> Markup:
    """A large line with a coloured bar before it, its first words in bold, and points below it."""
    items = "".join(f"<li>{_html(point)}</li>" for point in points)
    opening = f"<p style='font-size:1.25em;border-left:6px solid {bar};padding-left:.6em'>"
    return Markup(f"{opening}{bold(first)}{_html(rest)}</p><ul>{items}</ul>")


def _html(text: str) -> str:
    return text if isinstance(text, Markup) else escape(text)


def _heading(text: str) -> str:
    return f"<th style='text-align:left'>{_html(text)}</th>"


def _row(row: TableRow, one_line: Sequence[bool]) -> str:
    style = [f"box-shadow:inset 5px 0 0 {row.bar}"] if row.bar else []
    style += ["font-weight:bold"] if row.bold else []
    opening = f"<tr style='{';'.join(style)}'>" if style else "<tr>"
    cells = zip(row.cells, one_line, strict=True)
    return f"{opening}{''.join(_cell(cell, one_line=keep) for cell, keep in cells)}</tr>"


def _cell(cell: str | Cell, *, one_line: bool = False) -> str:
    content = cell if isinstance(cell, Cell) else Cell(cell)
    style = ["text-align:left"]
    style += ["white-space:nowrap"] if one_line else []
    style += [f"color:{content.colour}"] if content.colour else []
    # A quarter of the colour: the text stays readable on light and on dark paper.
    style += [f"background:{content.behind}40"] if content.behind else []
    return f"<td style='{';'.join(style)}'>{_html(content.text)}</td>"
