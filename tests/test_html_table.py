"""Tables for people: escaped, whatever comes in, and each with the colours that it was given."""

from __future__ import annotations

import pytest

from segment5b_lib.html_table import Cell, TableRow, bold, code, html_record, html_table, lines, small, spaced

EVIL = "<script>alert('x')</script> & \"y\""
SAFE = "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;y&quot;"


@pytest.mark.parametrize("make", [str, bold, code, small, spaced, lines, Cell])
def test_every_text_is_escaped_once(make) -> None:  # type: ignore[no-untyped-def]  # functions and classes of a text
    for page in (html_table([EVIL], [[make(EVIL)]], caption=EVIL), html_table([EVIL], [TableRow([make(EVIL)])])):
        assert "<script" not in page and "&amp;lt;" not in page
        assert page.count(SAFE) == page.count("alert") >= 2


def test_parts_are_put_together_without_a_second_escape() -> None:
    assert spaced(bold("T1"), "a < b") == "<b>T1</b> a &lt; b"
    assert small(lines("a & b", "c")) == "<small>a &amp; b<br>c</small>"


def test_colours_lines_and_weight_are_styles() -> None:
    row = TableRow(["T1", Cell("fail", colour="#111111", behind="#222222")], bar="#333333", bold=True)
    page = html_table(["gate_id", "verdict"], [row], one_line=("verdict",))
    assert "<th style='text-align:left'>gate id</th>" in page
    assert "<tr style='box-shadow:inset 5px 0 0 #333333;font-weight:bold'><td style='text-align:left'>T1</td>" in page
    assert "<td style='text-align:left;white-space:nowrap;color:#111111;background:#22222240'>fail</td>" in page


def test_a_row_of_another_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        html_table(["one"], [["a", "b"]])


def test_a_record_has_a_label_for_each_text() -> None:
    page = html_record([("run", code("3f2a")), ("seed", "4 < 5")])
    assert page.startswith("<table><tr><th style='text-align:left'>run</th>")
    assert "<code>3f2a</code>" in page and "4 &lt; 5" in page
