"""S3's promises and S4's deliveries, level by level."""

from __future__ import annotations

from typing import Final

import polars as pl

from segment5b_lib.gates.conservation import LOGICAL_LEVEL, ROW_LEVEL
from segment5b_lib.gates.evidence.run_tables import Evidence

_NAMES: Final = {
    ROW_LEVEL: "before: series × bucket",
    LOGICAL_LEVEL: "after: logical key",
}


def conservation(evidence: Evidence) -> pl.DataFrame:
    """Arrivals on both sides before and after aggregation to the logical key, as gate T4 compares them.

    Returns `level`, `source` (S3 counts or S4 arrivals), `arrivals`, `keys_compared`, `keys_that_differ`.
    """
    levels, _ = evidence.conservation
    return (
        levels.rename({"arrivals_s3": "S3 counts", "arrivals_s4": "S4 arrivals"})
        .unpivot(
            ["S3 counts", "S4 arrivals"],
            index=["level", "keys_compared", "keys_that_differ"],
            variable_name="source",
            value_name="arrivals",
        )
        .with_columns(pl.col("level").replace_strict(_NAMES))
        .sort("level", "source", descending=[True, False])
    )
