"""What a world will show under the published policies, before anything is run.

Expected values of gates, from the surface and the routing tables alone. They say whether a world file is
near the published run; no value of the world depends on them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from segment5b_lib.arrays import F64, Flags
from segment5b_lib.civil_time import cache as tz_cache
from segment5b_lib.civil_time.tzif import read_zone
from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.store.parquet import ROW_GROUP_ROWS
from segment5b_lib.world.plan import Plan

LARGEST_ZONES = 10
_DIGITS = 6


@dataclass(frozen=True)
class WorldForecast:
    """Expected figures of the baseline under zone binding `group_weights`; shares are of all arrivals.

    `t1_share`: arrivals whose cached offset is wrong. `t6_share` and `t6_share_row_zone`: the ten largest
    zones under either binding. `t7_share`: arrivals of merchants that are served only online; those of
    hybrid merchants, whose online part is a 5B policy, are `hybrid_share` and count as physical here.
    """

    series: int
    zones: int
    arrivals: float
    zero_row_share: float
    mean_positive_intensity: float
    t1_share: float
    t6_share: float
    t6_share_row_zone: float
    t7_share: float
    hybrid_share: float
    largest_zones: dict[str, float]

    def document(self) -> dict[str, object]:
        return {key: _rounded(value) for key, value in asdict(self).items()}


def forecast(plan: Plan) -> WorldForecast:
    """Expected figures of a world; costs one pass over its surface."""
    by_merchant, by_series, zeros = _totals(plan)
    zones = sorted(set(plan.cells.tzid))
    mode = np.array([rule.mode.value for rule in plan.rules])
    online = mode == VirtualMode.VIRTUAL_ONLY.value
    total = float(by_series.sum())
    edge_share = _edge_share(plan, zones)
    by_day = by_merchant.reshape(len(online), plan.spec.horizon.days, -1)
    wrong = _wrong_share(plan, zones).reshape(len(zones), plan.spec.horizon.days, -1)
    routed, mistaken = np.zeros(len(zones)), 0.0
    for day in range(plan.spec.horizon.days):
        share = _zone_share(plan, zones, day)
        share[online] = edge_share[online]
        routed += share.T @ by_day[:, day].sum(axis=1)
        mistaken += float((share * (by_day[:, day] @ wrong[:, day].T)).sum())
    rows = len(plan.series) * plan.spec.horizon.buckets
    row_zone = _row_zone_totals(plan, zones, by_series, online, edge_share)
    order = np.argsort(-routed, kind="stable")[:LARGEST_ZONES]
    return WorldForecast(
        series=len(plan.series),
        zones=len(zones),
        arrivals=total,
        zero_row_share=zeros / rows,
        mean_positive_intensity=total / (rows - zeros),
        t1_share=mistaken / total,
        t6_share=_top(routed),
        t6_share_row_zone=_top(row_zone),
        t7_share=float(by_merchant[online].sum()) / total,
        hybrid_share=float(by_merchant[mode == VirtualMode.HYBRID.value].sum()) / total,
        largest_zones={zones[z]: float(routed[z]) / total for z in order},
    )


def _totals(plan: Plan) -> tuple[F64, F64, int]:
    """Intensity by [merchant, bucket] and by series, and the number of rows that are exactly zero."""
    buckets, series = plan.spec.horizon.buckets, plan.series
    by_merchant, by_series, zeros = np.zeros((len(plan.merchants), buckets)), np.zeros(len(series)), 0
    step = max(1, ROW_GROUP_ROWS // buckets)
    for start in range(0, len(series), step):
        stop = min(start + step, len(series))
        intensity = plan.surface.slab(start, stop, "baseline_v1")[0].astype(np.float64)
        np.add.at(by_merchant, series.merchant[start:stop], intensity)
        by_series[start:stop] = intensity.sum(axis=1)
        zeros += int((intensity == 0).sum())
    return by_merchant, by_series, zeros


def _zone_share(plan: Plan, zones: list[str], day: int) -> F64:
    """Group weights of one day as [merchant, zone]."""
    groups = plan.group_weights
    share = np.zeros((len(plan.merchants), len(zones)))
    share[groups.merchant, np.searchsorted(zones, groups.tzid)] = groups.p_group[:, day]
    return share


def _edge_share(plan: Plan, zones: list[str]) -> F64:
    """Edge weights as [merchant, zone]."""
    share = np.zeros((len(plan.merchants), len(zones)))
    zone = np.searchsorted(zones, np.array(plan.cells.tzid)[plan.edges.cell])
    np.add.at(share, (plan.edges.merchant, zone), plan.edges.weight)
    return share


def _row_zone_totals(plan: Plan, zones: list[str], by_series: F64, online: Flags, edge_share: F64) -> F64:
    at_edge = online[plan.series.merchant]
    zone = np.searchsorted(zones, np.array(plan.cells.tzid)[plan.series.cell])
    physical = np.bincount(zone, weights=np.where(at_edge, 0.0, by_series), minlength=len(zones))
    served = np.bincount(plan.series.merchant, weights=np.where(at_edge, by_series, 0.0))
    totals: F64 = physical + edge_share.T @ served
    return totals


def _wrong_share(plan: Plan, zones: list[str]) -> F64:
    """Part of each bucket, [zone, bucket], in which the cache's offset is not the database's, by the minute."""
    horizon = plan.spec.horizon
    minutes = np.arange(horizon.start_second, horizon.end_second, 60)
    cached = tz_cache.compile_zones(zones, plan.spec.upstream.s2A.last_transition_year)
    wrong = np.zeros((len(zones), horizon.buckets))
    for z, name in enumerate(zones):
        steps = cached.zone(name)
        assert steps is not None
        cache, database = (
            offset[np.searchsorted(seconds, minutes, side="right") - 1] for seconds, offset in (steps, read_zone(name))
        )
        wrong[z] = (cache != database).reshape(horizon.buckets, -1).mean(axis=1)
    return wrong


def _top(totals: F64) -> float:
    return float(np.sort(totals)[-LARGEST_ZONES:].sum() / totals.sum())


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
