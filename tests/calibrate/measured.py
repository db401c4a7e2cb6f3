"""What a run measured, counted from the arrivals themselves; T1 as its gate measures it."""

import polars as pl

from segment5b_lib.calibrate.prediction import TOP_TENTH
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.t01_civil_time import measure as measure_t1


def measured(run):
    paths = [path for name in run.scenarios for path in run.files("arrival_events_5B", name)]
    rows = pl.scan_parquet(paths).select(pl.col("tzid_primary").cast(pl.String), "is_virtual")
    counts = rows.group_by("tzid_primary").agg(pl.len(), pl.col("is_virtual").sum()).collect()
    largest = counts["len"].sort(descending=True)
    shares = {"T6": largest.head(10).sum(), TOP_TENTH: largest.head(-(-len(largest) // 10)).sum()}
    shares["T7"] = counts["is_virtual"].sum()
    return {name: count / largest.sum() for name, count in shares.items()} | {"T1": measure_t1(Evidence(run)).value}
