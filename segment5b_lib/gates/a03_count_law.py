"""A3: S3's counts follow the law that the policy names, NB2(μ, κ) or Poisson(μ), and not one that resembles it.

Value: p-value of the Kolmogorov-Smirnov test that the randomised probability integral transforms
u = F(N − 1) + v·(F(N) − F(N − 1)), v uniform, are uniform; F by scipy. Population: a seeded sample of at most
`sampled_rows` of S3's rows with μ above `lambda_zero_eps` (Smith, J. Forecasting 4, 1985; Brockwell, 2007).

Thresholds: validation_policy_5B.yaml, gates.A3.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import polars as pl
import scipy

from segment5b_lib.arrays import F64, I64
from segment5b_lib.contract.verdicts import Measurement, without_power
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import COUNTS, Gate, Group

_QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)


def measure(evidence: Evidence) -> Measurement:
    rows = pl.concat([counts.sample for counts in evidence.counts.values()])
    needed, law = evidence.policy.audit.min_rows, evidence.run.policies.count.law
    if rows.height < needed:
        return without_power(None, rows.height, "sampled rows", {"law": law}, f"{needed:,} rows with mu above eps")
    u = np.sort(_transforms(rows, law))
    distance = ks_distance(u)
    detail = {
        "law": law,
        "distance": distance,
        "quantiles": {str(q): float(np.quantile(u, q)) for q in _QUANTILES},
        "mean_mu": float(rows.select(pl.col("mu").mean()).item()),
    }
    return Measurement(float(scipy.special.kolmogorov(math.sqrt(u.size) * distance)), u.size, "sampled rows", detail)


def _transforms(rows: pl.DataFrame, law: str) -> F64:
    count, mu, kappa, v = (rows[name].to_numpy() for name in ("drawn", "mu", "kappa", "uniform"))
    below, upto = (probability_up_to(k, mu, kappa, law) for k in (count - 1, count))
    return np.asarray(below + v * (upto - below))


def probability_up_to(k: I64, mu: F64, kappa: F64, law: str) -> F64:
    """P(N ≤ k), k ≥ −1: what `scipy.stats` gives, whose import would take every command and kernel a second."""
    n = np.maximum(k, 0)
    value = scipy.special.betainc(kappa, n + 1.0, kappa / (kappa + mu)) if law == "nb2" else scipy.special.pdtr(n, mu)
    return np.asarray(np.where(k < 0, 0.0, value))


def ks_distance(ascending: F64) -> float:
    steps = np.arange(ascending.size + 1) / ascending.size
    return float(max((steps[1:] - ascending).max(), (ascending - steps[:-1]).max()))


GATES: Final = (
    Gate(
        gate_id="A3",
        title="Count law",
        unit="p",
        formula="KS of the randomised PIT of sampled counts against the policy's law",
        evidence=(COUNTS,),
        owner="S3",
        group=Group.AUDIT,
        measure=measure,
        power="fewer than min_rows rows with mu above lambda_zero_eps",
    ),
)
