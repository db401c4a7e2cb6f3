"""Alias tables (Walker 1977, Vose 1991) on an integer grid: exact, deterministic, O(1) per pick.

Weights become integer masses that sum to 2^24. With n entries each row of the table holds 2^24 units of
mass·n: its own share, and the rest for one donor. All arithmetic is on integers, so a table decodes to its
masses exactly. A share is stored as prob_q / 2^32, prob_q = clamp(share · 2^8, 1, 2^32 − 1), which does not
encode 0 and 1. On this grid every other prob_q is a multiple of 2^8, so the two ends cannot be mistaken:
2^32 − 1 stands for a full row, which aliases to itself, and 1 for an empty row, which ``pick`` never returns.
"""

from __future__ import annotations

import numpy as np

from segment5b_lib.arrays import F64, I32, I64, U32
from segment5b_lib.errors import InputError
from segment5b_lib.kernel._check import check_array, check_range
from segment5b_lib.kernel._jit import jit

GRID_BITS = 24
GRID = 1 << GRID_BITS
FULL = (1 << 32) - 1
EMPTY = 1


@jit
def pick(u: float, share: F64, choice: I32, start: int, n: int) -> int:
    """What the uniform ``u`` draws from the slice of ``n`` rows that begins at ``start``; see ``picking``.

    k = ⌊u·n⌋, v = u·n − k; row k's own value if v < share[k], else its other one.
    """
    scaled = u * n
    k = min(int(scaled), n - 1)
    # The comparison is an index and not a branch: half of all coin flips are predicted wrongly, at some 20 cycles.
    row = np.uintp(start + k)
    own = np.uintp(scaled - k < share[row])
    return int(choice[np.uintp(2) * row + own])


@jit
def _quantise(weights: F64, masses: I64) -> bool:
    """Fill ``masses``; false, and nothing filled, where the total is not positive and finite."""
    total = weights.sum()
    if not 0.0 < total < np.inf:
        return False
    exact = weights / total * GRID
    residual = GRID
    for i in range(weights.size):
        masses[i] = int(np.rint(exact[i]))
        residual -= masses[i]
    if residual != 0:
        step = 1 if residual > 0 else -1
        ranked = np.argsort(-step * (exact - masses), kind="mergesort")
        for i in ranked[: abs(residual)]:
            masses[i] += step
    return True


@jit
def _fill(masses: I64, prob_q: U32, alias: U32) -> None:
    n = masses.size
    units = masses * n
    small, large = np.empty(n, np.int64), np.empty(n, np.int64)
    small_end, large_end = 0, 0
    for i in range(n):
        prob_q[i], alias[i] = FULL, i
        if units[i] < GRID:
            small[small_end] = i
            small_end += 1
        else:
            large[large_end] = i
            large_end += 1
    donor_at = 0
    receiver_at = 0
    while receiver_at < small_end:
        receiver, donor = small[receiver_at], large[donor_at]
        receiver_at += 1
        prob_q[receiver], alias[receiver] = max(units[receiver] << (32 - GRID_BITS), EMPTY), donor
        units[donor] -= GRID - units[receiver]
        if units[donor] < GRID:
            donor_at += 1
            small[small_end] = donor
            small_end += 1


@jit
def _build_slices(weights: F64, starts: I64, prob_q: U32, alias: U32) -> int:
    """Build every slice; return the first that has no positive finite total, or −1."""
    for i in range(starts.size - 1):
        rows = slice(starts[i], starts[i + 1])
        masses = np.empty(starts[i + 1] - starts[i], np.int64)
        if not _quantise(weights[rows], masses):
            return i
        _fill(masses, prob_q[rows], alias[rows])
    return -1


def quantise(weights: F64) -> I64:
    """Masses ``ndarray(int64, ndim=1)`` ≥ 0 that sum to 2^24, in proportion to ``weights``.

    Each is rounded half to even; the residual is handed out as ±1 by largest remainder, the lower index first
    among equals. A weight of 0 has mass 0, and so has a weight below about 2^−25 of the total. Raises
    InputError for a weight that is negative or not finite, and for a total that is not positive and finite.
    """
    _check_slices(weights, _one_slice(weights))
    masses = np.empty(weights.size, dtype=np.int64)
    if not _quantise(weights, masses):
        _refuse_total(0)
    return masses


def build_alias(weights: F64) -> tuple[U32, U32]:
    """Alias table (prob_q, alias), two ``ndarray(uint32, ndim=1)`` of the weights' length; see ``quantise``.

    Worklists are first in, first out, filled in ascending order; a donor that falls below a full row joins
    the receivers.
    """
    return build_alias_slices(weights, _one_slice(weights))


def build_alias_slices(weights: F64, starts: I64) -> tuple[U32, U32]:
    """Alias tables of many slices [starts[i], starts[i+1]) of ``weights``, flat, alias local to its slice.

    ``starts`` is int64, begins at 0, ends at the weights' length; no slice is empty. Raises InputError as
    ``quantise`` does, naming the slice.
    """
    _check_slices(weights, starts)
    prob_q, alias = np.empty(weights.size, np.uint32), np.empty(weights.size, np.uint32)
    refused = _build_slices(weights, starts, prob_q, alias)
    if refused >= 0:
        _refuse_total(refused)
    return prob_q, alias


def picking(prob_q: U32, alias: U32, starts: I64, values: I32) -> tuple[F64, I32]:
    """Alias tables in the form that ``pick`` reads: what is drawn instead of where it stands.

    Slices [starts[i], starts[i+1]) as in ``build_alias_slices``, some of them possibly empty; ``values`` int32 are
    what the rows stand for. Returns ``share`` ndarray(float64, ndim=1), the chance of a row's own value once the
    row is hit, and ``choice`` ndarray(int32, ndim=1), twice as long: the other value and the own one of each row.
    """
    for name, array, kind in (("prob_q", prob_q, np.uint32), ("alias", alias, np.uint32), ("values", values, np.int32)):
        check_array(name, array, kind, prob_q.shape)
    first = np.repeat(starts[:-1], np.diff(starts))
    choice = np.empty(2 * values.size, np.int32)
    choice[0::2], choice[1::2] = values[first + alias], values
    return np.where(prob_q > EMPTY, prob_q * 2.0**-32, 0.0), choice


def _one_slice(weights: F64) -> I64:
    return np.array([0, np.size(weights)], dtype=np.int64)


def _check_slices(weights: F64, starts: I64) -> None:
    check_array("weights", weights, np.float64, (None,))
    check_range("weights", weights, 0.0, np.finfo(np.float64).max)
    check_array("starts", starts, np.int64, (None,))
    lengths = np.diff(starts)
    cut = starts.size >= 2 and starts[0] == 0 and starts[-1] == weights.size
    if not (cut and lengths.min() >= 1 and lengths.max() <= GRID):
        raise InputError(
            "5B.KERNEL.ALIAS_SLICES",
            "slices do not cut the weights into tables",
            expected=f"ascending from 0 to {weights.size}, each of 1 to {GRID} rows",
            found=f"{starts.size} starts: {starts[:8]}",
        )


def _refuse_total(index: int) -> None:
    raise InputError(
        "5B.KERNEL.ALIAS_NO_WEIGHT",
        "an alias table needs a positive, finite total weight",
        where=f"slice {index}",
        next_step="leave out entities that have no weight at all before building their table",
    )
