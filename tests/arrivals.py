"""S4 run alone over whatever lies in a run and its world, under any policies; and its output as plain columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from segment5b_lib.contract.datasets import dataset
from segment5b_lib.contract.policies import Policies
from segment5b_lib.states.context import Context
from segment5b_lib.states.s4 import arrivals as s4_arrivals
from segment5b_lib.store.digest import sha256_file
from segment5b_lib.store.parquet import write_table
from segment5b_lib.store.postures import load_posture, with_changes
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World

ARRIVALS, SUMMARY, ANOMALIES = s4_arrivals.SPEC.writes


class PlantedContext(Context):
    """A context whose inputs count as sealed the way they lie there."""

    def verify_inputs(self) -> None:
        self.inputs.update({name: sha256_file(path) for path, (name, _) in self.recorded_inputs().items()})


def under(run: Run, policies: Policies) -> Run:
    """The run under policies of the test's choice, whatever lies in its folder."""
    planted = Run(run.root)
    planted.__dict__["policies"] = policies
    return planted


def policies_of(posture: str, changes: Mapping[str, Any] | None = None) -> Policies:
    return with_changes(load_posture(posture), changes or {})


def run_s4(run: Run, policies: Policies | None = None, *, threads: int = 2) -> dict[str, Any]:
    """Execute S4 and return its counters."""
    planted = under(run, policies) if policies else run
    s4_arrivals.run(PlantedContext(planted, s4_arrivals.SPEC, threads))
    return run.counters("S4")


def arrivals(run: Run, scenario: str | None = None) -> pa.Table:
    """All part files of a scenario (the first) in their order, in the types in which they were written."""
    files = run.files(ARRIVALS, scenario or run.scenarios[0])
    return pa.concat_tables([pq.ParquetFile(path).read() for path in files])


def frame(run: Run, scenario: str | None = None) -> pl.DataFrame:
    """The arrivals as a frame; text as text, times as epoch microseconds."""
    table = pl.DataFrame(pl.from_arrow(arrivals(run, scenario)))
    return table.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String), pl.col(pl.Datetime).to_physical())


def counts(run: Run) -> pl.DataFrame:
    """S3's counts."""
    return run.frame("s3_bucket_counts_5B", scenario_id=run.scenarios[0])


def anomalies(run: Run) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = run.table(ANOMALIES, scenario_id=run.scenarios[0]).to_pylist()
    return rows


def part_digests(run: Run) -> dict[str, str]:
    """SHA-256 of every file that S4 wrote, by path."""
    folders = [run.folder(name, run.scenarios[0]) for name in s4_arrivals.SPEC.writes]
    files = [path for folder in folders for path in sorted(folder.glob("*.parquet"))]
    return {path.relative_to(run.root).as_posix(): sha256_file(path) for path in files}


def upstream(world: World, dataset_id: str) -> pl.DataFrame:
    return world.frame(dataset_id)


def plant(world: World, dataset_id: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Change a dataset of a world that is the test's own."""
    changed = change(upstream(world, dataset_id))
    first, *others = world.files(dataset_id)
    for path in others:
        path.unlink()
    first.unlink()
    write_table(first, changed.to_arrow(compat_level=pl.CompatLevel.oldest()), dataset(dataset_id))


def merchants_of_mode(world: World, mode: str) -> list[int]:
    modes = upstream(world, "virtual_classification_3B")
    return modes.filter(pl.col("virtual_mode") == mode)["merchant_id"].sort().to_list()


def move_sites_out_of_a_shared_zone(run: Run) -> tuple[int, str]:
    """Give a physical merchant's sites in one zone, which others have sites in too, to another of its zones.

    The merchant has arrivals whose row is in that zone.
    """
    world = run.world
    busy = counts(run).filter(pl.col("count_N") > 0).select("merchant_id", tzid="zone_representation").unique()
    owners, zones = pl.col("merchant_id").n_unique().over("tzid"), pl.col("tzid").n_unique().over("merchant_id")
    sites = (
        upstream(world, "site_timezones")
        .filter(pl.col("merchant_id").is_in(merchants_of_mode(world, "NON_VIRTUAL")) & (owners > 1) & (zones > 1))
        .join(busy, on=["merchant_id", "tzid"], how="semi")
    )
    merchant, zone = sites.sort("merchant_id", "tzid").select("merchant_id", "tzid").row(0)
    moved = (pl.col("merchant_id") == merchant) & (pl.col("tzid") == zone)
    own = upstream(world, "site_timezones").filter((pl.col("merchant_id") == merchant) & ~moved)["tzid"]
    plant(
        world,
        "site_timezones",
        lambda rows: rows.with_columns(tzid=pl.when(moved).then(pl.lit(own.sort()[0])).otherwise("tzid")),
    )
    return merchant, zone
