"""Every gate against a defect that is planted in a run on purpose: it turns red, it alone, and names its owner.

The run is the corrected one at tiny scale, under thresholds that a world of eighteen zones can keep, so that all
gates are green before. A defect is either written into the run's own files, or the states draw it themselves.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from segment5b_lib.contract.datasets import arrival_schema
from segment5b_lib.contract.verdicts import GateResult
from segment5b_lib.contract.words import Verdict
from segment5b_lib.engine.chain import create_run, run_states
from segment5b_lib.gates.a06_replay import replay
from segment5b_lib.gates.attribution import attribute
from segment5b_lib.gates.runtime import RUNTIME_STATES, SEED_SETS, runtime_gate
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import score
from segment5b_lib.gates.t10_stability import stability
from segment5b_lib.gates.table import CROSS_RUN_GATES, GATES
from segment5b_lib.kernel.counts import draw_counts
from segment5b_lib.kernel.streams import stream_keys
from segment5b_lib.states import s3_counts
from segment5b_lib.states.s4 import tables as s4_tables
from segment5b_lib.store.postures import load_posture, with_changes
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World
from segment5b_lib.world.build import build_world
from segment5b_lib.world.reopen import reopen_world
from segment5b_lib.world.world_file import load_spec
from tests.planted_run import ARRIVALS, Change, plant, set_at

HOUR, MICROSECOND = timedelta(hours=1), timedelta(microseconds=1)
BEFORE_S5 = ("S0", "S1", "S2", "S3", "S4")
TINY: dict[str, Any] = {
    "validation.gates.T3.bplus.max": 1.5,
    "validation.gates.T6.b.max": 0.995,
    "validation.gates.T6.bplus.max": 0.995,
    "validation.gates.T7.b.min": 0.01,
    "validation.gates.T7.bplus.min": 0.01,
    "validation.gates.T8.b.max": 1.5,
    "validation.gates.T8.bplus.max": 1.5,
    "validation.gates.T9.bplus.max": 1.6,
    "validation.audit.min_expected": 1.0,
}
"""What eighteen zones and 340,000 arrivals can keep, and enough power for every gate to speak."""
CLOCKS = ("ts_local_primary", "ts_local_settlement", "ts_local_operational")
SERIES = ("merchant_id", "legal_country_iso", "zone_representation", "channel_group")


@dataclass
class Bench:
    """Where a test plants: a copy of the clean run, the worlds, and monkeypatch for states that are to go wrong."""

    run: Run
    published: World
    reopened: World
    outputs: Path
    patch: pytest.MonkeyPatch

    def rewrite(self, change: Change) -> Run:
        plant(self.run, ARRIVALS, change)
        return self.run

    def again(self, *states: str) -> Run:
        """The run's own states once more, with whatever has been patched into them."""
        for state in states:
            self.run.marker_path(state).unlink()
        run_states(self.run, states, threads=2)
        return self.run

    def fresh(self, world: World, changes: Mapping[str, Any]) -> Run:
        return clean_run(world, changes)


def clean_run(world: World, changes: Mapping[str, Any], seed: int = 42) -> Run:
    policies = with_changes(load_posture("civil_time"), {**TINY, **changes})
    run = create_run(world, policies, seed=seed, posture="planted")
    run_states(run, BEFORE_S5, threads=2)
    return run


def busiest(rows: pl.DataFrame, *key: str) -> pl.Expr:
    """The rows of the merchant, series or zone with the most arrivals. No trace follows so many draws."""
    largest = rows.group_by(key).len().sort("len", *key, descending=True).row(0, named=True)
    return pl.all_horizontal(pl.col(name) == largest[name] for name in key)


def moved(rows: pl.DataFrame, ts: pl.Expr) -> pl.DataFrame:
    """Every clock of a row moves with its instant."""
    by = ts - pl.col("ts_utc")
    return rows.with_columns(*((pl.col(name) + by).alias(name) for name in (*CLOCKS, "ts_utc")))


