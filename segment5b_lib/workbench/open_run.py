"""A run as an object: states, arrivals, SQL over its datasets and its world's, scorecard, evidence, identity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.scoring import scorecard
from segment5b_lib.phases.engine.page import IdentityCard, identity_card
from segment5b_lib.store import catalogue
from segment5b_lib.store.query import MAX_RESULT_ROWS, open_views, q
from segment5b_lib.store.runs import Run, RunReceipt
from segment5b_lib.views.timing import states
from segment5b_lib.workbench.dst import DaylightSaving, scan

if TYPE_CHECKING:
    from segment5b_lib.calibrate.predictor import Predictor


@dataclass(frozen=True, repr=False)
class OpenRun:
    """One run. Opening reads the receipt; everything else is read on first use.

    `store` is the run root (`store.runs.Run`), for paths and files.
    """

    store: Run

    @property
    def run_id(self) -> str:
        """32 hex digits."""
        return self.store.run_id

    @property
    def receipt(self) -> RunReceipt:
        """Identity and origin of the run: world, policies, seed, parent, changes."""
        return self.store.receipt

    @cached_property
    def identity(self) -> IdentityCard:
        """The identity card: ids, scale, posture, seed, scenarios, horizon."""
        return identity_card(self.store)

    def states(self) -> pl.DataFrame:
        """Every state: status, seconds, lanes, rows, peak memory (see `views.states`).

        Example: `run.states()`
        """
        return states(self.store)

    def arrivals(self, scenario_id: str | None = None) -> pl.LazyFrame:
        """The arrivals, lazily: the columns of `arrival_events_5B` and `scenario_id`; one scenario, or all.

        `ts_utc` is an instant in UTC; local times are naive wall clock, whatever the run's encoding.

        Example: `run.arrivals().filter(merchant_id=7).collect()`
        """
        return scan(self.store, [scenario_id] if scenario_id is not None else self.store.scenarios)

    def sql(self, query: str, *parameters: Any, max_rows: int = MAX_RESULT_ROWS) -> pl.DataFrame:
        """Query the run with DuckDB; `?` takes the parameters.

        Every Parquet dataset of the run and of its world is a view (`show tables` lists them); those with a folder
        per scenario have `scenario_id`. The session's zone is UTC, local times are TIMESTAMP in both encodings.

        Raises
        ------
        UsageError : more than one query, a query that changes anything, that DuckDB refuses, or that returns more than
            `max_rows` rows.

        Example: `run.sql("SELECT count(*) AS n FROM arrival_events_5B WHERE merchant_id = ?", 7)`
        """
        return q(self._views, query, parameters, max_rows=max_rows)

    def scorecard(self, *, fresh: bool = False) -> Scorecard:
        """Every gate by full scan; read from disk if nothing has changed, unless `fresh`.

        Example: `run.scorecard().frame()`
        """
        scored = scorecard(self.store, fresh=fresh)
        # One pass over the arrivals serves the gates and the charts, unless the charts came first.
        vars(self).setdefault("evidence", scored.evidence)
        return scored

    @cached_property
    def evidence(self) -> Evidence:
        """The counted tables that gates and `views` use, each made on first use."""
        return Evidence(self.store)

    @cached_property
    def dst(self) -> DaylightSaving:
        """Windows around changes of offset, and arrivals with a wrong clock."""
        return DaylightSaving(self.evidence)

    @cached_property
    def predictor(self) -> Predictor:
        """Shared tables for predictions of this run (see `segment5b_lib.predict`)."""
        # Imported here: it needs the world builder, whose libraries take a second to load.
        from segment5b_lib.calibrate.predictor import Predictor

        return Predictor(self.store)

    @cached_property
    def _views(self) -> duckdb.DuckDBPyConnection:
        return open_views(self.store)

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("_")]

    def __repr__(self) -> str:
        receipt = self.receipt
        return (
            f"run {self.run_id[:8]}: {receipt.posture}, seed {receipt.seed}, world {receipt.manifest_fingerprint[:8]}"
        )

    def _repr_html_(self) -> str:
        return self.identity._repr_html_()


def open_run(name: str = "@last") -> OpenRun:
    """Open a run by id, by the start of one, or by role: `@last`, `@baseline`, `@candidate`.

    Raises
    ------
    UsageError : no run or several runs match; the error lists the runs.

    Example: `s5.open_run("@baseline")`
    """
    return OpenRun(catalogue.find_run(name))
