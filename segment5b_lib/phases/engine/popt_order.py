"""The order of work among POPT.1 and POPT.2, as POPT.0 has derived it from where the time goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from segment5b_lib.phases.engine.attempts import read_artefact, slug
from segment5b_lib.phases.engine.order import nearest
from segment5b_lib.phases.engine.phase import Phase
from segment5b_lib.store.runs import Run

SUBJECTS: Final = {"POPT.1": ("S1",), "POPT.2": ("S4",), "POPT.3": ("S2", "S3")}
"""Which states each optimisation phase is about."""


def ranked(phase: Phase, run: Run, others: Sequence[Run]) -> Phase:
    """The phase, also after those that POPT.0 has put before it."""
    order = order_of_work(run, others)
    earlier = order[: order.index(phase.name)] if phase.name in order else []
    return replace(phase, after=tuple(dict.fromkeys((*phase.after, *earlier))))


def order_of_work(run: Run, others: Sequence[Run]) -> list[str]:
    """Phases in POPT.0's order, from the nearest kin that it has spoken about; empty where it has not gone."""
    found = nearest("POPT.0", run, others)
    if found is None or not found.decision.opens:
        return []
    return list(read_artefact(slug("POPT.0"), found.run_id, "popt0_hotspot_map")["order_of_work"])


def is_closed(phase: str, run: Run, others: Sequence[Run]) -> bool:
    """Whether a phase's decision about the nearest kin that it has spoken about opens the next."""
    found = nearest(phase, run, others)
    return found is not None and found.decision.opens
