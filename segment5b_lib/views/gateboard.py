"""The gates of one or several runs side by side."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from segment5b_lib.contract.validation_policy import ValidationPolicy
from segment5b_lib.contract.verdicts import thresholds_of
from segment5b_lib.gates.scorecard import Scorecard


def gate_matrix(scorecards: Sequence[Scorecard]) -> pl.DataFrame:
    """Every gate of every run, in the order of the board.

    Returns `gate` (id and title), `run` (posture and the start of the id), `verdict`, `value`, `threshold`
    (of B) and `distance` (texts with their units).

    Example: `views.gate_matrix([scorecard])`
    """
    return pl.concat(
        scorecard.frame().select(
            pl.format("{}  {}", "gate", "title").alias("gate"),
            pl.lit(f"{scorecard.identity['posture']} {scorecard.identity['run_id'][:8]}").alias("run"),
            "verdict",
            "value",
            pl.col("b").alias("threshold"),
            "distance",
        )
        for scorecard in scorecards
    )


def bands(policy: ValidationPolicy, gates: Sequence[str]) -> dict[str, dict[str, tuple[float, float]]]:
    """Bounds of some gates by level (`b`, `bplus`), from a policy; 0 and 1 for a missing bound of a share."""
    levels = {level: {gate: getattr(thresholds_of(policy, gate), level) for gate in gates} for level in ("b", "bplus")}
    return {
        level: {gate: (limit.min or 0.0, 1.0 if limit.max is None else limit.max) for gate, limit in limits.items()}
        for level, limits in levels.items()
    }
