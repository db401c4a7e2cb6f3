"""The gates of one or several runs side by side."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from segment5b_lib.gates.scorecard import Scorecard


def gate_matrix(scorecards: Sequence[Scorecard]) -> pl.DataFrame:
    """Every gate of every run, in the order of the board.

    Returns `gate` (id and title), `run` (posture and the start of the id), `verdict`, `value`, `threshold`
    (of B) and `distance` (texts with their units).
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