def in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Sorted and numbered again, as S4 does it."""
    ordered = rows.sort("merchant_id", "ts_utc", maintain_order=True)
    return ordered.with_columns(arrival_seq=pl.int_range(1, pl.len() + 1).over("merchant_id"))


def shifted(column: str, where: Callable[[pl.DataFrame], pl.Expr]) -> Callable[[Bench], Run]:
    def change(rows: pl.DataFrame) -> pl.DataFrame:
        hit = where(rows)
        return rows.with_columns(pl.when(hit).then(pl.col(column) + HOUR).otherwise(column).alias(column))

    return lambda bench: bench.rewrite(change)


def one_zone(rows: pl.DataFrame) -> pl.Expr:
    """The largest zone of those that never change their clocks."""
    asia = rows.filter(pl.col("tzid_primary").str.starts_with("Asia/"))
    return busiest(asia, "tzid_primary")


def cut_cache(bench: Bench) -> Run:
    lenient = {"routing.horizon_guard": "warn", "validation.civil_time_enforcement": "warn_only"}
    return bench.fresh(bench.published, lenient)


def marked_as_utc(bench: Bench) -> Run:
    change = pl.col(*CLOCKS).dt.replace_time_zone("UTC")
    plant(bench.run, ARRIVALS, lambda rows: rows.with_columns(change), schema=arrival_schema(utc_marked=True))
    return bench.run


def one_key_lost_another_twice(bench: Bench) -> Run:
    """The arrivals of a bucket vanish, and as many of another bucket come twice, a microsecond later."""

    def change(rows: pl.DataFrame) -> pl.DataFrame:
        mine = busiest(rows, *SERIES)
        sizes = rows.filter(mine).group_by("bucket_index").len().sort("len", "bucket_index")
        lost, twice, *_ = sizes.filter(pl.len().over("len") > 1)["bucket_index"]
        copies = moved(rows.filter(mine & (pl.col("bucket_index") == twice)), pl.col("ts_utc") + MICROSECOND)
        return in_order(pl.concat([rows.filter(~(mine & (pl.col("bucket_index") == lost))), copies]))

    return bench.rewrite(change)


def site_and_edge(bench: Bench) -> Run:
    some = ~pl.col("is_virtual") & (pl.col("arrival_seq") % 1000 == 0)
    edge = pl.when(some).then(pl.lit(7, pl.UInt64)).otherwise("edge_id")
    return bench.rewrite(lambda rows: rows.with_columns(edge_id=edge))


def hours_piled_in_windows(bench: Bench) -> Run:
    """On the day after London's change all clocks of Europe show midnight."""
    change = pl.datetime(2026, 3, 29, 1, time_unit="us", time_zone="UTC")
    near = pl.col("ts_utc").is_between(change, change + timedelta(days=1), closed="left")
    hit = near & pl.col("tzid_primary").str.starts_with("Europe/")
    midnight = pl.col("ts_local_primary").dt.truncate("1d")
    return bench.rewrite(
        lambda rows: rows.with_columns(ts_local_primary=pl.when(hit).then(midnight).otherwise("ts_local_primary"))
    )


def dates_a_day_late(bench: Bench) -> Run:
    return bench.rewrite(lambda rows: rows.with_columns(pl.col("ts_local_primary") + timedelta(days=1)))


def few_zones(bench: Bench) -> Run:
    spec = load_spec("tiny", {"geography.zones_in_use": 10})
    world = reopen_world(build_world(spec, bench.outputs).world, "2A", {"last_transition_year": 2028}, "test").world
    return bench.fresh(world, {})


def much_online_trade(bench: Bench) -> Run:
    """Segment 3B lets every merchant with outlets trade online too: a third of its arrivals."""
    world = reopen_world(bench.reopened, "3B", {"rules.has_outlets.mode": "HYBRID"}, "test").world
    return bench.fresh(world, {})


def over_dispersed(bench: Bench) -> Run:
    def draw(keys: Any, mu: Any, kappa: Any, **settings: Any) -> Any:
        return draw_counts(keys, mu, np.maximum(kappa / 6, 1.0), **settings)

    bench.patch.setattr(s3_counts, "draw_counts", draw)
    return bench.again("S3", "S4")


