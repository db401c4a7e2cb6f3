"""P0: what is wrong with the baseline, by how much, and whose is it?

Red gates are what P0 is for: it opens P1 as soon as the picture is complete, however bad it looks.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from segment5b_lib.contract.words import Decision, Verdict
from segment5b_lib.gates import saved
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.table import EVIDENCE
from segment5b_lib.phases.engine.closure import Closure
from segment5b_lib.phases.engine.phase import Finding, Phase, conduct
from segment5b_lib.phases.engine.repair import next_steps
from segment5b_lib.phases.figure_measures import EVIDENCE as MEASURED_ON
from segment5b_lib.phases.p0_artefacts import (
    OwnerStateMatrix,
    RealismGateboard,
    axis_lines,
    context_lines,
    context_rows,
    owner_lines,
)
from segment5b_lib.phases.p0_board import sections
from segment5b_lib.phases.p0_clocks import tz_databases, tz_frame
from segment5b_lib.phases.p0_done import definition_of_done
from segment5b_lib.phases.p0_figures import PublishedFigures, figure_lines, figures_frame
from segment5b_lib.store.runs import Run

PHASE: Final = Phase(
    name="P0",
    question="What is wrong with this run, by how much, and whose is it?",
    after=("POPT.5",),
    hold=Decision.HOLD_P0_REOPEN,
    artefacts=(RealismGateboard, OwnerStateMatrix, PublishedFigures),
    pages=(RealismGateboard.ARTEFACT,),
)


def execute(run: Run, *, what_if: bool = False) -> Closure:
    """Score the run, decide, and write a new attempt of P0's artefacts."""
    read = {*EVIDENCE, *MEASURED_ON}
    return conduct(PHASE, run, lambda: examine(run, saved.scorecard(run)), evidence=read, what_if=what_if)


def examine(run: Run, scorecard: Scorecard) -> Finding:
    """The picture of a scored run: complete or not, and what fails."""
    return Finding(
        items=definition_of_done(run, scorecard),
        opens=Decision.UNLOCK_P1,
        reasons=_reasons(scorecard),
        gates=scorecard.results,
        own={
            RealismGateboard: {"context": context_lines(scorecard), "tz_databases": tz_databases(scorecard)},
            OwnerStateMatrix: {"axes": axis_lines(scorecard), "owners": owner_lines(scorecard)},
            PublishedFigures: {"figures": figure_lines(scorecard)},
        },
        sections=sections(scorecard),
        next_steps=next_steps(scorecard),
        scorecards=[scorecard],
    )


def earlier_figures(scorecard: Scorecard) -> pl.DataFrame:
    """Bounds that stood before the plan, beside what was measured: context, never a verdict."""
    return pl.DataFrame(context_rows(context_lines(scorecard)))


def published_figures(scorecard: Scorecard) -> pl.DataFrame:
    """Every published figure beside ours (see `p0_figures`); what lies outside is told, and decides nothing."""
    return figures_frame(scorecard)


def tz_drift(scorecard: Scorecard) -> pl.DataFrame:
    """The machine's other tz databases over the run's horizon (see `p0_clocks`)."""
    return tz_frame(scorecard)


def _reasons(scorecard: Scorecard) -> list[str]:
    rows = scorecard.frame().to_dicts()
    failed = [
        f"{row['gate']} {row['title']}: {row['value']}, B is {row['b']}; owner {row['owner']}: {row['cause']}"
        for row in rows
        if row["verdict"] == Verdict.FAIL
    ]
    return [f"the picture is complete: {len(rows)} gates measured, {len(failed)} fail", *failed]
