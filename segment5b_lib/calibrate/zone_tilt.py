"""The zone mix of least distortion that brings the ten largest zones down to a target share.

Minimise Σ_g W_g KL(p'_g ‖ p_g) over the owners' zone shares, subject to (sum of the ten largest zones) ≤ τ. The
sum of the ten largest is max Σ s_z T_z over 0 ≤ s_z ≤ 1, Σ s_z = 10, so with multiplier η and u = η·s the dual is

    max  g(u) = −Σ_g W_g log Σ_z p_gz exp(−u_z) + Σ_z u_z F_z − τ Σ_z u_z / 10     over 0 ≤ u_z ≤ Σ u / 10,

concave and smooth, and its optimum is p' ∝ p·exp(−η·s_z): the policy's own shape. W_g are physical arrivals: a
hybrid merchant's online part is out of a tilt's reach and does not count as moved. Zones that tie at the tenth
place get fractional scores. Solved by a log barrier with Newton steps (Boyd and Vandenberghe, Convex
Optimization, 11.3), on whose central path every point is feasible and the gap is 2 · zones / t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy
from numpy.typing import NDArray

from segment5b_lib.arrays import F64
from segment5b_lib.calibrate.floor import Floor, floor_of
from segment5b_lib.calibrate.mix import Mix, largest
from segment5b_lib.contract.policies import ZoneTilt
from segment5b_lib.errors import GateRefusal
from segment5b_lib.model.statistics import TOP_ZONES

GAP: Final = 1e-6
"""Largest duality gap of a solution, in nats per arrival."""
_BARRIER_GAP: Final = 1e-8
_GROWTH: Final = 20.0
_NEWTON_STEPS: Final = 100
_DECREMENT: Final = 1e-7
_SNAP: Final = 1e-6
"""Scores this near to 0 or 1 are 0 or 1: the barrier never quite gets there."""
_DIGITS: Final = 12
_STRONGEST: Final = 100.0
"""Largest η: a zone whose weight falls to exp(−100) has been closed, not tilted."""


@dataclass(frozen=True)
class Solution:
    """A solved tilt with its certificate, computed from the very numbers that are stored.

    `share` is the ten largest zones' share under the tilt, `distortion` the primal and `bound` the dual value,
    nats per arrival; `gap` is their difference, `excess` by how much `share` is above the target.
    """

    tilt: ZoneTilt
    target: float
    share: float
    distortion: float
    bound: float

    @property
    def gap(self) -> float:
        """Duality gap, nats per arrival."""
        return abs(self.distortion - self.bound)

    @property
    def excess(self) -> float:
        """How far the share lies above the target."""
        return max(self.share - self.target, 0.0)

    def document(self) -> dict[str, Any]:
        """The certificate as a JSON-ready mapping; fractional scores name the zones that tie at the edge."""
        scores = self.tilt.scores
        return {
            "target": self.target,
            "share": self.share,
            "eta": self.tilt.eta,
            "distortion_nats_per_arrival": self.distortion,
            "dual_bound": self.bound,
            "duality_gap": self.gap,
            "zones_at_full_score": sorted(zone for zone, score in scores.items() if score == 1.0),
            "zones_at_the_edge": {zone: score for zone, score in sorted(scores.items()) if 0.0 < score < 1.0},
        }


def solve_tilt(mix: Mix, target: float, zones: Sequence[str]) -> Solution:
    """The least distorting tilt; none where the target already holds.

    Raises
    ------
    GateRefusal : ``5B.CALIBRATE.TARGET_UNREACHABLE`` where no allocation inside the owners' own zones reaches the
        target (`floor.floor_of` proves it), or one does but only with a tilt beyond `_STRONGEST`
    """
    if largest(mix.zones(mix.mass)) <= target:
        return _certified(mix, target, np.zeros(len(zones)), 0.0, zones)
    floor = floor_of(mix, mix, zones)
    if floor.bound >= target:
        raise _unreachable(target, floor)
    used = np.flatnonzero(mix.zones(mix.mass) > 0)
    u = np.zeros(len(zones))
    u[used] = _central_path(_restricted(mix, used), target)
    eta = float(u.sum() / TOP_ZONES)
    if eta > _STRONGEST:
        raise _unreachable(target, floor)
    solution = _certified(mix, target, _snapped(u / eta), eta, zones)
    assert max(solution.gap, solution.excess) <= GAP, solution
    return solution


def certificate(mix: Mix, tilt: ZoneTilt, zones: Sequence[str]) -> Solution:
    """A stored tilt as a solution for the share that it reaches: its gap says whether less would have done."""
    scores = np.array([tilt.scores.get(zone, 0.0) for zone in zones])
    mass, _ = mix.tilted(tilt.eta * scores)
    return _certified(mix, largest(mix.zones(mass)), scores, tilt.eta, zones)


def _restricted(mix: Mix, used: NDArray[np.intp]) -> Mix:
    position = np.zeros(len(mix.fixed), np.int64)
    position[used] = np.arange(len(used))
    return Mix(mix.owner, position[mix.zone], mix.mass, mix.fixed[used])


def _central_path(mix: Mix, target: float) -> F64:
    """u on the central path where the gap is `_BARRIER_GAP`."""
    size = len(mix.fixed)
    u, sharpness = np.full(size, 1e-3), float(size)
    while 2 * size / sharpness > _BARRIER_GAP:
        u = _centre(mix, target, u, sharpness)
        sharpness *= _GROWTH
    return u


def _centre(mix: Mix, target: float, u: F64, sharpness: float) -> F64:
    """Newton's method with backtracking on −sharpness·g(u) − Σ log u − Σ log(Σu/10 − u)."""
    for _ in range(_NEWTON_STEPS):
        gradient, hessian = _derivatives(mix, target, u, sharpness)
        step = -np.linalg.solve(hessian, gradient)
        decrement = float(-gradient @ step)
        if decrement / 2 <= _DECREMENT:
            break
        size, value = 1.0, _barrier(mix, target, u, sharpness)
        while _barrier(mix, target, u + size * step, sharpness) > value - 1e-2 * size * decrement:
            size /= 2
            if size < 1e-12:  # what is left is rounding
                return u
        u = u + size * step
    return u


