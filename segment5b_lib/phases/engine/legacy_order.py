"""The former way to put a phase after those that POPT.0 has ranked before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from segment5b_lib.phases.engine.legacy import Phase
from segment5b_lib.phases.engine.order import order_of_work
from segment5b_lib.store.runs import Run


def ranked(phase: Phase, run: Run, others: Sequence[Run]) -> Phase:
    """The phase, also after those that POPT.0 has put before it."""
    order = order_of_work(run, others)
    earlier = order[: order.index(phase.name)] if phase.name in order else []
    return replace(phase, after=tuple(dict.fromkeys((*phase.after, *earlier))))
