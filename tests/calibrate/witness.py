"""What is expected of a run, row by row in plain Python, from what S2 published and the sealed tables."""

from __future__ import annotations

import zoneinfo
from bisect import bisect_right
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from segment5b_lib.civil_time import cache as tz_cache
from segment5b_lib.contract.policies import Policies
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World

HALF = timedelta(minutes=30)


@cache
def _zone(tzid: str) -> zoneinfo.ZoneInfo:
    with files("tzdata.zoneinfo").joinpath(*tzid.split("/")).open("rb") as stream:
        return zoneinfo.ZoneInfo.from_file(stream, key=tzid)


class Expected:
    """Sums over the rows of S2: `zones`, `virtual`, `wrong` and `wrong_on` by (date, zone)."""

    def __init__(self, run: Run, world: World, policies: Policies) -> None:
        self.world, self.policies = world, policies
        (path,) = world.files("tz_timetable_cache")
        self.cache = tz_cache.decode(path.read_bytes(), "test")
        self.modes = self._lookup("virtual_classification_3B", "virtual_mode")
        self.edges: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for row in world.table("edge_catalogue_3B").to_pylist():
            self.edges[row["merchant_id"]][row["tzid_operational"]] += row["edge_weight"]
        self.weights: dict[tuple[int, str], dict[str, float]] = defaultdict(dict)
        for row in world.table("s4_group_weights").to_pylist():
            self.weights[row["merchant_id"], row["utc_day"]][row["tz_group_id"]] = row["p_group"]
        self.zones: dict[str, float] = defaultdict(float)
        self.wrong_on: dict[tuple[str, str], float] = defaultdict(float)
        self.virtual = self.total = 0.0
        self._wrong: dict[tuple[str, int], float] = {}
        self.steps: dict[str, tuple[list[int], list[int]]] = {}
        for scenario in run.scenarios:
            self._add(run, scenario)

    def _lookup(self, dataset: str, column: str) -> dict[int, Any]:
        return {row["merchant_id"]: row[column] for row in self.world.table(dataset).to_pylist()}

    def _add(self, run: Run, scenario: str) -> None:
        grid = run.table("s1_time_grid_5B", ["bucket_start_utc"], scenario)["bucket_start_utc"].to_pylist()
        columns = ["merchant_id", "zone_representation", "bucket_index", "lambda_realised"]
        for row in run.table("s2_realised_intensity_5B", columns, scenario).to_pylist():
            if row["lambda_realised"] > 1e-9:
                self._arrivals(row, grid[row["bucket_index"]])

    def _arrivals(self, row: dict[str, Any], start: datetime) -> None:
        merchant, expected = row["merchant_id"], row["lambda_realised"]
        online = {"VIRTUAL_ONLY": 1.0, "HYBRID": self.policies.routing.hybrid_policy.p_virtual_hybrid}
        virtual = online.get(self.modes[merchant], 0.0)
        self.total += expected
        self.virtual += expected * virtual
        for share, places in ((virtual, self.edges[merchant]), (1 - virtual, self._physical(row, start))):
            whole = sum(places.values())
            for tzid, weight in places.items() if share else ():
                arrivals_in_zone = expected * share * weight / whole
                self.zones[tzid] += arrivals_in_zone
                self.wrong_on[start.date().isoformat(), tzid] += arrivals_in_zone * self._wrong_part(tzid, start)

    def _physical(self, row: dict[str, Any], start: datetime) -> dict[str, float]:
        routing = self.policies.routing
        if routing.physical_router.zone_binding == "row_zone":
            return {row["zone_representation"]: 1.0}
        temper = routing.concentration_temper
        weights = self.weights[row["merchant_id"], start.date().isoformat()]
        return {z: p * 2.718281828459045 ** (-temper.eta * temper.scores.get(z, 0.0)) for z, p in weights.items()}

    def _wrong_part(self, tzid: str, start: datetime) -> float:
        key = tzid, int(start.timestamp())
        if key not in self._wrong:
            self._wrong[key] = (self._is_wrong(tzid, start) + self._is_wrong(tzid, start + HALF)) / 2
        return self._wrong[key]

    def _is_wrong(self, tzid: str, instant: datetime) -> bool:
        true = instant.astimezone(UTC).astimezone(_zone(tzid)).utcoffset()
        if tzid not in self.steps:
            cached = self.cache.zone(tzid)
            self.steps[tzid] = cached.utc_seconds.tolist(), cached.offset_minutes.tolist()
        seconds, minutes = self.steps[tzid]
        return true != timedelta(minutes=minutes[bisect_right(seconds, int(instant.timestamp())) - 1])

    @property
    def wrong(self) -> float:
        return sum(self.wrong_on.values())