def _barrier(mix: Mix, target: float, u: F64, sharpness: float) -> float:
    gap = u.sum() / TOP_ZONES - u
    if min(u.min(), gap.min()) <= 0:
        return float(np.inf)
    return float(-sharpness * _dual(mix, target, u) - np.log(u).sum() - np.log(gap).sum())


def _dual(mix: Mix, target: float, u: F64) -> float:
    _, log_sums = mix.tilted(u)
    return float(-(mix.weight @ log_sums) + u @ mix.fixed - target * u.sum() / TOP_ZONES)


def _derivatives(mix: Mix, target: float, u: F64, sharpness: float) -> tuple[F64, F64]:
    (mass, _), gap = mix.tilted(u), u.sum() / TOP_ZONES - u
    physical = np.bincount(mix.zone, mass, minlength=len(u))
    gradient = sharpness * (target / TOP_ZONES - physical - mix.fixed) - 1 / u + 1 / gap - (1 / gap).sum() / TOP_ZONES
    shape = int(mix.owner[-1]) + 1, len(u)
    spread = scipy.sparse.csr_array((mass / np.sqrt(mix.weight)[mix.owner], (mix.owner, mix.zone)), shape=shape)
    curvature = np.diag(physical) - (spread.T @ spread).toarray()
    bounds = np.full((len(u), len(u)), 1.0 / TOP_ZONES) - np.eye(len(u))
    hessian = sharpness * curvature + np.diag(1 / u**2) + bounds.T @ (bounds / gap[:, None] ** 2)
    return gradient, hessian


def _snapped(scores: F64) -> F64:
    """Scores without the barrier's dust; what that moves is shared by the fractional ones, so that Σ is 10."""
    kept = scores.copy()
    kept[scores < _SNAP] = 0.0
    kept[scores > 1 - _SNAP] = 1.0
    between = (kept > 0) & (kept < 1)
    if between.any():
        kept[between] += (TOP_ZONES - kept.sum()) / between.sum()
    return kept.round(_DIGITS)


def _certified(mix: Mix, target: float, scores: F64, eta: float, zones: Sequence[str]) -> Solution:
    """The solution as the policy will hold it, with the figures that follow from exactly that."""
    eta = float(f"{eta:.{_DIGITS}g}")
    u = eta * scores
    mass, _ = mix.tilted(u)
    kept = {zone: float(score) for zone, score in zip(zones, scores, strict=True) if score > 0}
    tilt = ZoneTilt(mode="exponential_tilt", eta=eta, scores=kept) if eta else ZoneTilt(mode="none", eta=0, scores={})
    return Solution(tilt, target, largest(mix.zones(mass)), mix.distortion(mass), _dual(mix, target, u))


def _unreachable(target: float, floor: Floor) -> GateRefusal:
    return GateRefusal(
        "5B.CALIBRATE.TARGET_UNREACHABLE",
        "no tilt of the merchants' zones brings the ten largest zones down to the target",
        expected=f"a share of at most {target:.4f}",
        found=f"{floor.as_it_is:.4f} as it is; at least {floor.bound:.4f} however it is allocated",
        next_step="segment5b calibrate names the segment to reopen",
    )
