"""The random words of whole runs, in the order in which a run draws them and in others that cut across it.

Keys, counters and lanes are those of `segment5b_lib.kernel.streams.FAMILIES`; which rows draw how often is taken
from a real run, whose series and counts are drawn again under one seed after another.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from segment5b_lib.kernel.philox import philox2x64
from segment5b_lib.kernel.streams import (
    ARRIVAL_EDGE_PICK,
    ARRIVAL_SITE_PICK,
    ARRIVAL_TIME,
    BUCKET_COUNT,
    FAMILIES,
    LATENT_VECTOR,
    stream_keys,
)
from segment5b_lib.states.series import load_domain
from segment5b_lib.store.runs import Run

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
Keys = Callable[[str, int], U64]
ARRIVAL_FAMILIES = (ARRIVAL_TIME, ARRIVAL_SITE_PICK, ARRIVAL_EDGE_PICK)


class Draws(NamedTuple):
    """Draw `draw` of bucket `bucket` of stream `owner` (a series or a group), one row per event."""

    owner: I64
    bucket: I64
    draw: I64

    def sorted_by(self, *columns: str) -> Draws:
        order = np.lexsort([getattr(self, name) for name in reversed(columns)])
        return Draws(*(column[order] for column in self))


class Population(NamedTuple):
    """A run's series, groups and arrivals: what its streams belong to and how often they are used."""

    rng_root: str
    scenario_id: str
    series: list[tuple[str | int, ...]]
    groups: list[tuple[str]]
    buckets: int
    arrivals: Draws

    def keys(self, family: str, seed: int) -> U64:
        domains = self.groups if family == LATENT_VECTOR else self.series
        return stream_keys(family, self.rng_root, seed, self.scenario_id, domains)

    def cells(self, owners: int) -> Draws:
        """Every bucket of every owner, once."""
        owner, bucket = np.divmod(np.arange(owners * self.buckets), self.buckets)
        return Draws(owner, bucket, np.zeros_like(owner))


def population(run: Run) -> Population:
    (scenario_id,) = run.scenarios
    domain = load_domain(run, scenario_id)
    counts = run.table("s3_bucket_counts_5B", ["count_N"], scenario_id)["count_N"].to_numpy().astype(np.int64)
    row = np.repeat(np.arange(counts.size), counts)
    draw = np.arange(row.size) - np.repeat(np.cumsum(counts) - counts, counts)
    arrivals = Draws(*np.divmod(row, domain.buckets), draw)
    groups = [(name,) for name in sorted(domain.frame["group_id"].unique())]
    return Population(run.receipt.rng_root, scenario_id, domain.keys(), groups, domain.buckets, arrivals)


@njit
def _blocks(low: U64, high: U64, key: U64, out: U64) -> None:
    for i in range(out.shape[0]):
        lanes = philox2x64(low[i], high[i], key[i])
        for lane in range(out.shape[1]):
            out[i, lane] = lanes[lane]


def words(family: str, keys: U64, draws: Draws) -> U64:
    """The words [event, lane] that a family's events use."""
    law = FAMILIES[family]
    parts = {"draw": draws.draw, "bucket_index": draws.bucket, "0": np.zeros_like(draws.draw)}
    out = np.empty((draws.owner.size, len(law.lanes)), np.uint64)
    low, high = (parts[word].astype(np.uint64) for word in (law.counter_low, law.counter_high))
    _blocks(low, high, keys[draws.owner], out)
    return out


def arrival_words(keys: Keys, draws: Draws) -> Iterator[U64]:
    """What S4 draws for each arrival (offset, zone or coin, site, edge), seed after seed."""
    for seed in itertools.count():
        yield np.hstack([words(family, keys(family, seed), draws) for family in ARRIVAL_FAMILIES])


def count_words(people: Population, keys: Keys, *, across: bool) -> Iterator[U64]:
    """What S3 and S2 draw, seed after seed: stream by stream, or bucket by bucket over all streams."""
    owners = {BUCKET_COUNT: len(people.series), LATENT_VECTOR: len(people.groups)}
    order = ("bucket", "owner") if across else ("owner", "bucket")
    cells = {family: people.cells(number).sorted_by(*order) for family, number in owners.items()}
    for seed in itertools.count():
        for family, draws in cells.items():
            yield words(family, keys(family, seed), draws)
