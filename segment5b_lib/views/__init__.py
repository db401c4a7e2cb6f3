"""Views: small frames that describe a run, for charts and tables.

No view scans arrivals itself: all of them are derived from `run.evidence`, whose census is one pass.
"""

from segment5b_lib.gates.t06_concentration import zone_shares
from segment5b_lib.views.cache_what_if import t1_by_cache_year
from segment5b_lib.views.civil_time import (
    days_since_transition,
    dst_windows,
    mismatch_by_date_and_zone,
    offset_distribution,
)
from segment5b_lib.views.clock_counts import ClockCounts
from segment5b_lib.views.counts import (
    component_multiplicity,
    conservation,
    group_sizes,
    latent_factor,
    merchant_intensity,
    residuals,
    zero_rate,
)
from segment5b_lib.views.differences import policy_differences, world_differences
from segment5b_lib.views.gateboard import gate_matrix
from segment5b_lib.views.inequality import lorenz, merchant_tail, row_zone_shares, top_k_curves
from segment5b_lib.views.listing import listing
from segment5b_lib.views.rhythm import day_shares, hour_matrix, hour_profile, weekend_share
from segment5b_lib.views.timing import state_elapsed, states
from segment5b_lib.views.tz_databases import cache_shortfalls, tz_databases
from segment5b_lib.views.zone_clock import offset_timeline, wrong_clock_owners

__all__ = [
    "ClockCounts",
    "cache_shortfalls",
    "component_multiplicity",
    "conservation",
    "day_shares",
    "days_since_transition",
    "dst_windows",
    "gate_matrix",
    "group_sizes",
    "hour_matrix",
    "hour_profile",
    "latent_factor",
    "listing",
    "lorenz",
    "merchant_intensity",
    "merchant_tail",
    "mismatch_by_date_and_zone",
    "offset_distribution",
    "offset_timeline",
    "policy_differences",
    "residuals",
    "row_zone_shares",
    "state_elapsed",
    "states",
    "t1_by_cache_year",
    "top_k_curves",
    "tz_databases",
    "weekend_share",
    "world_differences",
    "wrong_clock_owners",
    "zero_rate",
    "zone_shares",
]
