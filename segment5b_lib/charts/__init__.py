"""Charts: a frame in, an Altair chart out. Frames are aggregated before; see `segment5b_lib.views`.

Importing this package makes Altair draw offline, which its own renderers do not (`enable()` switches back from another
renderer); `png(chart)` returns the picture only.
"""

from segment5b_lib.charts.civil_time import (
    days_since_transition,
    dst_windows,
    mismatch_heatmap,
    offset_distribution,
    offset_heatmap,
)
from segment5b_lib.charts.concentration import largest_zones, top_k_curve
from segment5b_lib.charts.counts import component_multiplicity, conservation, group_sizes, merchant_intensity, residuals
from segment5b_lib.charts.gateboard import gate_matrix, phase_board, seed_dots, t6_t7_plane
from segment5b_lib.charts.inequality import lorenz, top_k_curves
from segment5b_lib.charts.renderer import MAX_ROWS, Chart, enable, png, spec
from segment5b_lib.charts.rhythm import hour_matrix, hour_profile, weekend_share
from segment5b_lib.charts.timing import before_after, lanes_before_after, overhead_pairs, state_elapsed
from segment5b_lib.charts.zone_clock import offset_timeline, t1_by_cache_year

__all__ = [
    "MAX_ROWS",
    "Chart",
    "before_after",
    "component_multiplicity",
    "conservation",
    "days_since_transition",
    "dst_windows",
    "enable",
    "gate_matrix",
    "group_sizes",
    "hour_matrix",
    "hour_profile",
    "lanes_before_after",
    "largest_zones",
    "lorenz",
    "merchant_intensity",
    "mismatch_heatmap",
    "offset_distribution",
    "offset_heatmap",
    "offset_timeline",
    "overhead_pairs",
    "phase_board",
    "png",
    "residuals",
    "seed_dots",
    "spec",
    "state_elapsed",
    "t1_by_cache_year",
    "t6_t7_plane",
    "top_k_curve",
    "top_k_curves",
    "weekend_share",
]

enable()
