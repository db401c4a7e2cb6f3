"""S4 again in plain Python: big integers, hashlib, zoneinfo and lists; shares no code with the library.

Reads the same files (Parquet through pyarrow, JSON, and nothing else) and returns the rows of
`arrival_events_5B` as plain columns. Slow on purpose: one arrival at a time, as 3-states.md tells it.
"""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq

from tests.reference.randomness import philox2x64, stream_key, uniform

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FAMILIES = ("S4.arrival_time.v2", "S4.arrival_site_pick.v2", "S4.arrival_edge_pick.v2")
COLUMNS = [
    "merchant_id",
    "legal_country_iso",
    "zone_representation",
    "channel_group",
    "bucket_index",
    "arrival_seq",
    "ts_utc",
    "tzid_primary",
    "ts_local_primary",
    "tzid_settlement",
    "ts_local_settlement",
    "tzid_operational",
    "ts_local_operational",
    "is_virtual",
    "site_id",
    "edge_id",
    "routing_universe_hash",
]


def alias_table(weights: list[float]) -> list[tuple[int, int]]:
    """(prob_q, alias) per row: masses on the 2^24 grid, then Vose with first-in-first-out worklists."""
    total = 0.0
    for weight in weights:
        total += weight
    exact = [weight / total * 2**24 for weight in weights]
    masses = [round(value) for value in exact]
    residual = 2**24 - sum(masses)
    step = 1 if residual > 0 else -1
    for i in sorted(range(len(masses)), key=lambda i: (-step * (exact[i] - masses[i]), i))[: abs(residual)]:
        masses[i] += step
    n = len(masses)
    units = [mass * n for mass in masses]
    small = [i for i in range(n) if units[i] < 2**24]
    large = [i for i in range(n) if units[i] >= 2**24]
    table = [(2**32 - 1, i) for i in range(n)]
    while small:
        receiver, donor = small.pop(0), large[0]
        table[receiver] = (max(units[receiver] * 256, 1), donor)
        units[donor] -= 2**24 - units[receiver]
        if units[donor] < 2**24:
            small.append(large.pop(0))
    return table


def pick(u: float, table: list[tuple[int, int]]) -> int:
    n = len(table)
    k = min(int(u * n), n - 1)
    prob_q, alias = table[k]
    return k if prob_q > 1 and u * n - k < prob_q / 2**32 else alias


# --- inputs -----------------------------------------------------------------------------------------------


def rows_of(root: Path, pattern: str) -> list[dict]:
    files = sorted(root.glob(f"data/{pattern}/**/*.parquet"))
    assert files, (root, pattern)
    return [row for path in files for row in pq.ParquetFile(path).read().to_pylist()]


def document_of(root: Path, pattern: str) -> dict:
    (path,) = root.glob(f"data/{pattern}/**/*.json")
    return json.loads(path.read_text())


class Wall:
    """Wall clocks of a database that knows no transition from `frozen_at` on (None: it knows all)."""

    def __init__(self, frozen_at: datetime | None) -> None:
        self.frozen_at = frozen_at
        self.zones: dict[str, ZoneInfo] = {}
        self.offsets: dict[tuple[str, int], int] = {}

    def local_us(self, tzid: str, ts_us: int) -> int:
        """Digits of the wall clock as if they were UTC; offsets change on the quarter of an hour only."""
        quarter = ts_us // (900 * 10**6)
        if (tzid, quarter) not in self.offsets:
            self.offsets[tzid, quarter] = self.offset_us(tzid, EPOCH + timedelta(seconds=900 * quarter))
        return ts_us + self.offsets[tzid, quarter]

    def offset_us(self, tzid: str, instant: datetime) -> int:
        if tzid not in self.zones:
            with resources.files("tzdata").joinpath("zoneinfo", *tzid.split("/")).open("rb") as stream:
                self.zones[tzid] = ZoneInfo.from_file(stream)
        if self.frozen_at is not None and instant >= self.frozen_at:
            instant = self.frozen_at - timedelta(seconds=1)
        offset = instant.astimezone(self.zones[tzid]).utcoffset()
        assert offset is not None
        return offset // timedelta(microseconds=1)


