"""P0: what is wrong with the baseline, by how much, and whose is it?

Red gates are what P0 is for: it opens P1 as soon as the picture is complete, however bad it looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

import segment5b_lib
from segment5b_lib.contract.words import Decision, ItemStatus, Verdict
from segment5b_lib.engine.records import utc_now
from segment5b_lib.errors import Segment5BError
from segment5b_lib.gates.scorecard import Scorecard, score
from segment5b_lib.gates.table import GATES
from segment5b_lib.phases.attempts import Attempt, next_attempt
from segment5b_lib.phases.closure import Closure, IdentityCard
from segment5b_lib.phases.envelope import (
    DodItem,
    InputDigest,
    gate_lines,
    identity_of,
    measured_values,
)
from segment5b_lib.phases.figure_measures import EVIDENCE as MEASURED_ON
from segment5b_lib.phases.inputs import verified_inputs
from segment5b_lib.phases.p0_artefacts import (
    OwnerStateMatrix,
    RealismGateboard,
    axis_lines,
    context_lines,
    context_rows,
    owner_lines,
)
from segment5b_lib.phases.p0_board import gateboard_markdown
from segment5b_lib.phases.p0_done import definition_of_done
from segment5b_lib.phases.p0_figures import PublishedFigures, figure_lines, figures_frame
from segment5b_lib.store.runs import Run

PHASE: Final = "p0"
QUESTION: Final = "What is wrong with this run, by how much, and whose is it?"
EVIDENCE: Final = tuple(sorted({name for entry in GATES for name in entry.evidence} | set(MEASURED_ON)))
"""Datasets that the evidence rests on: what the gates of the table and the published figures read."""


def execute(run: Run) -> Closure:
    """Score the run, decide, and write a new attempt of P0's artefacts. The run itself is not touched.

    Raises
    ------
    Segment5BError : the evidence could not be taken; the attempt's artefacts record the error and hold P1.
    """
    with next_attempt(PHASE, run.run_id) as attempt:
        inputs: list[InputDigest] = []
        try:
            inputs = verified_inputs(run, EVIDENCE)
            scorecard = score(run)
            items = definition_of_done(run, scorecard)
        except Segment5BError as error:
            _write(run, attempt, inputs, None, [_not_evaluated(error)], error)
            raise
        paths = _write(run, attempt, inputs, scorecard, items, None)
    decision, reasons = decide(items, scorecard)
    return Closure(
        phase=PHASE,
        question=QUESTION,
        identity=_card(run, scorecard),
        decision=decision,
        reasons=tuple(reasons),
        definition_of_done=tuple(items),
        artefacts=tuple(paths),
        scorecard=scorecard,
    )


def earlier_figures(scorecard: Scorecard) -> pl.DataFrame:
    """Bounds that stood before the plan, beside what was measured: context, never a verdict."""
    return pl.DataFrame(context_rows(context_lines(scorecard)))


def published_figures(scorecard: Scorecard) -> pl.DataFrame:
    """Every published figure beside ours (see `p0_figures`); what lies outside is told, and decides nothing."""
    return figures_frame(scorecard)


def decide(items: Sequence[DodItem], scorecard: Scorecard | None) -> tuple[Decision, list[str]]:
    """`UNLOCK_P1` when no item is red, else `HOLD_P0_REOPEN`; and why."""
    red = [f"{item.id} {item.text}: {item.evidence}" for item in items if item.status is ItemStatus.RED]
    if red or scorecard is None:
        return Decision.HOLD_P0_REOPEN, red
    rows = scorecard.frame().to_dicts()
    failed = [
        f"{row['gate']} {row['title']}: {row['value']}, B is {row['b']}; owner {row['owner']}: {row['cause']}"
        for row in rows
        if row["verdict"] == Verdict.FAIL
    ]
    summary = f"the picture is complete: {len(rows)} gates measured, {len(failed)} fail"
    return Decision.UNLOCK_P1, [summary, *failed]


def _not_evaluated(error: Segment5BError) -> DodItem:
    return DodItem(id="P0.0", text="the evidence can be taken", status=ItemStatus.RED, evidence=error.what)


def _write(
    run: Run,
    attempt: Attempt,
    inputs: list[InputDigest],
    scorecard: Scorecard | None,
    items: list[DodItem],
    error: Segment5BError | None,
) -> list[Path]:
    decision, reasons = decide(items, scorecard)
    results = scorecard.results if scorecard else ()
    common: dict[str, Any] = {
        "phase": PHASE,
        "attempt": attempt.number,
        "library_version": segment5b_lib.__version__,
        "run": identity_of(run),
        "scale": run.world.scale,
        "inputs": inputs,
        "measured": measured_values(results),
        "gates": gate_lines(results),
        "definition_of_done": items,
        "decision": decision,
        "reasons": reasons,
        "created_utc": utc_now(),
        "error": error.context() if error else None,
    }
    board = RealismGateboard(
        artefact=RealismGateboard.ARTEFACT, context=context_lines(scorecard) if scorecard else [], **common
    )
    matrix = OwnerStateMatrix(
        artefact=OwnerStateMatrix.ARTEFACT,
        axes=axis_lines(scorecard) if scorecard else [],
        owners=owner_lines(scorecard) if scorecard else [],
        **common,
    )
    figures = PublishedFigures(
        artefact=PublishedFigures.ARTEFACT, figures=figure_lines(scorecard) if scorecard else [], **common
    )
    page = gateboard_markdown(board, matrix, scorecard)
    return attempt.publish(
        {
            (board.artefact, "json"): board.content(),
            (board.artefact, "md"): page.encode("utf-8"),
            (matrix.artefact, "json"): matrix.content(),
            (figures.artefact, "json"): figures.content(),
        },
        {"decision": decision.value, "created_utc": board.created_utc},
    )


def _card(run: Run, scorecard: Scorecard) -> IdentityCard:
    horizons = scorecard.evidence.horizons
    start, end = min(h.start for h in horizons), max(h.end for h in horizons)
    return IdentityCard(
        run=identity_of(run),
        scale=run.world.scale,
        scenarios=tuple(horizon.scenario_id for horizon in horizons),
        horizon=f"{_utc(start)} to {_utc(end)}",
    )


def _utc(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
