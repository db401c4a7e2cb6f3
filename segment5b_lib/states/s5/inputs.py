"""All inputs of the checks of S5, gathered once: receipts, ledgers, summaries, parts and samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.words import Lane
from segment5b_lib.errors import StaleError
from segment5b_lib.states.context import Context
from segment5b_lib.states.s5.arrival_rules import ArrivalInvariants
from segment5b_lib.states.s5.check import Violations
from segment5b_lib.states.s5.clock_sample import ClockSample, draw_clock_sample, dst_strata
from segment5b_lib.states.s5.expected_clock import ScenarioHorizon, bucket_weekend_shares
from segment5b_lib.states.s5.ledger import RowLedger, read_ledger
from segment5b_lib.states.s5.part_audit import Audit, audit_parts, sampled_parts
from segment5b_lib.states.s5.parts import PartFile, read_parts
from segment5b_lib.states.s5.places import PlaceDirectory, load_places
from segment5b_lib.states.s5.summary import Summary, read_summary
from segment5b_lib.states.series import SeriesDomain, load_domain
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.records import Marker

_ARRIVALS: Final = "arrival_events_5B"


@dataclass(frozen=True)
class ScenarioInputs:
    """One scenario. `shards` are the statistics of S4's marker by part file name, `anomalies` the rows by code."""

    scenario_id: str
    horizon: ScenarioHorizon
    grid: pa.Table
    ledger: RowLedger
    summary: Summary
    parts: list[PartFile]
    shards: dict[str, dict[str, Any]]
    anomalies: dict[str, int]
    clock: ClockSample
    audit: Audit

    @property
    def domain(self) -> SeriesDomain:
        return self.ledger.domain

    @property
    def rows(self) -> int:
        """Arrivals in the part files."""
        return sum(part.rows for part in self.parts)


@dataclass(frozen=True)
class CheckInputs:
    """All scenarios, and inputs of all. `manifest` is 5A's row of each scenario."""

    context: Context
    policies: Policies
    receipt: dict[str, Any]
    sealed: list[dict[str, Any]]
    markers: dict[str, Marker]
    manifest: dict[str, dict[str, Any]]
    places: PlaceDirectory
    scenarios: tuple[ScenarioInputs, ...]

    @property
    def arrivals(self) -> int:
        """Arrivals of all scenarios by the part files."""
        return sum(scenario.rows for scenario in self.scenarios)

    def violations(self, of: Callable[[ScenarioInputs], Violations]) -> Violations:
        """The violations that one reader has recorded, over all scenarios."""
        by_scenario = [of(scenario) for scenario in self.scenarios]
        total = Violations(tuple(by_scenario[0].rows))
        for violations in by_scenario:
            total.add(violations)
        return total


def gather(context: Context) -> CheckInputs:
    outputs = _published_by_s4(context)
    with context.step("read footers", Lane.INPUT_LOAD):
        parts = {
            name: read_parts(context.run.files(_ARRIVALS, name), context.threads) for name in context.run.scenarios
        }
        plan = context.run.policies.validation.sampling
        sampled = {name: sampled_parts(files, plan) for name, files in parts.items()}
    read_in_full = {part.path for files in sampled.values() for part in files}
    context.verify_inputs(unhashed=outputs[_ARRIVALS] - read_in_full)
    with context.step("read receipts and places", Lane.INPUT_LOAD):
        run = context.run
        manifest = {row["scenario_id"]: row for row in context.run.world.table("scenario_manifest_5A").to_pylist()}
        markers = {state: marker for state in context.spec.reads_states if (marker := run.marker(state))}
        places = load_places(context.run.world)
        receipt, sealed = read_json(run.file("s0_gate_receipt_5B")), read_json(run.file("sealed_inputs_5B"))
    shards = markers["S4"].counters["shards"]
    scenarios = tuple(
        _scenario(context, name, manifest[name], parts[name], sampled[name], shards[name], places)
        for name in run.scenarios
    )
    return CheckInputs(context, context.run.policies, receipt, sealed, markers, manifest, places, scenarios)


def _published_by_s4(context: Context) -> dict[str, set[Path]]:
    """S4's outputs by dataset. Each must have its recorded size; of parts that are not sampled no more is checked."""
    context.recorded_inputs()  # raises if a state has not published
    paths: dict[str, set[Path]] = {_ARRIVALS: set()}
    for output in context.run.outputs("S4"):
        path = context.run.root / output.path
        size = path.stat().st_size if path.is_file() else None
        if size != output.bytes:
            raise StaleError(
                "5B.S5.INPUT_CHANGED",
                "an output of S4 is not the file that its marker names",
                where=str(path),
                expected=f"{output.bytes} bytes",
                found="no file" if size is None else f"{size} bytes",
                next_step="restore the file, or segment5b rerun --changed S4",
            )
        paths.setdefault(output.dataset_id, set()).add(path)
    return paths


def _scenario(
    context: Context,
    name: str,
    manifest: dict[str, Any],
    parts: list[PartFile],
    sampled: tuple[PartFile, ...],
    shards: dict[str, dict[str, Any]],
    places: PlaceDirectory,
) -> ScenarioInputs:
    with context.step("read series", Lane.INPUT_LOAD):
        domain = load_domain(context.run, name)
        grid = context.run.table("s1_time_grid_5B", scenario_id=name)
    start: datetime = manifest["horizon_start_utc"]
    horizon = ScenarioHorizon(int(start.timestamp()), context.run.policies.time_grid.bucket_seconds, domain.buckets)
    with context.step("expect weekends and transitions", Lane.COMPUTE):
        tzids, zone_of = np.unique(domain.frame["zone_representation"].to_numpy(), return_inverse=True)
        weekend = bucket_weekend_shares(horizon, [str(tzid) for tzid in tzids])
        windows = dst_strata(
            places.primary_tzids, horizon.start, horizon.end, context.run.policies.validation.civil_time
        )
    ledger, counts = read_ledger(context, domain, weekend, zone_of)
    summary = read_summary(context, ledger, counts)
    del counts  # the largest array of the state
    clock = draw_clock_sample(context, parts, places.tzids, windows, context.run.policies.validation.sampling)
    audit = audit_parts(context, sampled, ArrivalInvariants(horizon, domain, summary.sequences, places))
    codes = context.run.table("s4_arrival_anomalies_5B", ["anomaly_code"], name)["anomaly_code"].to_pylist()
    return ScenarioInputs(name, horizon, grid, ledger, summary, parts, shards, dict(Counter(codes)), clock, audit)


def total(values: Iterable[int]) -> int:
    return int(sum(int(value) for value in values))
