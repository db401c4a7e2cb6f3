"""What became of every gate from one scorecard to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from segment5b_lib.contract.colours import VERDICT_COLOURS
from segment5b_lib.contract.verdicts import GateResult
from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.wording import value_text
from segment5b_lib.html_table import TableRow, html_table

_RANK: Final = {Verdict.FAIL: 0, Verdict.PASS_B: 1, Verdict.PASS_BPLUS: 2}
"""Verdicts that are better or worse than one another; the others say that there is nothing to compare."""
_SHOWN: Final = ("gate", "title", "verdict_before", "verdict_after", "before", "after", "change", "moved")


@dataclass(frozen=True)
class Difference:
    """Two scorecards, gate by gate; a gate that only one of them has is compared with nothing."""

    before: Scorecard
    after: Scorecard

    def frame(self) -> pl.DataFrame:
        """One row per gate, in the order of the board.

        Returns `gate`, `title`, `verdict_before`, `verdict_after`, `before`, `after`, `change` (texts with units;
        shares change by percentage points), `number` (after - before in the gate's unit, null where either has no
        value), `moved` (better, worse, same, or `incomparable`: one of the verdicts is no pass and no failure).
        """
        earlier, later = ({entry.gate_id: entry for entry in card.results} for card in (self.before, self.after))
        rows = [_row(earlier.get(gate_id), later.get(gate_id)) for gate_id in {**earlier, **later}]
        return pl.DataFrame(rows, schema_overrides={"number": pl.Float64})

    def verdicts_changed(self) -> pl.DataFrame:
        """The rows of `frame` whose verdict is another one."""
        return self.frame().filter(pl.col("verdict_before") != pl.col("verdict_after"))

    def document(self) -> dict[str, Any]:
        """The difference as a JSON-ready mapping: both identities, and every gate."""
        identities = {"before": self.before.identity, "after": self.after.identity}
        return {**identities, "gates": self.frame().to_dicts()}

    def _repr_html_(self) -> str:
        rows = self.frame().to_dicts()
        identities = (self.before.identity, self.after.identity)
        names = " → ".join(f"{identity['posture']} {identity['run_id'][:8]}" for identity in identities)
        caption = f"{names}: {self.verdicts_changed().height} of {len(rows)} verdicts changed"
        return html_table(_SHOWN, [_html_row(row) for row in rows], caption=caption)


def _row(before: GateResult | None, after: GateResult | None) -> dict[str, Any]:
    known = after or before
    assert known is not None
    earlier, later = (entry.value if entry else None for entry in (before, after))
    number = None if earlier is None or later is None else later - earlier
    return {
        "gate": known.gate_id,
        "title": known.title,
        "verdict_before": _verdict(before).value,
        "verdict_after": _verdict(after).value,
        "before": value_text(earlier, known.unit),
        "after": value_text(later, known.unit),
        "change": _change_text(number, known.unit),
        "number": number,
        "moved": _moved(_verdict(before), _verdict(after)),
    }


def _verdict(entry: GateResult | None) -> Verdict:
    return entry.verdict if entry else Verdict.NOT_MEASURED


def _moved(before: Verdict, after: Verdict) -> str:
    if before is after:
        return "same"
    if before not in _RANK or after not in _RANK:
        return "incomparable"
    return "better" if _RANK[after] > _RANK[before] else "worse"


def _change_text(number: float | None, unit: str) -> str:
    """A signed difference; the difference of two shares is in percentage points."""
    if number is None:
        return ""
    amount = value_text(100 * abs(number), "pp") if unit == "share" else value_text(abs(number), unit)
    return amount if number == 0 else f"{'+' if number > 0 else '−'}{amount}"


def _html_row(row: dict[str, Any]) -> TableRow:
    colour = VERDICT_COLOURS[Verdict(row["verdict_after"])]
    return TableRow([str(row[name]) for name in _SHOWN], bar=colour, bold=row["moved"] != "same")
