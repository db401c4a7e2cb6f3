"""Predict a run's gates for any policy: of its own world, of a reopened one, for its own seed or another."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property

from segment5b_lib.calibrate.demand import ExpectedDemand, Source, load_demand
from segment5b_lib.calibrate.flows import blocks
from segment5b_lib.calibrate.prediction import Ledger, Prediction
from segment5b_lib.calibrate.tables import Changes, RoutingTables, tables_of_world, tables_reopened
from segment5b_lib.contract.policies import Policies
from segment5b_lib.identity import canonical_json
from segment5b_lib.store.runs import Run


class Predictor:
    """Holds what predictions of one run have in common; each further policy then takes a moment.

    The run must have passed S1; nothing else of it is read but its policies. `reopened` are knobs of 2A, 2B or 3B that
    are set in thought (`tables.Changes`).
    """

    def __init__(self, run: Run, *, reopened: Changes | None = None, seed: int | None = None, threads: int = 0) -> None:
        self.run = run
        self.reopened = dict(reopened or {})
        self.seed = run.receipt.seed if seed is None else seed
        self._threads = threads or len(os.sched_getaffinity(0))
        self._demands: dict[bytes, tuple[ExpectedDemand, ...]] = {}

    @cached_property
    def tables(self) -> RoutingTables:
        """Routing tables of the world, with the reopened segments in place."""
        return tables_reopened(self.run.world, self.reopened) if self.reopened else tables_of_world(self.run.world)

    def demands(self, policies: Policies | None = None) -> tuple[ExpectedDemand, ...]:
        """Expected arrivals of every scenario, by id; read again only where a policy that shapes them differs."""
        chosen = policies or self.run.policies
        key = canonical_json(_shaping(chosen))
        if key not in self._demands:
            source = Source(self.run, self.tables, self.seed, self._threads)
            self._demands[key] = tuple(load_demand(source, name, chosen) for name in self.run.scenarios)
        return self._demands[key]

    def reopen(self, changes: Changes) -> Predictor:
        """The same for a world with some segments reopened; what the reopening leaves alone is not read again."""
        both = {segment: {**self.reopened.get(segment, {}), **own} for segment, own in changes.items()}
        other = Predictor(self.run, reopened={**self.reopened, **both}, seed=self.seed, threads=self._threads)
        left, right = self.tables, other.tables
        if (
            "2A" not in changes
            and left.zones == right.zones
            and left.modes.sort("merchant_id").equals(right.modes.sort("merchant_id"))
        ):
            other._demands = self._demands
        return other

    def with_seed(self, seed: int) -> Predictor:
        other = Predictor(self.run, reopened=self.reopened, seed=seed, threads=self._threads)
        other.__dict__["tables"] = self.tables
        return self if seed == self.seed else other

    def predict(self, policies: Policies | None = None) -> Prediction:
        """Expected gates under some policies, the run's own by default."""
        chosen = policies or self.run.policies
        ledger = Ledger(self.tables.zones)
        for demand in self.demands(chosen):
            ledger.add(demand, blocks(demand, self.tables, chosen))
        return ledger.prediction(self._basis())

    def _basis(self) -> str:
        world = f"world {self.run.world.mf[:12]}"
        if self.reopened:
            world += f" with {' and '.join(self.reopened)} reopened"
        return f"lambda_realised of seed {self.seed}, {world}: the latent field is keyed by group and drawn again"


def predict(
    run: Run, policies: Policies | None = None, *, reopened: Changes | None = None, seed: int | None = None
) -> Prediction:
    """Expected T1, T6 and T7 of a run, with their sampling errors; see `Predictor`.

    Under a second at small scale, under five at authority scale.
    """
    return Predictor(run, reopened=reopened, seed=seed).predict(policies)


def _shaping(policies: Policies) -> Mapping[str, object]:
    """What a demand depends on: everything up to S3, less the zone mix, which is applied afterwards."""
    lgcp = {key: value for key, value in policies.document("lgcp").items() if key != "zone_mix"}
    others = {name: policies.document(name) for name in ("time_grid", "grouping", "count")}
    return {"lgcp": lgcp, **others, "tolerance": policies.validation.civil_time.tolerance_seconds}
