"""Checks of S5 on randomness: draw totals from first principles, and the latent factor against its law."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from segment5b_lib.contract.validation_policy import Limit
from segment5b_lib.contract.verdicts import Bound, number_bound
from segment5b_lib.kernel.streams import ARRIVAL_EDGE_PICK, ARRIVAL_SITE_PICK, ARRIVAL_TIME, BUCKET_COUNT, LATENT_VECTOR
from segment5b_lib.model.random_laws import Groups, groups_of, mean_factor_law
from segment5b_lib.states.s5.check import SPECIFICATION, Check, Issue, check_bounds, check_invariant
from segment5b_lib.states.s5.inputs import CheckInputs, ScenarioInputs
from segment5b_lib.states.series import rng_total

_DRAWING: Final = ("S2", "S3", "S4")
Total = dict[str, Any]


def draw_checks(inputs: CheckInputs) -> list[Check]:
    groups = [_groups(inputs, scenario) for scenario in inputs.scenarios]
    return [_totals(inputs), _mean_factor(inputs, groups), _shared_factor(inputs, groups)]


def _groups(inputs: CheckInputs, scenario: ScenarioInputs) -> Groups:
    return groups_of(scenario.domain.frame, scenario.domain.band, inputs.policies.lgcp)


def rng_totals(inputs: CheckInputs) -> list[Total]:
    """Events, blocks, draws and outermost domains per state, scenario and family, from S1 and S3 alone.

    One normal per group and bucket; one count per row with mu > lambda_zero_eps; one time per arrival; one site
    block per arrival of a merchant that is not only virtual; one edge per virtual arrival.
    """
    return [total for scenario in inputs.scenarios for total in _of_scenario(inputs, scenario)]


def _of_scenario(inputs: CheckInputs, scenario: ScenarioInputs) -> Iterator[Total]:
    domain, arrivals = scenario.domain, scenario.ledger.of_series
    groups = _groups(inputs, scenario).names
    latent = 0 if inputs.policies.lgcp.mode == "none" else len(groups) * scenario.horizon.buckets
    yield {"state": "S2", **rng_total(domain.scenario_id, LATENT_VECTOR, latent, groups)}
    series = domain.outermost(np.arange(len(domain)))
    yield {"state": "S3", **rng_total(domain.scenario_id, BUCKET_COUNT, scenario.ledger.drawn.rows, series)}
    only_virtual = np.isin(domain.frame["merchant_id"].to_numpy(), inputs.places.only_virtual)
    for family, drawn in (
        (ARRIVAL_TIME, arrivals),
        (ARRIVAL_SITE_PICK, np.where(only_virtual, 0, arrivals)),
        (ARRIVAL_EDGE_PICK, scenario.summary.virtual_of_series),
    ):
        series = domain.outermost(np.flatnonzero(drawn))
        yield {"state": "S4", **rng_total(domain.scenario_id, family, int(drawn.sum()), series)}


def _totals(inputs: CheckInputs) -> Check:
    """Against the markers, and against the trace if the state ran in this run root."""
    expected = rng_totals(inputs)
    changed = set(inputs.context.run.receipt.changed_states)
    sources = {"marker": (_marked(inputs), set(_DRAWING)), "trace": (_traced(inputs), changed)}
    issues = []
    for source, (recorded, states) in sources.items():
        for row in expected:
            actual = recorded.get(_key(row))
            if row["state"] in states and actual != row:
                issues.append(Issue(f"{source}, {' '.join(_key(row))}", _shown(row), _shown(actual)))
    unknown = sorted(set(_marked(inputs)) - {_key(row) for row in expected})
    issues += [Issue(f"marker, {' '.join(key)}", "no draws", "a total") for key in unknown]
    invariant = "draws per state, scenario and family are those that the data call for"
    return check_invariant("RNG_TOTALS", len(issues), (len(expected), "totals"), invariant, issues)


def _marked(inputs: CheckInputs) -> dict[tuple[str, ...], Total]:
    rows = [{"state": state, **row} for state in _DRAWING for row in inputs.markers[state].counters["rng"]]
    return {_key(row): row for row in rows}


def _traced(inputs: CheckInputs) -> dict[tuple[str, ...], Total]:
    """The last row of each state, scenario and family in the run's trace."""
    path = inputs.context.run.rng_log("trace")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = [json.loads(line) for line in lines]
    return {_key(row): row for row in rows}


def _key(row: Total) -> tuple[str, ...]:
    return row["state"], row["scenario_id"], row["family"]


def _shown(row: Total | None) -> str:
    if row is None:
        return "no row"
    amounts = ", ".join(f"{row[name]} {name}" for name in ("events", "blocks", "draws"))
    return f"{amounts}, {row['first_domain']} to {row['last_domain']}"


def _members(groups: Groups) -> NDArray[np.intp]:
    _, first = np.unique(groups.of_series, return_index=True)
    return first


def _mean_factor(inputs: CheckInputs, groups: list[Groups]) -> Check:
    """Mean over groups and buckets against the clipped law's; the scenario with the largest deviation."""
    tolerance = inputs.policies.lgcp.mean_factor_tolerance
    rows = []
    for scenario, group_laws in zip(inputs.scenarios, groups, strict=True):
        expected, error = mean_factor_law(group_laws, scenario.horizon.buckets, inputs.policies.lgcp)
        mean = float(scenario.ledger.factor_mean[_members(group_laws)].mean())
        bound = number_bound("lgcp", "mean_factor_tolerance", max=tolerance)
        if 5 * error > tolerance:
            bound = Bound(Limit(max=5 * error), SPECIFICATION, "five standard errors of the clipped law")
        text = f"scenario {scenario.scenario_id}: mean factor {mean:.5f}, its law gives {expected:.5f}"
        rows.append((abs(mean - expected), bound, text))
    difference, bound, text = max(rows, key=lambda row: row[0] / (row[1].limit.max or 1.0))
    population = (sum(len(group_laws.names) for group_laws in groups), "groups")
    return check_bounds("MEAN_FACTOR", difference, "difference of means", [bound], population, text)


def _shared_factor(inputs: CheckInputs, groups: list[Groups]) -> Check:
    issues, series = [], 0
    for scenario, group_laws in zip(inputs.scenarios, groups, strict=True):
        mean = scenario.ledger.factor_mean
        shared = mean[_members(group_laws)][group_laws.of_series]
        series += mean.size
        for position in np.flatnonzero(mean != shared).tolist():
            where = scenario.domain.place(position, 0)
            issues.append(Issue(where, f"mean factor {shared[position]}", str(mean[position])))
    invariant = "all series of a group carry the same latent factor"
    return check_invariant("SHARED_FACTOR", len(issues), (series, "series"), invariant, issues)
