"""Columns that several datasets share: names behind indices, and the keys of sites and series."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from segment5b_lib.world.plan import Plan
from segment5b_lib.world.sharing import Ints


def named(names: Sequence[str], index: Ints) -> pa.Array:
    """Text column from names and indices."""
    return pa.array(names, pa.string()).take(pa.array(index))


def site_key(plan: Plan) -> dict[str, object]:
    """Key columns of datasets with one row per site."""
    series, sites = plan.series, plan.sites
    return {
        "merchant_id": plan.merchants.ids[series.merchant[sites.series]],
        "legal_country_iso": named(plan.cells.country, series.cell[sites.series]),
        "site_order": sites.order,
    }


def zone_key(plan: Plan) -> dict[str, object]:
    """Key columns of datasets with one row per series."""
    series = plan.series
    return {
        "merchant_id": plan.merchants.ids[series.merchant],
        "legal_country_iso": named(plan.cells.country, series.cell),
        "tzid": named(plan.cells.tzid, series.cell),
    }
