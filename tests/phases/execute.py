"""Execute a phase as a notebook does: its steps, then its publication."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import segment5b_lib as s5
from segment5b_lib.contract.words import Decision
from segment5b_lib.phases.engine.execution import PhaseExecution
from segment5b_lib.phases.engine.phase import Measured, Phase, decide
from segment5b_lib.store.runs import Run
from segment5b_lib.workbench.open_run import OpenRun


def execute(name: str, run: Run | OpenRun | str, /, **parameters: Any) -> PhaseExecution[Any, Any]:
    """The published phase."""
    phase = s5.phase(name, run, **parameters)
    phase.publish()
    return phase


def artefacts(phase: PhaseExecution[Any, Any]) -> Sequence[Path]:
    """The files that a phase has published."""
    return phase.publish().artefacts


def decided(phase: Phase[Any, Any], measured: Measured) -> tuple[Decision, tuple[str, ...]]:
    """What a phase decides on something that a test has planted."""
    items = phase.items(measured)
    return decide(phase.hold, items, phase.conclude(measured, items))
