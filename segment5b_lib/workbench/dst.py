"""A run's arrivals as a lazy frame, with local times as naive wall clock; those around changes of offset and wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from segment5b_lib.contract.datasets import LOCAL_COLUMNS, dataset
from segment5b_lib.contract.units import SECOND_US
from segment5b_lib.errors import UsageError
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.t03_dst_windows import transitions, windows
from segment5b_lib.store.parquet import COUNTRY, MARK, NO_COUNTRY
from segment5b_lib.store.runs import Run
from segment5b_lib.store.scan import scan_files
from segment5b_lib.views.civil_time import mismatch_by_date_and_zone

_ARRIVALS: Final = dataset("arrival_events_5B")


def scan(run: Run, scenario_ids: Sequence[str]) -> pl.LazyFrame:
    """The arrivals of some scenarios: the columns of `arrival_events_5B`, and `scenario_id`.

    `ts_utc` is an instant in UTC, the local columns are naive in every encoding: `utc_marked` files hold the same
    digits and call them UTC. Schemas are checked here; rows are read when the frame is collected.
    """
    return pl.concat([part for name in scenario_ids for part in _parts(run, name)])


def _parts(run: Run, scenario_id: str) -> list[pl.LazyFrame]:
    assert _ARRIVALS.schema is not None
    files = run.files(_ARRIVALS.dataset_id, scenario_id)
    names = _ARRIVALS.schema.names
    return [_part(rows, names).with_columns(scenario_id=pl.lit(scenario_id)) for rows in scan_files(files, _ARRIVALS)]


def _part(rows: pl.LazyFrame, columns: Sequence[str]) -> pl.LazyFrame:
    if COUNTRY not in rows.collect_schema():
        rows = rows.with_columns(pl.lit(NO_COUNTRY, pl.Categorical).alias(COUNTRY))
    rows = rows.select(columns)
    kinds = rows.collect_schema()
    instant = _digits("ts_utc", kinds).dt.replace_time_zone("UTC")
    return rows.with_columns(instant, *(_digits(name, kinds) for name in LOCAL_COLUMNS))


def _digits(name: str, kinds: pl.Schema) -> pl.Expr:
    """A wall clock column without a zone; texts are in the data engine's form."""
    if isinstance(kinds[name], pl.Datetime):
        return pl.col(name).dt.replace_time_zone(None)
    return pl.col(name).cast(pl.String).str.strip_suffix(MARK).str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us")


class DaylightSaving:
    """Effects of offset changes on a run; see `OpenRun.dst`."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    def windows(self) -> pl.DataFrame:
        """Every change of offset of an active zone within the horizon, with the figures of gate T3 around it.

        Returns `scenario_id`, `tzid`, `transition` (UTC), `change_seconds`, `support` (arrivals in the window), and
        in percentage points `mae_pp`, `post_mae_pp`, `power_pp`, `profile_mae_pp` (see `gates.t03_dst_windows`).

        Example: `run.dst.windows()`
        """
        table = windows(self._evidence, transitions(self._evidence))
        return table.with_columns(pl.from_epoch("transition", time_unit="s").dt.replace_time_zone("UTC"))

    def by_date_and_zone(self) -> pl.DataFrame:
        """Wrong clocks by UTC date and zone (see `views.mismatch_by_date_and_zone`).

        Example: `run.dst.by_date_and_zone()`
        """
        return mismatch_by_date_and_zone(self._evidence)

    def mismatches(self, tzid: str | None = None) -> pl.LazyFrame:
        """The arrivals that gate T1 counts, all or those of one zone (`tzid_primary`), lazily.

        Returns the columns of `OpenRun.arrivals` and `expected_local` (the correct local time),
        `error_seconds` (stored minus expected); both null for an unknown zone.

        Raises
        ------
        UsageError : a zone that is not in the tz database.

        Example: `run.dst.mismatches().collect()`
        """
        return pl.concat([self._of_scenario(name, tzid) for name in self._evidence.clocks])

    def _of_scenario(self, scenario_id: str, tzid: str | None) -> pl.LazyFrame:
        clock = self._evidence.clocks[scenario_id]
        rows = scan(self._evidence.run, [scenario_id])
        if tzid is not None:
            if tzid not in clock.zones:
                raise UsageError(
                    "5B.DST.UNKNOWN_ZONE",
                    f"the tz database has no zone {tzid!r}",
                    expected=f"one of: {', '.join(self._evidence.active_zones)}",
                    found=tzid,
                )
            rows = rows.filter(pl.col("tzid_primary") == tzid)
        instant = pl.col("ts_utc").to_physical()
        error = pl.col("ts_local_primary").to_physical() - instant - pl.col("expected_us")
        tolerance = self._evidence.policy.civil_time.tolerance_seconds * SECOND_US
        return (
            clock.with_expected(rows, "tzid_primary", instant)
            .filter((error.abs() > tolerance).fill_null(True))
            .with_columns(
                expected_local=(instant + pl.col("expected_us")).cast(pl.Datetime("us")),
                error_seconds=error / SECOND_US,
            )
            .drop("expected_us")
        )

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("_")]

    def __repr__(self) -> str:
        return f"daylight saving of run {self._evidence.run.run_id[:8]}: {', '.join(f'{name}()' for name in dir(self))}"
