"""Sanitize rules: each changes the line that it is for, and none can hide a measured value."""

from __future__ import annotations

import re
from collections.abc import Iterator

import nbformat
import pytest

from segment5b_lib.contract.words import ItemStatus
from segment5b_lib.html_table import html_table
from segment5b_lib.phases.engine.envelope import DodItem
from segment5b_lib.phases.engine.page import Items
from segment5b_lib.reports.notebooks import NOTEBOOKS
from tests.notebooks.comparison import sanitize_rules, sanitized
from tests.notebooks.store_outputs import STORED, code_cells

NUMBER = re.compile(r"\d+")
DIGEST_A, DIGEST_B = "0a" * 32, "b1" * 32
OVERHEAD = "progress reporting costs less than 2 % of the time"
PINNED = "; budgets are pinned to the authority scale, and this world is tiny"
REPLAYS = "S5 replays PASS at the first attempt, with no stale folder left"


def row(*cells: str) -> str:
    return html_table([], [cells])


def done(name: str, text: str, evidence: str, status: ItemStatus = ItemStatus.GREEN) -> str:
    return Items((DodItem(id=name, text=text, status=status, evidence=evidence),))._repr_html_()


SAME = [
    ("cached, measured at 2026-04-02T10:11:12Z", "measured at 2027-01-01T00:00:00Z"),
    (
        done("P0.8", "explained", "oracle 2026f; system 2025b, pyarrow 2025b, polars 2025b, duckdb 2026e"),
        done("P0.8", "explained", "oracle 2026f; system 2026a, pyarrow 2026b, polars 2026b, duckdb 2026f"),
    ),
    (row("library 0.1.0, scenarios baseline_v1"), row("library 12.0.3, scenarios baseline_v1")),
    (row("09023a53", "0.1.0", ""), row("09023a53", "0.2.0", "")),
    (row("phase", "reports/x.json", DIGEST_A), row("phase", "reports/x.json", DIGEST_B)),
    (
        done("POPT.4.1d", REPLAYS, "S5 2 times, S4 8 times, every byte the same"),
        done("POPT.4.1d", REPLAYS, "S5 2 times, S4 12 times, every byte the same"),
    ),
    (done("POPT.4.3a", "complete", "complete in 8 replays"), done("POPT.4.3a", "complete", "complete in 12 replays")),
    (
        done("POPT.4.2", OVERHEAD, "-0.31%, 95 % interval -2.00% to +1.40%, 3 pairs"),
        done(
            "POPT.4.2",
            OVERHEAD,
            "+4.06%, 95 % interval -10.75% to +21.33%, 5 pairs" + PINNED,
            ItemStatus.NOT_APPLICABLE,
        ),
    ),
    (row("0"), row("-6.93889e-18")),
]
DIFFERENT = [
    (row("marker", "runs/x/S4.json", DIGEST_A), row("marker", "runs/x/S4.json", DIGEST_B)),
    (row("policy", "runs/x/y.yaml", DIGEST_A), row("policy", "runs/x/y.yaml", DIGEST_B)),
    (row("phase", "reports/x.json", DIGEST_A), row("phase", "reports/y.json", DIGEST_A)),
    (row("0.1"), row("0.2")),
    (row("0"), row("1e-09")),
    (row("T1", "fail", "3.033 %"), row("T1", "fail", "3.034 %")),
    (row("T1", "fail", "3.033 %"), row("T1", "pass_b", "3.033 %")),
    (
        done("P0.8", "explained", "oracle 2026f; system 2025b"),
        done("P0.8", "explained", "oracle 2026g; system 2025b"),
    ),
    (
        done("P0.8", "explained", "oracle 2026f; system 2025b"),
        done("P0.8", "explained", "oracle 2026f; system 2025b", ItemStatus.RED),
    ),
    (
        done("POPT.4.2", OVERHEAD, "-0.31%, 95 % interval -2.00% to +1.40%, 3 pairs"),
        done("POPT.4.2", OVERHEAD, "+4.06%, 95 % interval +2.10% to +6.00%, 3 pairs: above the limit", ItemStatus.RED),
    ),
    (
        done("POPT.4.1d", REPLAYS, "S5 2 times, S4 8 times, every byte the same"),
        done("POPT.4.1d", REPLAYS, "S5 1 times, S4 8 times, every byte the same"),
    ),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_may_differ_is_the_same_afterwards(one: str, other: str) -> None:
    assert one != other and sanitized(one) == sanitized(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_may_not_differ_still_does(one: str, other: str) -> None:
    assert sanitized(one) != sanitized(other)


def test_every_rule_is_read_and_has_its_line() -> None:
    rules = sanitize_rules()
    assert len(rules) == len(SAME)
    for pattern, _ in rules:
        assert any(re.search(pattern, one) or re.search(pattern, other) for one, other in SAME), pattern


def rows() -> Iterator[str]:
    """Rows of all stored tables; no rule reaches over the end of one."""
    for entry in NOTEBOOKS.values():
        for cell in code_cells(nbformat.read(STORED / f"{entry.name}.ipynb", 4)):
            for output in cell.outputs:
                yield from output.data.get("text/html", "").split("</tr>")


def test_no_number_that_is_stored_can_change_unseen() -> None:
    """Every number of every stored table and answer, moved in its last digit, is still there after all rules."""
    seen = 0
    for text in rows():
        for found in NUMBER.finditer(text):
            last = found.end() - 1
            moved = text[:last] + str((int(text[last]) + 1) % 10) + text[last + 1 :]
            assert sanitized(moved) != text, moved
            seen += 1
    assert seen > 1_000
