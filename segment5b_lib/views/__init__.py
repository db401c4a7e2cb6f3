"""Views: small frames that describe a run; what charts draw and pages tabulate.

No view scans arrivals itself: all of them follow from `gates.evidence.Evidence`, whose census is one pass.
"""

from segment5b_lib.gates.t06_concentration import zone_shares
from segment5b_lib.views.civil_time import (
    days_since_transition,
    mismatch_by_date_and_zone,
    offset_distribution,
)
from segment5b_lib.views.conservation import conservation
from segment5b_lib.views.gateboard import gate_matrix
from segment5b_lib.views.horizon import cache_shortfalls
from segment5b_lib.views.listing import listing
from segment5b_lib.views.rhythm import hour_matrix, hour_profile, weekend_share
from segment5b_lib.views.timing import state_elapsed

__all__ = [
    "cache_shortfalls",
    "conservation",
    "days_since_transition",
    "gate_matrix",
    "hour_matrix",
    "hour_profile",
    "listing",
    "mismatch_by_date_and_zone",
    "offset_distribution",
    "state_elapsed",
    "weekend_share",
    "zone_shares",
]
