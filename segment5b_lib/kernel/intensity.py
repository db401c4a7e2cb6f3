"""Realised intensity: λ_realised = min(λ · factor of the series' group · zone tilt of the series, cap)."""

from __future__ import annotations

import numpy as np

from segment5b_lib.arrays import F32, F64, I64
from segment5b_lib.kernel._check import check_array, check_range, read_only
from segment5b_lib.kernel._jit import lean_jit


@lean_jit
def _realise(baseline: F32, factor: F64, group: I64, tilt: F64, cap: float, component: F32, realised: F64) -> int:
    capped = 0
    for s in range(group.size):
        of_group = factor[group[s]]
        for bucket in range(of_group.size):
            wanted = baseline[s, bucket] * of_group[bucket] * tilt[s]
            capped += wanted > cap
            component[s, bucket] = of_group[bucket]
            realised[s, bucket] = cap if wanted > cap else wanted
    return capped


@lean_jit
def _first_invalid(baseline: F32, realised: F64) -> int:
    for row in range(realised.size):
        if not 0.0 <= realised[row] < np.inf or (baseline[row] == 0.0 and realised[row] != 0.0):
            return row
    return -1


def realise(baseline: F32, factor: F64, group: I64, tilt: F64, cap: float) -> tuple[F32, F64, int]:
    """The factor of each row, float32 [series, bucket]; λ_realised, float64 [series, bucket]; how many were capped.

    ``baseline`` float32 [series, bucket] in arrivals per bucket; ``factor`` float64 [group, bucket]; ``group`` int64
    and ``tilt`` float64 by series. NaN stays NaN. Raises InputError. In one pass, because fresh memory for what lies
    between costs more than the products.
    """
    check_array("baseline", baseline, np.float32, (None, None))
    check_array("factor", factor, np.float64, (None, baseline.shape[1]))
    check_array("group", group, np.int64, baseline.shape[:1])
    check_array("tilt", tilt, np.float64, group.shape)
    check_range("group", group, 0, len(factor) - 1)
    read_only(baseline, factor, group, tilt)
    component, realised = np.empty(baseline.shape, np.float32), np.empty(baseline.shape)
    return component, realised, _realise(baseline, factor, group, tilt, cap, component, realised)


def first_invalid(baseline: F32, realised: F64) -> int:
    """The first row, bucket by bucket and series by series, whose λ_realised is negative, not finite, or positive
    where ``baseline`` is zero; −1 where there is none. Both [series, bucket], as in `realise`.
    """
    check_array("baseline", baseline, np.float32, (None, None))
    check_array("realised", realised, np.float64, baseline.shape)
    read_only(baseline, realised)
    return _first_invalid(baseline.reshape(-1), realised.reshape(-1))
