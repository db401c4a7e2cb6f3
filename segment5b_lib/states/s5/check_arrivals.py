"""Checks of S5 on the part files: all footers and statistics in full, every row of the sampled parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from segment5b_lib.contract.dataset import TS, WALL
from segment5b_lib.contract.units import SECOND_US
from segment5b_lib.states.s5.arrival_rules import ARRIVAL_INVARIANTS
from segment5b_lib.states.s5.check import (
    NONE_ALLOWED,
    Check,
    CheckStatus,
    Issue,
    check_bounds,
    check_invariant,
    row_checks,
)
from segment5b_lib.states.s5.inputs import CheckInputs, ScenarioInputs, total
from segment5b_lib.states.s5.parts import OPTIONAL, PartFile


def arrival_checks(inputs: CheckInputs) -> list[Check]:
    parts = total(len(scenario.parts) for scenario in inputs.scenarios)
    invariants = (
        ("ARRIVAL_SCHEMA", _schema_issues, "local times are stored in the encoding that the placement policy names"),
        ("PART_ROWS", _row_issues, "part files, their statistics in S4's marker and the summary agree on every count"),
        ("PART_ORDER", _order_issues, "the rows of a part come after those of the part before"),
        ("SHARD_STATISTICS", _statistic_issues, "a sampled part's statistics, derived again, are those of S4's marker"),
    )
    checks = []
    for check_id, find, invariant in invariants:
        issues = [issue for scenario in inputs.scenarios for issue in find(inputs, scenario)]
        checks.append(check_invariant(check_id, len(issues), (parts, "part files"), invariant, issues))
    return [*checks, *_row_invariants(inputs), _anomalies(inputs)]


def _row_invariants(inputs: CheckInputs) -> list[Check]:
    violations = inputs.violations(lambda scenario: scenario.audit.violations)
    rows = total(scenario.audit.rows for scenario in inputs.scenarios)
    names = {scenario.scenario_id: [part.path.name for part in scenario.audit.parts] for scenario in inputs.scenarios}
    population = (rows, "arrivals of sampled parts")
    return row_checks(violations, ARRIVAL_INVARIANTS, population, arrivals=inputs.arrivals, sampled_parts=names)


def _schema_issues(inputs: CheckInputs, scenario: ScenarioInputs) -> Iterator[Issue]:
    expected = TS if inputs.policies.placement.local_time_encoding == "utc_marked" else WALL
    for part in scenario.parts:
        for local_type in set(part.local_types) - {expected}:
            yield Issue(_where(scenario, part), str(expected), str(local_type))


def _row_issues(inputs: CheckInputs, scenario: ScenarioInputs) -> Iterator[Issue]:
    """Per part footer against marker; over all parts the totals that follow from S3 alone."""
    for part in scenario.parts:
        shard = scenario.shards.get(part.path.name)
        if shard is None:
            yield Issue(_where(scenario, part), "statistics in S4's marker", "none")
        else:
            yield from _footer_issues(scenario, part, shard)
    unseen = sorted(set(scenario.shards) - {part.path.name for part in scenario.parts})
    yield from (Issue(f"scenario {scenario.scenario_id}, {name}", "a part file", "none") for name in unseen)
    counters = inputs.markers["S4"].of_scenario(scenario.scenario_id)
    yield from _total_issues(scenario, counters)


def _footer_issues(scenario: ScenarioInputs, part: PartFile, shard: dict[str, Any]) -> Iterator[Issue]:
    rows, virtual = shard["rows"], shard["virtual"]
    expected: dict[str, Any] = {"rows": rows}
    expected |= {f"nulls of {name}": rows - virtual for name in OPTIONAL[1:]} | {"nulls of site_id": virtual}
    actual: dict[str, Any] = {"rows": part.rows} | {f"nulls of {name}": part.nulls[name] for name in OPTIONAL}
    if part.ts_range is not None:
        expected |= {"first and last ts_utc": (shard["first_ts_us"], shard["last_ts_us"])}
        actual |= {"first and last ts_utc": part.ts_range}
    for name, value in expected.items():
        if actual[name] != value:
            yield Issue(f"{_where(scenario, part)}, {name}", str(value), str(actual[name]))


def _total_issues(scenario: ScenarioInputs, counters: dict[str, Any]) -> Iterator[Issue]:
    shards, cells = scenario.shards.values(), scenario.summary.sequences.cells
    of_merchant = cells.sum(axis=1)
    expected = {
        "rows": (scenario.summary.arrivals, sum(shard["rows"] for shard in shards)),
        "virtual": (scenario.summary.virtual, sum(shard["virtual"] for shard in shards)),
        "seq_sum": (
            int((of_merchant * (of_merchant + 1) // 2).sum(dtype=np.int64)),
            sum(shard["seq_sum"] for shard in shards),
        ),
        "anomalies": (sum(scenario.anomalies.values()), counters["anomalies"]),
    }
    for shard in shards:
        if sum(shard["rows_of_zone"].values()) != shard["rows"]:
            yield Issue("rows_of_zone of a shard", str(shard["rows"]), str(sum(shard["rows_of_zone"].values())))
    for name, (required, actual) in expected.items():
        if required != actual:
            yield Issue(f"scenario {scenario.scenario_id}, {name} of all parts", str(required), str(actual))


def _order_issues(inputs: CheckInputs, scenario: ScenarioInputs) -> Iterator[Issue]:
    """Outermost rows of all parts; inside a part the rows themselves are audited."""
    filled = [part for part in scenario.parts if part.first is not None]
    horizon = scenario.horizon
    for part in filled:
        low, high = part.ts_range or (0, 0)
        if low < horizon.start * SECOND_US or high >= horizon.end * SECOND_US:
            yield Issue(_where(scenario, part), f"ts_utc in [{horizon.start}, {horizon.end}) s", f"{low} to {high}")
        first, last = part.bucket_range or (0, 0)
        if first < 0 or last >= horizon.buckets:
            yield Issue(_where(scenario, part), f"buckets 0 to {horizon.buckets - 1}", f"{first} to {last}")
    for before, after in pairwise(filled):
        assert before.last is not None and after.first is not None
        seq = before.last[2] + 1 if before.last[0] == after.first[0] else 1
        if not before.last < after.first or after.first[2] != seq:
            expected = f"after {before.last}, with arrival_seq {seq}"
            yield Issue(_where(scenario, after), expected, f"(merchant, ts, seq) {after.first}")


def _statistic_issues(inputs: CheckInputs, scenario: ScenarioInputs) -> Iterator[Issue]:
    for name, derived in scenario.audit.statistics.items():
        declared = scenario.shards.get(name, {})
        for statistic, value in derived.items():
            if declared.get(statistic) != value:
                place = f"scenario {scenario.scenario_id}, {name}, {statistic}"
                yield Issue(place, f"{value} (from the rows)", f"{declared.get(statistic)} (marker)")


def _anomalies(inputs: CheckInputs) -> Check:
    """The anomalies that S4 recorded where a policy allows them."""
    codes: Counter[str] = Counter()
    for scenario in inputs.scenarios:
        codes.update(scenario.anomalies)
    rows = sum(codes.values())
    return check_bounds(
        "ANOMALIES",
        rows,
        "rows of s4_arrival_anomalies_5B",
        [NONE_ALLOWED],
        (inputs.arrivals, "arrivals"),
        f"allowed by policy: {', '.join(f'{count} {code}' for code, count in sorted(codes.items()))}"
        if rows
        else "none",
        when_violated=CheckStatus.ADVISORY,
        detail=dict(sorted(codes.items())),
    )


def _where(scenario: ScenarioInputs, part: PartFile) -> str:
    return f"scenario {scenario.scenario_id}, {part.path.name}"
