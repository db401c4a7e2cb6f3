"""Predict the gates of a run under other policies, with the thresholds of those policies; nothing is rerun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from segment5b_lib.calibrate.prediction import TOP_TENTH, Estimate, Prediction
from segment5b_lib.calibrate.predictor import Predictor
from segment5b_lib.calibrate.tables import Changes
from segment5b_lib.contract.colours import VERDICT_COLOURS
from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.verdicts import Measurement
from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.table import gate
from segment5b_lib.gates.wording import threshold_text, value_text
from segment5b_lib.html_table import TableRow, html_table
from segment5b_lib.store.postures import load_posture, with_changes
from segment5b_lib.store.runs import Run
from segment5b_lib.workbench.open_run import OpenRun

_COLUMNS = ("gate", "title", "expected", "standard_error", "b", "bplus", "verdict")
Policy = Policies | str | Mapping[str, object] | None
"""Policies, the name of a posture, changes to the run's own policies by dotted key, or the run's own."""


@dataclass(frozen=True)
class GateForecast:
    """Expected gates under some policies; `prediction` also has them by zone and date."""

    prediction: Prediction
    policies: Policies

    def frame(self) -> pl.DataFrame:
        """One row per predicted figure.

        Returns `gate`, `title`, `expected` and `standard_error` (shares of all arrivals), `b`, `bplus` (texts), and
        `verdict` of the expected value (null for a figure without a gate).

        Example: `s5.predict(run, "remediated").frame()`
        """
        rows = [self._row(name, estimate) for name, estimate in self.prediction.gates.items()]
        return pl.DataFrame(rows, schema_overrides={"verdict": pl.String}).select(_COLUMNS)

    def _row(self, name: str, estimate: Estimate) -> dict[str, object]:
        row = {"gate": name, "expected": estimate.value, "standard_error": estimate.standard_error}
        if name == TOP_TENTH:
            return {**row, "title": "Top 10 % of zones", "b": "", "bplus": "", "verdict": None}
        measured = Measurement(estimate.value, round(self.prediction.arrivals.value), "expected arrivals")
        result = gate(name).judged(measured, self.policies.validation, f"{Predictor.__module__}.predict")
        limits = {level: threshold_text(result, level) for level in ("b", "bplus")}
        return {**row, "title": result.title, **limits, "verdict": result.verdict.value}

    def _repr_html_(self) -> str:
        heads = ("gate", "title", "expected", "standard error", "B", "B+", "verdict")
        caption = f"{self.prediction.arrivals.value:,.0f} arrivals expected; {self.prediction.basis}"
        return html_table(heads, [_html_row(row) for row in self.frame().to_dicts()], caption=caption)


def _html_row(row: Mapping[str, Any]) -> TableRow:
    verdict, error = row["verdict"], f"± {value_text(100 * row['standard_error'], 'pp')}"
    texts = (row["gate"], row["title"], value_text(row["expected"], "share"), error, row["b"], row["bplus"])
    return TableRow([*texts, verdict or ""], bar=VERDICT_COLOURS[Verdict(verdict)] if verdict else "")


def predict(
    run: OpenRun, policy: Policy = None, *, reopened: Changes | None = None, seed: int | None = None
) -> GateForecast:
    """Expected T1, T6 and T7 of a run, with their sampling errors, under any policy.

    `policy` is a posture's name, changes by dotted key, or policies. `reopened` sets hypothetical knobs of segments
    2A, 2B or 3B: `{"2A": {"last_transition_year": 2028}}`; `seed` is the run's own by default. Further policies for
    the same run take under a second.

    Example: `s5.predict(run, {"routing.zone_binding": "row_zone"})`
    """
    policies = _policies(run.store, policy)
    is_own_demand = reopened is None and seed is None
    predictor = run.predictor if is_own_demand else Predictor(run.store, reopened=reopened, seed=seed)
    return GateForecast(predictor.predict(policies), policies)


def _policies(run: Run, policy: Policy) -> Policies:
    if isinstance(policy, Policies):
        return policy
    return load_posture(policy) if isinstance(policy, str) else with_changes(run.policies, policy or {})