class Routing:
    """Where arrivals go, from the world's files."""

    def __init__(self, world: Path, policy: dict) -> None:
        self.policy = policy
        self.binding = policy["physical_router"]["zone_binding"]
        weight = {_site(row): row["p_weight"] for row in rows_of(world, "layer1/2B/s1_site_weights")}
        place = {_site(row): row for row in rows_of(world, "layer1/1B/site_locations")}
        self.sites = []
        for row in sorted(rows_of(world, "layer1/2A/site_timezones"), key=_site):
            vector = _vector(place[_site(row)]["lat_deg"], place[_site(row)]["lon_deg"])
            self.sites.append((_site(row), row["tzid"], weight[_site(row)], vector))
        self.mode = {
            row["merchant_id"]: row["virtual_mode"] for row in rows_of(world, "layer1/3B/virtual_classification")
        }
        self.settlement = {
            row["merchant_id"]: row["tzid_settlement"] for row in rows_of(world, "layer1/3B/virtual_settlement")
        }
        self.edges: dict[int, list[tuple[int, str, float]]] = {}
        for row in sorted(rows_of(world, "layer1/3B/edge_catalogue"), key=lambda row: row["edge_id"]):
            edge = (int(row["edge_id"], 16), row["tzid_operational"], row["edge_weight"])
            self.edges.setdefault(row["merchant_id"], []).append(edge)
        self.groups: dict[tuple[int, str], list[tuple[str, float]]] = {}
        for row in rows_of(world, "layer1/2B/s4_group_weights"):
            p = row["p_group"]
            temper = policy["concentration_temper"]
            if temper["mode"] != "none":
                p *= math.exp(-temper["eta"] * temper["scores"].get(row["tz_group_id"], 0.0))
            self.groups.setdefault((row["merchant_id"], row["utc_day"]), []).append((row["tz_group_id"], p))
        (self.physical_universe,) = {row["routing_universe_hash"] for row in rows_of(world, "layer1/3A/zone_alloc")}
        self.virtual_universe = document_of(world, "layer1/3B/edge_universe_hash")["universe_hash"]
        self.tables: dict = {}
        self.unroutable: dict[tuple, int] = {}

    def table(self, key, weights):
        if key not in self.tables:
            self.tables[key] = alias_table(weights())
        return self.tables[key]

    def zone(self, merchant: int, day: str, u: float) -> str:
        group = sorted(self.groups[merchant, day])
        return group[pick(u, self.table(("zone", merchant, day), lambda: [p for _, p in group]))][0]

    def site(self, series: tuple, tzid: str, u: float) -> tuple[int, str]:
        """Id and zone of the site; in the nearest of the merchant's zones where it has none in `tzid`."""
        merchant, country, _, _ = series
        key = (merchant, country, tzid) if self.binding == "row_zone" else (merchant, tzid)
        found = self.sites_in(key)
        if not found:
            assert self.policy["fail_closed_rules"]["site_missing_in_zone"] == "anomaly", key
            self.unroutable[series, tzid] = self.unroutable.get((series, tzid), 0) + 1
            key = (merchant, self.nearest(merchant, tzid))
            found = self.sites_in(key)
        site, zone, _, _ = found[pick(u, self.table(("site", *key), lambda: [site[2] for site in found]))]
        return site_id(*site), zone

    def sites_in(self, key: tuple) -> list:
        if ("sites", *key) not in self.tables:
            self.tables["sites", *key] = [
                site
                for site in self.sites
                if site[2] > 0 and key in ((site[0][0], site[1]), (site[0][0], site[0][1], site[1]))
            ]
        return self.tables["sites", *key]

    def nearest(self, merchant: int, tzid: str) -> str:
        own = sorted({zone for site, zone, weight, _ in self.sites if site[0] == merchant and weight > 0})
        if tzid in own:
            return tzid
        target = _centroid([vector for _, zone, _, vector in self.sites if zone == tzid])

        def distance(zone: str) -> float:
            mine = [v for site, z, weight, v in self.sites if site[0] == merchant and z == zone and weight > 0]
            cosine = sum(a * b for a, b in zip(_centroid(mine), target, strict=True))
            return math.acos(max(-1.0, min(1.0, cosine)))

        return min(own, key=lambda zone: (distance(zone), zone))

    def edge(self, merchant: int, u: float) -> tuple[int, str]:
        edges = self.edges[merchant]
        edge, zone, _ = edges[pick(u, self.table(("edge", merchant), lambda: [w for _, _, w in edges]))]
        return edge, zone


def _site(row: dict) -> tuple[int, str, int]:
    return row["merchant_id"], row["legal_country_iso"], row["site_order"]


def _vector(lat_deg: float, lon_deg: float) -> tuple[float, float, float]:
    lat, lon = math.radians(lat_deg), math.radians(lon_deg)
    return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)


def _centroid(vectors: list[tuple[float, float, float]]) -> list[float]:
    sums = [sum(axis) for axis in zip(*vectors, strict=True)]
    length = math.sqrt(sum(value * value for value in sums))
    return [value / length for value in sums]


