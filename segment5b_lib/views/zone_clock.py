"""One zone's clock, cached and true: its offsets, and the owner of its wrong local times."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segment5b_lib.civil_time.oracle import expected_offsets
from segment5b_lib.civil_time.tzif import changes_within
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.views.clock_counts import ClockCounts

_OWNED: Final = """
WITH step AS (SELECT unnest($2::BIGINT[]) AS start, unnest($3::BIGINT[]) AS cache_error)
SELECT coalesce(sum(arrivals), 0)::BIGINT AS arrivals,
       coalesce(sum(arrivals) FILTER (cache_error <> 0), 0)::BIGINT AS cache,
       coalesce(sum(arrivals) FILTER (error_seconds IS DISTINCT FROM cache_error), 0)::BIGINT AS writer,
       coalesce(sum(wrong), 0)::BIGINT AS wrong
FROM census ASOF JOIN step ON census.second >= step.start WHERE tzid = $1
"""


def span(evidence: Evidence) -> tuple[int, int]:
    """The span [start, end) of all scenarios' horizons, epoch seconds UTC."""
    return min(h.start for h in evidence.horizons), max(h.end for h in evidence.horizons)


def offset_timeline(evidence: Evidence, tzid: str) -> pl.DataFrame:
    """A zone's offset from UTC over the horizon: true (zoneinfo on the pinned database), and cached.

    Returns `clock` (`true`, `cached`), `time` (UTC text, ISO 8601), `offset_hours`: one row per change, and one at
    either end of the horizon. A zone without a cache entry has no cached rows.

    Example: `views.offset_timeline(evidence, "Europe/Berlin")`
    """
    _, end = span(evidence)
    instants, true, cached = _offsets(evidence, tzid)
    clocks = {"true": true, "cached": cached}
    rows = [
        (clock, int(second), offset / 3600)
        for clock, offsets in clocks.items()
        if offsets is not None
        for second, offset in [*zip(instants, offsets, strict=True), (end, offsets[-1])]
    ]
    schema = {"clock": pl.String, "second": pl.Int64, "offset_hours": pl.Float64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.select("clock", utc_texts(pl.col("second")).alias("time"), "offset_hours")


def wrong_clock_owners(counts: ClockCounts, scorecard: Scorecard, tzid: str) -> pl.DataFrame:
    """Owner of a zone's wrong local times: cache, writer or reader, with one question for each.

    An arrival's stored error is the cache's error plus the writer's, so the two are distinguished row by row; the
    reader's part is a property of the files (gate T12), equal for all zones.

    Returns `owner` (cache, writer, reader), `question`, `arrivals` (null if not known by zone), `share`
    (of the zone's arrivals; for the reader of the run's, null if not measured), `finding` (right, wrong, unknown).

    Example: `views.wrong_clock_owners(views.ClockCounts(evidence), scorecard, "Europe/Berlin")`
    """
    instants, true, cached = _offsets(counts.evidence, tzid)
    error = np.zeros_like(true) if cached is None else cached - true
    row = counts.ask(_OWNED, [tzid, instants.tolist(), error.tolist()]).row(0, named=True)
    total = row["arrivals"]
    in_cache, by_writer = (total if cached is None else row["cache"]), (0 if cached is None else row["writer"])
    honoured = scorecard.result("T12").value
    rows = [
        ("cache", "does the 2A cache have the zone's true offset?", in_cache, _share(in_cache, total)),
        ("writer", "does S4 write what the cache says?", by_writer, _share(by_writer, total)),
        ("reader", "do the files say that local times are no UTC?", None, None if honoured is None else 1 - honoured),
    ]
    schema = {"owner": pl.String, "question": pl.String, "arrivals": pl.Int64, "share": pl.Float64}
    finding = pl.when(pl.col("share").is_null()).then(pl.lit("unknown")).when(pl.col("share") > 0)
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        finding=finding.then(pl.lit("wrong")).otherwise(pl.lit("right"))
    )


def utc_texts(second: pl.Expr) -> pl.Expr:
    """Epoch seconds as ISO 8601 text in UTC."""
    return pl.from_epoch(second, time_unit="s").dt.strftime("%Y-%m-%dT%H:%M:%SZ")


def _share(part: int, total: int) -> float:
    return part / total if total else 0.0


def _offsets(evidence: Evidence, tzid: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64] | None]:
    """Every instant of the horizon at which either clock changes, its start first; true and cached offsets (s)."""
    start, end = span(evidence)
    steps, cached = expected_offsets(tzid, start, end), evidence.cache.zone(tzid)
    if cached is None:
        return steps.instants, steps.offset_seconds, None
    instants = changes_within(start, end, steps.instants, cached.utc_seconds)
    return instants, steps.at(instants), cached.seconds_at(instants)