def poisson_lognormal(bench: Bench) -> Run:
    """Mean and variance of the law, from a log-normal rate instead of a gamma one: far from it where κ is small."""
    wide = {f"validation.gates.{gate}.{level}.max": 9 for gate in ("T8", "T9") for level in ("b", "bplus")}
    twin = bench.fresh(bench.reopened, {"count.kappa.base.baseline": 3, **wide})
    assert score(twin).result("A3").verdict is Verdict.PASS_BPLUS
    rng = np.random.default_rng(4)

    def draw(keys: Any, mu: Any, kappa: Any, **settings: Any) -> Any:
        spread = np.sqrt(np.log1p(1 / kappa))[:, None]
        rate = mu * np.exp(spread * rng.standard_normal(mu.shape) - spread**2 / 2)
        counts = np.where(mu > settings["mu_floor"], rng.poisson(rate), 0).astype(np.int32)
        return counts, np.zeros(mu.shape, np.bool_)

    bench.patch.setattr(s3_counts, "draw_counts", draw)
    return replace(bench, run=twin).again("S3", "S4")


def key_without_country(bench: Bench) -> Run:
    def keys(family: str, root: str, seed: int, scenario: str, domains: Any) -> Any:
        return stream_keys(family, root, seed, scenario, [(m, "", zone, channel) for m, _, zone, channel in domains])

    bench.patch.setattr(s4_tables, "stream_keys", keys)
    return bench.again("S4")


def equal_instants(bench: Bench) -> Run:
    """Of the busiest merchant, every fiftieth arrival comes at the instant of the one before."""

    def change(rows: pl.DataFrame) -> pl.DataFrame:
        before = pl.col("ts_utc").shift(1)
        same = (pl.col("bucket_index") == pl.col("bucket_index").shift(1)) & (pl.col("arrival_seq") % 50 == 2)
        tie = busiest(rows, "merchant_id") & same.fill_null(False)
        return moved(rows, pl.when(tie).then(before).otherwise("ts_utc"))

    return bench.rewrite(change)


def repeated_offsets(bench: Bench) -> Run:
    """Where two neighbouring buckets of a series hold one arrival each, both come at the same minute and second."""

    def change(rows: pl.DataFrame) -> pl.DataFrame:
        bucket = pl.col("bucket_index")
        alone = pl.len().over(*SERIES, "bucket_index") == 1
        ordered = rows.with_columns(alone=alone).sort(*SERIES, "bucket_index", "ts_utc")
        neighbours = pl.col("alone") & pl.col("alone").shift(1) & (bucket - bucket.shift(1) == 1)
        within = neighbours & pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in SERIES)
        repeated = moved(
            ordered, pl.when(within.fill_null(False)).then(pl.col("ts_utc").shift(1) + HOUR).otherwise("ts_utc")
        )
        return in_order(repeated.drop("alone"))

    return bench.rewrite(change)


def zone_regardless_of_row(bench: Bench) -> Run:
    return bench.fresh(bench.reopened, {"routing.zone_binding": "group_weights"})


def one_site_per_row(bench: Bench) -> Run:
    """All arrivals of a series and bucket go to the site of the first."""
    first = pl.col("site_id").drop_nulls().first().over(*SERIES, "bucket_index")
    pick = pl.when(~pl.col("is_virtual")).then(first)
    return bench.rewrite(lambda rows: rows.with_columns(site_id=pick))


def piled_offsets(bench: Bench) -> Run:
    """Offsets squared: twice as many arrivals in the first quarter of an hour as there should be."""
    start = pl.col("ts_utc").dt.truncate("1h")
    offset = (pl.col("ts_utc") - start).dt.total_microseconds() / 3.6e9
    squared = start + pl.duration(microseconds=(offset**2 * 3.6e9).cast(pl.Int64))
    return bench.rewrite(lambda rows: moved(rows, squared))


def outside_its_bucket(bench: Bench) -> Run:
    """An arrival, with a quiet hour after it, comes at the start of the next bucket."""

    def change(rows: pl.DataFrame) -> pl.DataFrame:
        quiet = (pl.col("bucket_index").shift(-1) - pl.col("bucket_index") > 2) & busiest(rows, "merchant_id")
        at = rows.with_row_index().filter(quiet.fill_null(False))["index"][0]
        late = pl.col("ts_utc").dt.truncate("1h") + HOUR + MICROSECOND
        return moved(rows, pl.when(pl.int_range(pl.len()) == at).then(late).otherwise("ts_utc"))

    return bench.rewrite(change)