def site_id(merchant: int, country: str, order: int) -> int:
    digest = hashlib.sha256(f"{merchant}:{country}:{order}".encode()).digest()
    return int.from_bytes(digest[24:32], "little") or 1


# --- arrivals ---------------------------------------------------------------------------------------------


def reference_arrivals(
    run: Path,
    world: Path,
    scenario: str,
    policies: dict,
    *,
    frozen_at: datetime | None,
    merchants: set[int] | None = None,
) -> tuple[dict, Routing]:
    """All columns of a scenario as lists (times in epoch microseconds), and the routing with its `unroutable` counts.

    `policies` are the nine as plain data by short name; `merchants` limits the work to some of them.
    """
    receipt = json.loads((run / "run_receipt.json").read_text())
    routing = Routing(world, policies["routing"])
    duration = policies["time_grid"]["bucket_seconds"] * 10**6
    (grid,) = run.glob(f"data/layer2/5B/s1_time_grid/*/scenario_id={scenario}/*.parquet")
    start = pq.ParquetFile(grid).read(["bucket_start_utc"])["bucket_start_utc"][0].value
    wall = Wall(frozen_at)
    rows = []
    for series, keys, counts in _counts(run, scenario, receipt):
        if merchants is not None and series[0] not in merchants:
            continue
        for bucket, count in counts:
            for j in range(count):
                u = uniform(philox2x64(j, bucket, keys["S4.arrival_time.v2"])[0])
                ts = start + bucket * duration + min(int(u * duration), duration - 1)
                row = _route(series, keys, bucket, j, start + bucket * duration, routing)
                rows.append(((series[0], ts, series, bucket, j), bucket, row))
    rows.sort(key=lambda row: row[0])
    return _columns(rows, routing, wall), routing


def _counts(run: Path, scenario: str, receipt: dict):
    """Series in key order with their stream keys and their positive counts."""
    columns = ["merchant_id", "legal_country_iso", "zone_representation", "channel_group", "bucket_index", "count_N"]
    positive: dict[tuple, list[tuple[int, int]]] = {}
    for path in sorted(run.glob(f"data/layer2/5B/s3_bucket_counts/*/*/scenario_id={scenario}/*.parquet")):
        table = pq.ParquetFile(path).read(columns).to_pydict()
        for *series, bucket, count in zip(*(table[name] for name in columns), strict=True):
            if count:
                positive.setdefault(tuple(series), []).append((bucket, count))
    for series in sorted(positive):
        root, seed = receipt["rng_root"], receipt["seed"]
        keys = {family: stream_key(family, root, seed, scenario, *series) for family in FAMILIES}
        yield series, keys, positive[series]


def _route(series: tuple, keys: dict, bucket: int, j: int, bucket_start: int, routing: Routing) -> tuple:
    """(is_virtual, id, zone) of one arrival."""
    merchant, _, row_zone, _ = series
    mode = routing.mode[merchant]
    if mode != "VIRTUAL_ONLY":
        u0, u1 = map(uniform, philox2x64(j, bucket, keys["S4.arrival_site_pick.v2"]))
        p = routing.policy["hybrid_policy"]["p_virtual_hybrid"] if mode == "HYBRID" else 0.0
        if u0 >= p:
            if mode == "HYBRID":
                u0 = min(max((u0 - p) / (1 - p), 2**-53), 1 - 2**-53)
            tzid = row_zone
            if routing.binding == "group_weights":
                day = date(1970, 1, 1) + timedelta(days=bucket_start // (86400 * 10**6))
                tzid = routing.zone(merchant, day.isoformat(), u0)
            return False, *routing.site(series, tzid, u1)
    return True, *routing.edge(merchant, uniform(philox2x64(j, bucket, keys["S4.arrival_edge_pick.v2"])[0]))


def _columns(rows: list, routing: Routing, wall: Wall) -> dict[str, list]:
    columns: dict[str, list] = {name: [] for name in COLUMNS}
    seq, last = 0, None
    for (merchant, ts, series, _, _), bucket, (is_virtual, place, zone) in rows:
        seq = seq + 1 if merchant == last else 1
        last = merchant
        local = wall.local_us(zone, ts)
        settlement = routing.settlement[merchant] if is_virtual else None
        values = (
            *series,
            bucket,
            seq,
            ts,
            zone,
            local,
            settlement,
            wall.local_us(settlement, ts) if is_virtual else None,
            zone if is_virtual else None,
            local if is_virtual else None,
            is_virtual,
            None if is_virtual else place,
            place if is_virtual else None,
            routing.virtual_universe if is_virtual else routing.physical_universe,
        )
        for name, value in zip(COLUMNS, values, strict=True):
            columns[name].append(value)
    return columns
