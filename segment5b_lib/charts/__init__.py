"""Charts: a frame in, an Altair chart out. Frames are aggregated before; see `segment5b_lib.views`.

`enable()` once per notebook makes them draw offline; `png(chart)` gives the picture alone.
"""

from segment5b_lib.charts.civil_time import days_since_transition, mismatch_heatmap, offset_distribution
from segment5b_lib.charts.concentration import largest_zones, top_k_curve
from segment5b_lib.charts.conservation import conservation
from segment5b_lib.charts.gateboard import gate_matrix
from segment5b_lib.charts.renderer import MAX_ROWS, Chart, enable, png, spec
from segment5b_lib.charts.rhythm import hour_matrix, hour_profile, weekend_share
from segment5b_lib.charts.timing import state_elapsed

__all__ = [
    "MAX_ROWS",
    "Chart",
    "conservation",
    "days_since_transition",
    "enable",
    "gate_matrix",
    "hour_matrix",
    "hour_profile",
    "largest_zones",
    "mismatch_heatmap",
    "offset_distribution",
    "png",
    "spec",
    "state_elapsed",
    "top_k_curve",
    "weekend_share",
]