def unsorted_merchant(bench: Bench) -> Run:
    """Two neighbours of the busiest merchant change places, all but their numbers."""

    def change(rows: pl.DataFrame) -> pl.DataFrame:
        pairs = (pl.col("bucket_index") == pl.col("bucket_index").shift(-1)) & busiest(rows, "merchant_id")
        at = int(rows.with_row_index().filter(pairs)["index"][100])
        order = np.arange(rows.height)
        order[[at, at + 1]] = [at + 1, at]
        return rows[order.tolist()].with_columns(arrival_seq=rows["arrival_seq"])

    return bench.rewrite(change)


@dataclass(frozen=True)
class Defect:
    """How it is planted, and every gate that must turn red with the owner and the first state to rerun."""

    plant: Callable[[Bench], Run]
    red: Mapping[str, tuple[str, str]]


LOOK_UP, CACHE, STREAMS, ROUTING = ("S4", "S4"), ("2A", "S0"), ("S4 streams", "S4"), ("S4 routing", "S4")
COUNTS = ("S3", "S3")
DEFECTS = {
    "an hour's shift in one zone": Defect(shifted("ts_local_primary", one_zone), {"T1": LOOK_UP, "T2": LOOK_UP}),
    "settlement clocks an hour fast": Defect(
        shifted("ts_local_settlement", lambda _: pl.col("arrival_seq") % 50 == 0), {"T1.settlement": LOOK_UP}
    ),
    "operational clocks an hour fast": Defect(
        shifted("ts_local_operational", lambda _: pl.col("arrival_seq") % 50 == 0), {"T1.operational": LOOK_UP}
    ),
    "cache cut in 2025": Defect(
        cut_cache, dict.fromkeys(("T11", "T1", "T1.settlement", "T1.operational", "T2"), CACHE)
    ),
    "locals marked as UTC": Defect(marked_as_utc, {"T12": LOOK_UP}),
    "hours piled up around a change": Defect(hours_piled_in_windows, {"T1": LOOK_UP, "T3": LOOK_UP}),
    "a key lost, another twice": Defect(one_key_lost_another_twice, {"T4": LOOK_UP}),
    "site and edge both set": Defect(site_and_edge, {"T5": LOOK_UP, "A4": ROUTING}),
    "ten zones in all": Defect(few_zones, {"T6": ("S2 zone mix", "S2")}),
    "online trade beyond the band": Defect(much_online_trade, {"T7": ROUTING}),
    "local dates a day late": Defect(dates_a_day_late, {"T1": LOOK_UP, "T8": LOOK_UP}),
    "over-dispersed counts": Defect(over_dispersed, {"T9": COUNTS, "A3": COUNTS}),
    "Poisson-lognormal counts": Defect(poisson_lognormal, {"A3": COUNTS}),
    "a domain key without country": Defect(key_without_country, {"A1": STREAMS}),
    "arrivals at equal instants": Defect(equal_instants, {"A1.duplicates": STREAMS}),
    "offsets repeated in the next bucket": Defect(repeated_offsets, {"A1": STREAMS, "A1.offsets": STREAMS}),
    "a zone drawn regardless of the row": Defect(zone_regardless_of_row, {"A2": ROUTING, "A2.profile": ROUTING}),
    "one site for a whole row": Defect(one_site_per_row, {"A4": ROUTING}),
    "offsets piled at the bucket's start": Defect(piled_offsets, {"A1": STREAMS, "A5": LOOK_UP}),
    "an arrival outside its bucket": Defect(outside_its_bucket, {"A5.window": LOOK_UP}),
    "an unsorted merchant": Defect(unsorted_merchant, {"A5.order": LOOK_UP}),
}


@pytest.fixture(scope="module")
def clean(reopened_world: World) -> Run:
    return clean_run(reopened_world, {})


@pytest.fixture(scope="module")
def before(clean: Run) -> dict[str, Verdict]:
    return verdicts(score(clean))


