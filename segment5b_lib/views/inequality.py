"""How unevenly arrivals are shared: Lorenz curves, Gini indices, top-k curves, the largest merchants and zones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.t06_concentration import ranked_shares
from segment5b_lib.model.statistics import top_share

_CURVE_POINTS: Final = 201
_PLACES: Final = {"sites": "site_id", "edges": "edge_id"}


def arrivals_by(evidence: Evidence, kind: str) -> pl.Series:
    """Arrivals of every site, edge, merchant or zone that has any, largest first; `kind` in the plural."""
    if kind == "zones":
        totals = evidence.census.drop_nulls("tzid").group_by("tzid").agg(pl.col("arrivals").sum())
    else:
        column = _PLACES.get(kind, "merchant_id")
        totals = evidence.places.drop_nulls(column).group_by(column).agg(pl.col("arrivals").sum())
    return totals["arrivals"].sort(descending=True)


def gini(arrivals: pl.Series) -> float | None:
    """Gini index of a set of amounts ≥ 0: 0 if all are equal, (n − 1)/n if one has everything.

    Σ_i (2i − n − 1) x_i / (n Σ x), x ascending and i from 1; None for a total of 0.
    """
    amounts = arrivals.sort().to_numpy().astype(np.float64)
    n, total = len(amounts), float(amounts.sum())
    if total == 0:
        return None
    return float(((2 * np.arange(1, n + 1) - n - 1) * amounts).sum() / (n * total))


def lorenz(evidence: Evidence) -> pl.DataFrame:
    """Lorenz curves of sites and edges with arrivals.

    Returns `kind` (sites or edges), `places_share` and `arrivals_share` (fraction of the places, smallest first, and
    their fraction of the kind's arrivals; both rise from 0 to 1), `gini`. At most 201 points per curve.

    Example: `views.lorenz(evidence)`
    """
    curves = [
        _lorenz(kind, arrivals) for kind in _PLACES if len(arrivals := arrivals_by(evidence, kind)) and arrivals.sum()
    ]
    schema = {"kind": pl.String, "places_share": pl.Float64, "arrivals_share": pl.Float64, "gini": pl.Float64}
    return pl.concat([pl.DataFrame(schema=schema), *curves])


def _lorenz(kind: str, arrivals: pl.Series) -> pl.DataFrame:
    amounts = arrivals.sort().to_numpy().astype(np.float64)
    cumulative_share = np.concatenate([[0.0], np.cumsum(amounts)]) / amounts.sum()
    index = np.unique(np.rint(np.linspace(0, len(amounts), _CURVE_POINTS)).astype(np.int64))
    columns = {"places_share": index / len(amounts), "arrivals_share": cumulative_share[index]}
    return pl.DataFrame(columns).select(pl.lit(kind).alias("kind"), pl.all(), pl.lit(gini(arrivals)).alias("gini"))


def top_k_curves(evidence: Evidence, kinds: Sequence[str] = ("sites", "edges", "merchants", "zones")) -> pl.DataFrame:
    """Share of the k largest; of physical arrivals for sites, of virtual arrivals for edges.

    Returns `kind`, `k` (1..n, about 200 values, evenly spaced on a logarithmic scale), `k_share` (k/n), `share`.

    Example: `views.top_k_curves(evidence, ["zones"])`
    """
    curves = []
    for kind in kinds:
        amounts = arrivals_by(evidence, kind).to_numpy().astype(np.float64)
        if amounts.sum() > 0:
            k = np.unique(np.rint(np.geomspace(1, len(amounts), _CURVE_POINTS)).astype(np.int64))
            shares = np.cumsum(amounts)[k - 1] / amounts.sum()
            curves.append(pl.DataFrame({"kind": [kind] * len(k), "k": k, "k_share": k / len(amounts), "share": shares}))
    schema = {"kind": pl.String, "k": pl.Int64, "k_share": pl.Float64, "share": pl.Float64}
    return pl.concat([pl.DataFrame(schema=schema), *curves])


def share_of_top(arrivals: pl.Series, part: float) -> float | None:
    """Share of the largest `part` (0..1) of them, rounded up: of 886 merchants the top 1 % are 9."""
    return top_share(arrivals, math.ceil(part * len(arrivals)))


_QUANTILES: Final = {"median": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
_TOPS: Final = {"top 1 %": 0.01, "top 5 %": 0.05}


def merchant_tail(evidence: Evidence) -> pl.DataFrame:
    """Arrivals per merchant: quantiles (linear interpolation), and the shares of the largest.

    Returns `statistic` (median, p90, p99, max, top 1 %, top 5 %), `value`, `unit` (arrivals, or share: a fraction
    of all arrivals).

    Example: `views.merchant_tail(evidence)`
    """
    arrivals = arrivals_by(evidence, "merchants")
    rows = [(name, arrivals.quantile(q, interpolation="linear"), "arrivals") for name, q in _QUANTILES.items()]
    rows += [(name, share_of_top(arrivals, part), "share") for name, part in _TOPS.items()]
    return pl.DataFrame(rows, schema={"statistic": pl.String, "value": pl.Float64, "unit": pl.String}, orient="row")


def row_zone_shares(evidence: Evidence) -> pl.DataFrame:
    """Zone shares (see `zone_shares`) under the binding `row_zone`, for a run of any binding.

    Physical arrivals count in the zone of their row, virtual arrivals in the zone of their edge. Returns
    `tzid`, `rank`, `arrivals`, `share`, `cumulative`, largest first.

    Example: `views.row_zone_shares(evidence)`
    """
    virtual = evidence.census.filter("is_virtual").group_by("tzid").agg(pl.col("arrivals").sum())
    return ranked_shares(pl.concat([evidence.row_zones, virtual]))
