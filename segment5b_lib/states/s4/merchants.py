"""The merchants of a scenario and the places of their arrivals: modes, settlement zones, sites and edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from segment5b_lib.arrays import U32, Flags
from segment5b_lib.contract.policies import FailClosedRules
from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.errors import InputError
from segment5b_lib.kernel.alias import picking
from segment5b_lib.kernel.arrival_tables import HYBRID, PHYSICAL, VIRTUAL, Edges, Merchants, Sites
from segment5b_lib.states.s4.counts import merchant_starts
from segment5b_lib.states.s4.routing_inputs import VirtualRouting
from segment5b_lib.states.series import SeriesDomain
from segment5b_lib.store.columns import dictionary, word_codes

MODE_CODES: Final = {
    VirtualMode.NON_VIRTUAL.value: PHYSICAL,
    VirtualMode.HYBRID.value: HYBRID,
    VirtualMode.VIRTUAL_ONLY.value: VIRTUAL,
}


@dataclass(frozen=True)
class Codes:
    """Countries, zones and channels in ascending order; a name's code, in the arrival columns too, is its position."""

    countries: tuple[str, ...]
    zones: tuple[str, ...]
    channels: tuple[str, ...]


@dataclass(frozen=True)
class MerchantRouting:
    """Merchants with series, ascending, and their places.

    `merchants` has m (index), merchant_id, mode, tzid_settlement (null if there is none); `sites` those
    of merchants that may have physical arrivals, `edges` those of merchants that may have virtual ones,
    both with m, in key order. `prob` and `alias` are the alias rows of `edges`.
    """

    merchants: pl.DataFrame
    sites: pl.DataFrame
    edges: pl.DataFrame
    prob: U32
    alias: U32

    @property
    def active_zones(self) -> tuple[str, ...]:
        """Zones of arrivals and of settlement."""
        settled = self.merchants["tzid_settlement"].drop_nulls()
        return dictionary(self.sites["tzid"], self.edges["tzid_operational"], settled)

    @property
    def physical(self) -> pl.DataFrame:
        """merchant_id and m of the merchants that may have physical arrivals."""
        return self.merchants.filter(pl.col("mode") != VIRTUAL).select("merchant_id", "m")


def merchant_routing(domain: SeriesDomain, sites: pl.DataFrame, inputs: VirtualRouting) -> MerchantRouting:
    """The merchants of a scenario with their places.

    Raises
    ------
    InputError : ``5B.S4.ROUTING_ROW_MISSING`` for a merchant that 3B did not classify
    """
    merchants = _merchants(domain, inputs)
    physical = merchants.filter(pl.col("mode") != VIRTUAL).select("merchant_id", "m")
    virtual = merchants.filter(pl.col("mode") != PHYSICAL).select("merchant_id", "m")
    edges = inputs.edges.with_row_index("at").join(virtual, on="merchant_id", maintain_order="left")
    rows = edges["at"].to_numpy()
    routable = sites.join(physical, on="merchant_id", maintain_order="left")
    return MerchantRouting(merchants, routable, edges, inputs.prob_q[rows], inputs.alias[rows])


def _merchants(domain: SeriesDomain, inputs: VirtualRouting) -> pl.DataFrame:
    modes = inputs.modes.with_columns(
        mode=pl.col("virtual_mode").replace_strict(MODE_CODES, default=None, return_dtype=pl.UInt8)
    )
    merchants = (
        domain.frame.select(pl.col("merchant_id").unique(maintain_order=True))
        .with_row_index("m")
        .join(modes, on="merchant_id", how="left", validate="1:1", maintain_order="left")
        .join(inputs.settlement, on="merchant_id", how="left", validate="1:1", maintain_order="left")
    )
    unknown = merchants.filter(pl.col("mode").is_null())
    if unknown.height:
        raise InputError(
            "5B.S4.ROUTING_ROW_MISSING",
            "a merchant has no virtual mode",
            where=f"virtual_classification_3B, key {unknown['merchant_id'][0]}",
            expected=f"one of {', '.join(MODE_CODES)}",
            found=unknown["virtual_mode"][0],
            next_step="segment 3B must publish again; or rebuild the world",
        )
    settles = pl.col("mode") != PHYSICAL
    return merchants.with_columns(tzid_settlement=pl.when(settles).then("tzid_settlement"))


def check_virtual(routing: MerchantRouting, busy: Flags, rules: FailClosedRules) -> None:
    """Merchants with arrivals (`busy`) that may be virtual need a settlement zone and edges.

    Raises
    ------
    InputError : ``5B.S4.SETTLEMENT_MISSING``, ``5B.S4.EDGE_ALIAS_MISMATCH``
    """
    virtual = routing.merchants.filter(pl.Series(busy) & (pl.col("mode") != PHYSICAL))
    unsettled = virtual.filter(pl.col("tzid_settlement").is_null())
    if unsettled.height and rules.settlement_missing == "error":
        raise _missing("SETTLEMENT_MISSING", "settlement zone", "virtual_settlement_3B", unsettled)
    without = virtual.join(routing.edges, on="merchant_id", how="anti", maintain_order="left")
    if without.height and rules.edge_alias_mismatch == "error":
        raise _missing("EDGE_ALIAS_MISMATCH", "edge", "edge_catalogue_3B", without)


def _missing(code: str, what: str, dataset_id: str, merchants: pl.DataFrame) -> InputError:
    return InputError(
        f"5B.S4.{code}",
        f"a merchant with virtual arrivals has no {what}",
        where=f"{dataset_id}, key {merchants['merchant_id'][0]}",
        expected="a row for every merchant that is not NON_VIRTUAL",
        found=f"{merchants.height} merchants without",
        next_step="segment 3B must publish again; or rebuild the world",
    )


def merchant_table(domain: SeriesDomain, routing: MerchantRouting, codes: Codes) -> Merchants:
    frame = routing.merchants
    return Merchants(
        merchant_id=frame["merchant_id"].to_numpy(),
        first_series=merchant_starts(domain),
        mode=frame["mode"].to_numpy(),
        settlement_zone=word_codes(frame["tzid_settlement"], codes.zones),
    )


def site_table(routing: MerchantRouting, codes: Codes) -> Sites:
    return Sites(
        site_id=routing.sites["site_id"].to_numpy(),
        merchant=routing.sites["m"].cast(pl.Int32).to_numpy(),
        country=word_codes(routing.sites["legal_country_iso"], codes.countries),
        zone=word_codes(routing.sites["tzid"], codes.zones),
    )


def edge_table(routing: MerchantRouting, codes: Codes) -> Edges:
    owners = np.arange(routing.merchants.height + 1)
    first = np.searchsorted(routing.edges["m"].to_numpy(), owners).astype(np.int64)
    share, choice = picking(routing.prob, routing.alias, first, np.arange(routing.edges.height, dtype=np.int32))
    return Edges(
        start=first[:-1],
        size=np.diff(first).astype(np.int32),
        edge_id=routing.edges["edge_id"].to_numpy(),
        zone=word_codes(routing.edges["tzid_operational"], codes.zones),
        share=share,
        choice=choice,
    )
