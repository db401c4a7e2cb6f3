"""Several runs side by side: verdicts, settings, datasets, counters and times that differ."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import polars as pl

from segment5b_lib.contract.colours import VERDICT_COLOURS
from segment5b_lib.contract.commands import command
from segment5b_lib.contract.words import STATES, Verdict
from segment5b_lib.errors import UsageError
from segment5b_lib.gates.difference import Difference
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.html_table import headline, html_table
from segment5b_lib.phases.engine.repair import NextSteps, next_steps, one_step
from segment5b_lib.phases.popt_structure import counters_of, datasets_of
from segment5b_lib.phases.popt_timing import Sample, Timing, compared, timing_of, too_few
from segment5b_lib.store.runs import Run
from segment5b_lib.views.differences import policy_differences, run_label, world_differences
from segment5b_lib.views.gateboard import bands, gate_matrix
from segment5b_lib.workbench.open_run import OpenRun, open_run

_PLANE: Final = ("T6", "T7")
_TIMED: Final = {"state": pl.String, "role": pl.String, "run": pl.String, "seconds": pl.Float64}
_STRUCTURE: Final = {**dict.fromkeys(("run", "what", "compared_by", "differs"), pl.String), "equal": pl.Boolean}


class Comparison:
    """Two or more runs; the others are compared with the first. Frames are made on first use."""

    def __init__(self, runs: Sequence[OpenRun]) -> None:
        self.runs = tuple(runs)
        self._stores = [run.store for run in runs]

    @cached_property
    def scorecards(self) -> tuple[Scorecard, ...]:
        """Every gate of every run; saved scorecards are read."""
        return tuple(run.scorecard() for run in self.runs)

    @property
    def identities(self) -> Html:
        """The identity cards as columns of one table."""
        identities = [dict(run.identity.rows()) for run in self.runs]
        rows = [[name, *(identity[name] for identity in identities)] for name in identities[0]]
        return Html(html_table(["", *map(run_label, self._stores)], rows))

    @property
    def answer(self) -> Html:
        """Verdicts that change from the first run to each other run, and settings that differ."""
        return Html("".join(self._answer(position) for position in range(1, len(self.runs))))

    def gates(self) -> pl.DataFrame:
        """Gates × runs (see `views.gate_matrix`).

        Example: `comparison.gates()`
        """
        return gate_matrix(self.scorecards)

    def moved(self) -> pl.DataFrame:
        """Gates whose verdict or value changed: `run`, then the columns of a scorecard's difference.

        Example: `comparison.moved()`
        """
        first = self.scorecards[0]
        tables = [
            Difference(first, scorecard).frame().select(pl.lit(run_label(run)).alias("run"), pl.all().exclude("number"))
            for run, scorecard in zip(self._stores[1:], self.scorecards[1:], strict=True)
        ]
        return pl.concat(tables).filter(
            (pl.col("verdict_before") != pl.col("verdict_after")) | (pl.col("before") != pl.col("after"))
        )

    def policies(self) -> pl.DataFrame:
        """Policy keys that differ (see `views.policy_differences`).

        Example: `comparison.policies()`
        """
        return policy_differences(self._stores)

    def worlds(self) -> pl.DataFrame:
        """World, seed, reopened segments that differ (see `views.world_differences`).

        Example: `comparison.worlds()`
        """
        return world_differences(self._stores)

    def plane(self) -> pl.DataFrame:
        """Every run between T6 and T7: `run`, `role`, `kind` (predicted or measured), `t6`, `t7` (shares).

        Example: `comparison.plane()`
        """
        rows: list[tuple[str | float | None, ...]] = []
        for run, scorecard in zip(self.runs, self.scorecards, strict=True):
            labels = (run_label(run.store), "baseline" if run is self.runs[0] else "candidate")
            predicted = run.predictor.predict().gates
            rows.append((*labels, "predicted", *(predicted[gate].value for gate in _PLANE)))
            rows.append((*labels, "measured", *(scorecard.result(gate).value for gate in _PLANE)))
        return pl.DataFrame(rows, schema=["run", "role", "kind", "t6", "t7"], orient="row")

    def bands(self) -> dict[str, dict[str, tuple[float, float]]]:
        """Bounds of T6 and T7 by level, from the last run's policy.

        Example: `comparison.bands()`
        """
        return bands(self._stores[-1].policies.validation, _PLANE)

    def structure(self) -> pl.DataFrame:
        """Datasets and counters of every other run against the first: `run`, `what`, `compared_by`, `differs`, `equal`.

        Datasets are compared by file digests or, if those differ, by order-independent column digests. Counters that
        differ have a row each, the others one row per state.

        Example: `comparison.structure()`
        """
        rows = [(run_label(run), *row) for run in self._stores[1:] for row in _structure_lines(self._stores[0], run)]
        return pl.DataFrame(rows, schema=_STRUCTURE, orient="row")

    def timing(self) -> pl.DataFrame:
        """Seconds of wall time of every state in every repetition of every run: `state`, `role`, `run`, `seconds`.

        Example: `comparison.timing()`
        """
        rows = [
            (state, run_label(timing.run), run_id[:8], seconds)
            for state in STATES
            for timing in self._timings
            for run_id, seconds in timing.state(state).seconds.items()
        ]
        return pl.DataFrame(rows, schema=_TIMED, orient="row")

    def runtime(self) -> pl.DataFrame:
        """Medians with their spreads, and whether they differ: `state`, one column per run, a verdict each.

        Times are comparable between runs of the same scale, machine and number of threads, with at least as many
        repetitions as the policy requires.

        Example: `comparison.runtime()`
        """
        first = self._timings[0]
        rows = []
        for state in STATES:
            samples = {run_label(timing.run): timing.state(state) for timing in self._timings}
            verdicts = {
                f"{run_label(timing.run)}: verdict": _verdict(first, timing, state) for timing in self._timings[1:]
            }
            rows.append({"state": state, **{name: sample.text for name, sample in samples.items()}, **verdicts})
        return pl.DataFrame(rows)

    @property
    def next_steps(self) -> NextSteps:
        """Next steps for the last run's failing gates; without failures, its certification."""
        last = self.scorecards[-1]
        steps = next_steps(last)
        certify = command("certify", last.identity["run_id"][:8])
        return steps if steps.steps else one_step("certification", ["T10"], certify)

    @cached_property
    def _timings(self) -> tuple[Timing, ...]:
        return tuple(timing_of(run) for run in self._stores)

    def _answer(self, position: int) -> str:
        change = Difference(self.scorecards[0], self.scorecards[position])
        changed = change.verdicts_changed()
        better, worse = (changed.filter(moved=word)["gate"].to_list() for word in ("better", "worse"))
        verdict = Verdict.FAIL if worse else Verdict.PASS_BPLUS if better else Verdict.NOT_APPLICABLE
        by_direction = {"better": better, "worse": worse}
        texts = [f"{len(gates)} {name} ({', '.join(gates)})" for name, gates in by_direction.items() if gates]
        what = "; ".join(texts) or "no verdict changes for better or worse"
        pair = (self._stores[0], self._stores[position])
        differences = [*policy_differences(pair).head(6).iter_rows(), *world_differences(pair).iter_rows()]
        causes = [f"{about}: {before} → {after}" for about, before, after in differences]
        points = causes or ["nothing was set differently"]
        return headline(run_label(pair[1]), f": {what}", points, bar=VERDICT_COLOURS[verdict])


