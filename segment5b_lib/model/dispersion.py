"""The dispersion κ of the count law: a count of mean μ has variance μ + μ²/κ."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from segment5b_lib.contract.policies import CountConfig
from segment5b_lib.model.latent_law import scaled


def dispersion(demand_classes: pl.Series, band: str, policy: CountConfig) -> NDArray[np.float64]:
    """κ of every series, ndarray(float64, ndim=1): clamp(base[band] · class, min, max)."""
    return np.array([scaled(policy.kappa, band, name) for name in demand_classes], np.float64)
