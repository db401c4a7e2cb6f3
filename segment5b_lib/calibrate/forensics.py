"""Who makes the concentration: the ten largest zones, the merchants behind them, and who could not be elsewhere."""

from __future__ import annotations

import numpy as np
import polars as pl

from segment5b_lib.calibrate.demand import ExpectedDemand
from segment5b_lib.calibrate.flows import blocks
from segment5b_lib.calibrate.predictor import Predictor
from segment5b_lib.contract.policies import Policies
from segment5b_lib.model.statistics import TOP_ZONES

_BEHIND_A_ZONE = 3


def merchant_zones(predictor: Predictor, policies: Policies | None = None) -> pl.DataFrame:
    """Expected arrivals of every merchant in every zone: merchant_id, virtual_mode, tzid, arrivals, rank.

    `rank` is the zone's, 1 for the largest. Ordered by rank, then by arrivals, largest first.
    """
    chosen = policies or predictor.run.policies
    parts = [_arrivals_of_scenario(predictor, demand, chosen) for demand in predictor.demands(chosen)]
    merchant_arrivals = pl.concat(parts).group_by("merchant_id", "tzid").agg(pl.col("arrivals").sum())
    zones = (
        merchant_arrivals.group_by("tzid")
        .agg(pl.col("arrivals").sum())
        .sort(["arrivals", "tzid"], descending=[True, False])
    )
    ranked = merchant_arrivals.join(zones.select("tzid").with_row_index("rank", offset=1), on="tzid")
    return (
        ranked.join(predictor.tables.modes, on="merchant_id", how="left")
        .select("merchant_id", "virtual_mode", "tzid", "arrivals", "rank")
        .sort(["rank", "arrivals", "merchant_id"], descending=[False, True, False])
    )


def _arrivals_of_scenario(predictor: Predictor, demand: ExpectedDemand, policies: Policies) -> pl.DataFrame:
    ids = demand.series["merchant_id"].to_numpy()
    merchants, merchant_of = np.unique(ids, return_inverse=True)
    total = np.zeros((len(merchants), len(predictor.tables.zones)))
    for block in blocks(demand, predictor.tables, policies):
        owner = merchant_of if len(block.virtual) == len(ids) else np.arange(len(merchants))
        np.add.at(total, owner, block.mean.sum(axis=1)[:, None] * block.to_zone)
    m, z = np.nonzero(total)
    return pl.DataFrame(
        {"merchant_id": merchants[m], "tzid": np.array(predictor.tables.zones, dtype=str)[z], "arrivals": total[m, z]}
    )


def top_zones(merchant_arrivals: pl.DataFrame) -> pl.DataFrame:
    """The ten largest zones of `merchant_zones`: rank, tzid, share, merchants, and the three largest behind each.

    `share` is of all arrivals, `leaders` merchant ids, `leaders_share` their part of the zone.
    """
    total = merchant_arrivals["arrivals"].sum()
    zones = merchant_arrivals.filter(pl.col("rank") <= TOP_ZONES).group_by("rank", "tzid", maintain_order=True)
    return zones.agg(
        share=pl.col("arrivals").sum() / total,
        merchants=pl.len(),
        leaders=pl.col("merchant_id").head(_BEHIND_A_ZONE),
        leaders_share=pl.col("arrivals").head(_BEHIND_A_ZONE).sum() / pl.col("arrivals").sum(),
    )


def merchants_in_top_zones(merchant_arrivals: pl.DataFrame) -> pl.DataFrame:
    """Merchants by their arrivals in the ten largest zones: what each adds to T6, and where it could go instead.

    Returns merchant_id, virtual_mode, `share` (of all arrivals), `in_top_ten` (its part of T6), `elsewhere` (number
    of its zones outside the top ten: with 0 no allocation inside its own zones takes it out), `cumulative`.
    """
    total, top = merchant_arrivals["arrivals"].sum(), pl.col("rank") <= TOP_ZONES
    merchants = merchant_arrivals.group_by("merchant_id", "virtual_mode").agg(
        share=pl.col("arrivals").sum() / total,
        in_top_ten=pl.col("arrivals").filter(top).sum() / total,
        elsewhere=(~top).sum(),
    )
    ordered = merchants.sort(["in_top_ten", "merchant_id"], descending=[True, False])
    return ordered.with_columns(cumulative=pl.col("in_top_ten").cum_sum())
