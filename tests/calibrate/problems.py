"""Random concentration problems, and what is true of them by plain arithmetic."""

from __future__ import annotations

import math

import numpy as np

from segment5b_lib.calibrate.mix import Mix

TOP = 10


def random_mix(seed: int, *, owners: int = 5, zones: int = 13, most: int = 6) -> Mix:
    """Owners with arrivals in a few zones each, and some arrivals that nobody can move."""
    rng = np.random.default_rng(seed)
    owner, zone, mass = [], [], []
    for g in range(owners):
        own = np.sort(rng.choice(zones, size=rng.integers(2, most + 1), replace=False))
        owner += [g] * len(own)
        zone += own.tolist()
        mass += rng.gamma(0.7, size=len(own)).tolist()
    fixed = rng.gamma(0.5, size=zones)
    fixed *= 0.08 / fixed.sum()
    return Mix(np.array(owner), np.array(zone), np.array(mass) / sum(mass) * 0.92, fixed)


def zone_totals(mix: Mix, mass) -> list[float]:
    totals = list(mix.fixed)
    for z, x in zip(mix.zone, mass, strict=True):
        totals[z] += x
    return totals


def top(totals) -> float:
    return sum(sorted(totals, reverse=True)[:TOP])


def divergence(mix: Mix, mass) -> float:
    """Σ x·log(x / x₀)."""
    return sum(x * math.log(x / x0) for x, x0 in zip(mass, mix.mass, strict=True) if x > 0)


def tilt_by_hand(mix: Mix, eta: float, score) -> list[float]:
    """p' ∝ p·exp(−η·s), owner by owner."""
    mass = []
    for g in range(int(mix.owner.max()) + 1):
        cells = [i for i in range(len(mix.owner)) if mix.owner[i] == g]
        raised = [mix.mass[i] * math.exp(-eta * score[mix.zone[i]]) for i in cells]
        whole = sum(mix.mass[i] for i in cells)
        mass += [x / sum(raised) * whole for x in raised]
    return mass