class Html:
    """A piece of a page; everything in it has been escaped."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_html_(self) -> str:
        return self.text


def compare(run: str, *others: str) -> Comparison:
    """Compare one or more runs with a first run.

    Raises
    ------
    UsageError : no other run, the same run twice, or no such run.

    Example: `s5.compare("@baseline", "@candidate")`
    """
    runs = [open_run(name) for name in (run, *others)]
    ids = [opened.run_id for opened in runs]
    if len(ids) < 2 or len(set(ids)) < len(ids):
        raise UsageError(
            "5B.COMPARE.NOT_TWO_RUNS",
            "a comparison needs two or more different runs",
            expected="segment5b compare RUN RUN",
            found=", ".join(run_id[:8] for run_id in ids),
            next_step="segment5b runs",
        )
    return Comparison(runs)


def _verdict(first: Timing, other: Timing, state: str) -> str:
    samples: list[Sample] = [timing.state(state) for timing in (first, other)]
    if not all(sample.n for sample in samples):
        return "not measured"
    if _setting(first.run, state) != _setting(other.run, state):
        return "not comparable: another scale, machine or number of threads"
    if too_few(other.run, [("", sample) for sample in samples]):
        return "too few runs"
    return compared(samples[0], samples[1])


def _setting(run: Run, state: str) -> tuple[object, ...]:
    record = run.last_records()[state]
    return run.world.scale, record.threads, record.machine


Line = tuple[str, str, str, bool]
"""Name, method of comparison, what differs, and whether they are equal."""


def _structure_lines(first: Run, other: Run) -> list[Line]:
    """Every dataset, then every counter that differs; the others of a state in one line."""
    rows: list[Line] = []
    for line in datasets_of(first, other, STATES):
        names = sorted({path.rsplit("/", 1)[-1] for path in line.differs})
        rows.append((line.dataset_id, line.compared_by, ", ".join(names) or "nothing", line.equal))
    return [*rows, *(row for state in STATES for row in _counter_rows(first, other, state))]


def _counter_rows(first: Run, other: Run, state: str) -> list[Line]:
    lines = counters_of(first, other, state, _counter_names(first, state))
    unequal = [line for line in lines if not line.equal]
    rows = [(f"{state} {line.counter}", "counter", f"{line.reference} → {line.candidate}", False) for line in unequal]
    equal = len(lines) - len(unequal)
    return [*rows, (f"{state}: {equal} other counters", "counter", "nothing", True)] if equal else rows


def _counter_names(run: Run, state: str) -> list[str]:
    """Names of a state's scalar counters, those of scenarios included."""
    counters = run.counters(state)
    groups = [counters, *counters.get("scenarios", {}).values()]
    return sorted({name for group in groups for name, value in group.items() if isinstance(value, (int, float, str))})
