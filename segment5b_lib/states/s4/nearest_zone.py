"""The merchant's zone that is nearest to a zone in which it has no site."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

_AXES: Final = ("x", "y", "z")
Directions = NDArray[np.float64]


def nearest_zones(wanted: pl.DataFrame, sites: pl.DataFrame, routable: pl.DataFrame) -> pl.Series:
    """For each wanted (merchant_id, tzid), the tzid among the merchant's own zones that is nearest, or null.

    Distance is the great circle between two centroids: of all sites in the wanted zone, whoever's they are
    (`sites`), and of the merchant's own sites in a candidate zone (`routable`). The zone itself is nearest
    where the merchant has a site in it (in another country); among equals the first name is. Null where the
    merchant has no site at all, or nobody has one in the wanted zone.
    """
    of_zone = _centroids(sites, ["tzid"])
    own = _centroids(routable, ["merchant_id", "tzid"])
    chosen: list[str | None] = []
    for merchant, tzid in wanted.select("merchant_id", "tzid").iter_rows():
        candidates = own.filter(pl.col("merchant_id") == merchant)
        target = of_zone.filter(pl.col("tzid") == tzid)
        if tzid in candidates["tzid"]:
            chosen.append(tzid)
        elif candidates.height and target.height:
            cosine = _directions(candidates) @ _directions(target)[0]
            chosen.append(candidates["tzid"][int(np.argmax(cosine))])
        else:
            chosen.append(None)
    return pl.Series(chosen, dtype=pl.String)


def _centroids(sites: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Mean of the sites' unit vectors per key, scaled to length 1, in key order."""
    ordered = sites.sort([*by, "lat_deg", "lon_deg"])
    starts = np.flatnonzero(ordered.select(pl.struct(by).rle_id()).to_series().diff().fill_null(1).to_numpy())
    lat, lon = np.radians(ordered["lat_deg"].to_numpy()), np.radians(ordered["lon_deg"].to_numpy())
    vectors = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    sums = np.add.reduceat(vectors, starts) if len(starts) else vectors
    unit = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return ordered.select(by)[starts].with_columns(*(pl.Series(name, unit[:, axis]) for axis, name in enumerate(_AXES)))


def _directions(centroids: pl.DataFrame) -> Directions:
    return centroids.select(_AXES).to_numpy()
