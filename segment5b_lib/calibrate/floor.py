"""The least concentration that any allocation inside the merchants' own zones can have, with its proof.

    min  10θ + Σ_z β_z    over x ≥ 0, β ≥ 0, θ, 0 ≤ t ≤ 1          (the sum of the ten largest zones)
    s.t. F_z(t) + Σ_g x_gz ≤ θ + β_z  for every zone,   Σ_z x_gz = W_g(t)  for every owner

F(t) and W(t), fixed and physical shares, run from one mix to another: from the smallest hybrid share that may be
chosen to the largest, in which both are linear. Any scores 0 ≤ s_z ≤ 1 with Σ s_z ≤ 10 bound the floor from below by

    min over t in {0, 1} of   Σ_z s_z F_z(t) + Σ_g W_g(t) · min of s_z over the owner's own zones,

which needs no solver to check. The solver's multipliers are the best such scores, so that bound and floor agree
where it has done its work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy

from segment5b_lib.arrays import F64
from segment5b_lib.calibrate.mix import Mix, largest
from segment5b_lib.errors import StateError
from segment5b_lib.model.statistics import TOP_ZONES

_TOLERANCE: Final = 1e-7


@dataclass(frozen=True)
class Floor:
    """The smallest share that the ten largest zones can have, and the bound that proves it.

    `scores` are the proof's s_z by zone (zeros left out); `as_it_is` is the share before anything is moved, and
    `locked` the share of the owners all of whose zones are among the ten largest as it is.
    """

    share: float
    bound: float
    as_it_is: float
    locked: float
    scores: dict[str, float]

    def document(self) -> dict[str, object]:
        return {
            "as_it_is": self.as_it_is,
            "floor": self.share,
            "dual_bound": self.bound,
            "gap": self.share - self.bound,
            "locked_in_the_top_ten": self.locked,
            "proof_scores": self.scores,
        }


def floor_of(low: Mix, high: Mix, zones: Sequence[str]) -> Floor:
    """The floor over every allocation and every mix between `low` and `high`, which have the same cells.

    Raises
    ------
    StateError : ``5B.CALIBRATE.FLOOR_UNPROVEN`` where the bound does not meet the solver's optimum
    """
    size, owners, cells = len(low.fixed), len(low.weight), len(low.owner)
    ones, at = np.ones(cells), np.arange(cells)
    into_zone = scipy.sparse.csr_array((ones, (low.zone, at)), shape=(size, cells))
    of_owner = scipy.sparse.csr_array((ones, (low.owner, at)), shape=(owners, cells))
    zone_rows = [into_zone, -np.ones((size, 1)), -scipy.sparse.eye_array(size), (high.fixed - low.fixed)[:, None]]
    owner_rows = [of_owner, scipy.sparse.csr_array((owners, 1 + size)), (low.weight - high.weight)[:, None]]
    optimum = scipy.optimize.linprog(
        c=np.concatenate([np.zeros(cells), [TOP_ZONES], np.ones(size), [0.0]]),
        A_ub=scipy.sparse.hstack(zone_rows, format="csr"),
        b_ub=-low.fixed,
        A_eq=scipy.sparse.hstack(owner_rows, format="csr"),
        b_eq=low.weight,
        bounds=[*[(0, None)] * cells, (None, None), *[(0, None)] * size, (0, 1)],
        method="highs",
    )
    assert optimum.status == 0, optimum.message
    scores = np.clip(-optimum.ineqlin.marginals, 0.0, 1.0)
    scores *= min(1.0, TOP_ZONES / max(scores.sum(), TOP_ZONES))
    bound = min(bound_of(low, scores), bound_of(high, scores))
    if optimum.fun - bound > _TOLERANCE:
        raise StateError(
            "5B.CALIBRATE.FLOOR_UNPROVEN",
            "the linear programme's optimum and its dual bound do not meet",
            expected=f"a gap of at most {_TOLERANCE}",
            found=f"{optimum.fun:.9f} against {bound:.9f}",
            next_step="this is a defect of the library: report it with the run's identity",
        )
    kept = {zone: round(float(score), 12) for zone, score in zip(zones, scores, strict=True) if score > 0}
    inside = np.zeros(size)
    inside[np.argsort(-low.zones(low.mass), kind="stable")[:TOP_ZONES]] = 1.0
    locked = float(low.weight[_least(low, inside) == 1.0].sum())
    return Floor(float(optimum.fun), bound, largest(low.zones(low.mass)), locked, kept)


def bound_of(mix: Mix, scores: F64) -> float:
    """The lower bound that scores prove for one mix."""
    return float(scores @ mix.fixed + mix.weight @ _least(mix, scores))


def _least(mix: Mix, scores: F64) -> F64:
    """Least score among the zones of each owner."""
    least: F64 = np.minimum.reduceat(scores[mix.zone], mix.first)
    return least
