"""Sites and edges: where the world says that arrivals can happen, and how many the run put there."""

from __future__ import annotations

import polars as pl

from segment5b_lib.contract.upstream import SITE_KEY
from segment5b_lib.gates.evidence.arrival_pass import ArrivalTally
from segment5b_lib.identity import site_id
from segment5b_lib.store.runs import Run
from segment5b_lib.store.scan import collect, scan_dataset
from segment5b_lib.store.worlds import World

_PLACE = ["merchant_id", "site_id", "edge_id"]


def world_sites(world: World) -> pl.DataFrame:
    """Sites in key order: the key, tzid, place_id (u64)."""
    sites = world.frame("site_timezones", [*SITE_KEY, "tzid"]).sort(SITE_KEY)
    ids = [site_id(*key) for key in sites.select(SITE_KEY).iter_rows()]
    return sites.with_columns(place_id=pl.Series(ids, dtype=pl.UInt64))


def world_edges(world: World) -> pl.DataFrame:
    """Edges in catalogue order: merchant_id, tzid, place_id (u64), weight."""
    columns = ["merchant_id", "edge_id", "tzid_operational", "edge_weight"]
    edges = world.frame("edge_catalogue_3B", columns).sort("merchant_id", "edge_id")
    ids = pl.Series([int(text, 16) for text in edges["edge_id"]], dtype=pl.UInt64)
    return edges.select("merchant_id", tzid="tzid_operational", place_id=ids, weight="edge_weight")


def site_weights(world: World) -> pl.DataFrame:
    """The weight of every site: the key, weight."""
    return world.frame("s1_site_weights", [*SITE_KEY, "p_weight"]).rename({"p_weight": "weight"})


def places_of(counted: ArrivalTally) -> pl.DataFrame:
    """One row per site or edge with arrivals: merchant_id, site_id, edge_id (one of them null), arrivals (i64)."""
    tables, tally = counted.tables, counted.tally
    missing = pl.lit(None, pl.UInt64)
    sites = tables.site_rows.select("merchant_id", site_id="place_id", edge_id=missing, arrivals=pl.Series(tally.sites))
    edges = tables.edge_rows.select("merchant_id", site_id=missing, edge_id="place_id", arrivals=pl.Series(tally.edges))
    rows = pl.concat([sites, edges, counted.overflow.places.select(*_PLACE, "arrivals")])
    return rows.filter(pl.col("arrivals") > 0).group_by(_PLACE).agg(pl.col("arrivals").sum()).sort(_PLACE)


def take_row_zones(run: Run, scenario_id: str) -> pl.DataFrame:
    """Physical arrivals by the zone whose intensity made them: tzid, arrivals (i64).

    From S4's summary; of an attached run that has none, from its arrivals.
    """
    known = {output.dataset_id for output in run.outputs("S4")}
    if run.attached and "s4_arrival_summary_5B" not in known:
        rows = scan_dataset(run, "arrival_events_5B", scenario_id, ["zone_representation", "is_virtual"])
        summary = rows.select("zone_representation", count_physical=~pl.col("is_virtual"))
    else:
        summary = scan_dataset(run, "s4_arrival_summary_5B", scenario_id, ["zone_representation", "count_physical"])
    counted = summary.group_by("zone_representation").agg(pl.col("count_physical").cast(pl.Int64).sum())
    return (
        collect(counted, f"physical arrivals of {scenario_id} by zone")
        .select(pl.col("zone_representation").cast(pl.String).alias("tzid"), arrivals="count_physical")
        .filter(pl.col("arrivals") > 0)
        .sort("tzid")
    )