@pytest.fixture
def bench(
    clean: Run,
    tiny_world: World,
    reopened_world: World,
    private_outputs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    worlds = [World(private_outputs / "worlds" / world.mf) for world in (tiny_world, reopened_world)]
    for own, world in zip(worlds, (tiny_world, reopened_world), strict=True):
        own.root.symlink_to(world.root)
    # Linked, not copied: what plants unlinks first.
    copy = shutil.copytree(clean.root, private_outputs / "runs" / clean.run_id, copy_function=os.link)
    return Bench(Run(copy), *worlds, private_outputs, monkeypatch)


def verdicts(card: Scorecard) -> dict[str, Verdict]:
    return {entry.gate_id: entry.verdict for entry in card.results}


def test_clean_run_is_green_everywhere(before: dict[str, Verdict]) -> None:
    assert {gate for gate, verdict in before.items() if verdict is not Verdict.PASS_BPLUS} == set()


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_turns_its_gates_red_and_no_other(before: dict[str, Verdict], bench: Bench, name: str) -> None:
    defect = DEFECTS[name]
    card = score(defect.plant(bench))
    after = verdicts(card)
    assert {gate for gate, verdict in after.items() if verdict is Verdict.FAIL} == set(defect.red)
    assert {gate: verdict for gate, verdict in after.items() if gate not in defect.red} == {
        gate: verdict for gate, verdict in before.items() if gate not in defect.red
    }
    assert {entry.gate_id: (entry.owner, entry.rerun[0]) for entry in card.attributions} == defect.red


def seed_without_clocks(bench: Bench) -> tuple[GateResult, GateResult]:
    """T10 over two seeds; then the arrivals of one are gone, and with them all metrics but T9."""
    other = clean_run(bench.reopened, {}, seed=7)
    cards = [score(bench.run), score(other)]
    for path in other.files(ARRIVALS, other.scenarios[0]):
        path.unlink()
    return stability(cards), stability([cards[0], score(other)])


def replayed_otherwise(bench: Bench) -> tuple[GateResult, GateResult]:
    """A6 over the run as it is, and after somebody has changed one time of day."""
    clean = replay(bench.run)
    return clean, replay(bench.rewrite(set_at(1000, ts_local_primary=datetime(2026, 2, 1))))


def too_slow(name: str) -> Callable[[Bench], tuple[GateResult, GateResult]]:
    """Three repetitions at the pinned scale at half the target, and at twice the stretch."""

    def judged(bench: Bench) -> tuple[GateResult, GateResult]:
        policy = bench.run.policies.validation.runtime
        budget = {**policy.states, **policy.lanes}[name]
        seconds = (budget.target_s / 2, budget.stretch_s * 2)
        quick, slow = (runtime_gate(name, [time] * policy.min_runs, policy.pinned_scale, policy) for time in seconds)
        return quick, slow

    return judged


DEMANDS: dict[str, tuple[Callable[[Bench], tuple[GateResult, GateResult]], tuple[str, str]]] = {
    "T10": (seed_without_clocks, ("S2", "S2")),
    "A6": (replayed_otherwise, LOOK_UP),
    **{f"R-{state}": (too_slow(state), (state, state)) for state in RUNTIME_STATES},
    **{f"R-{lane}": (too_slow(lane), LOOK_UP) for lane in SEED_SETS},
}
"""The gates that no scorecard holds: the same run, or runs, before and after; and the owner."""


@pytest.mark.parametrize("gate_id", DEMANDS)
def test_a_planted_defect_turns_a_gate_of_several_runs_red(bench: Bench, gate_id: str) -> None:
    plant_and_judge, owner = DEMANDS[gate_id]
    sound, broken = plant_and_judge(bench)
    assert (sound.gate_id, sound.verdict) == (gate_id, Verdict.PASS_BPLUS)
    assert broken.verdict is Verdict.FAIL
    (entry,) = attribute([broken], 0, bound_to_row=True)
    assert (entry.owner, entry.rerun[0]) == owner


def test_every_gate_has_a_defect_that_turns_it_red() -> None:
    assert {gate for defect in DEFECTS.values() for gate in defect.red} == {entry.gate_id for entry in GATES}
    assert set(DEMANDS) == {entry.gate_id for entry in CROSS_RUN_GATES}
