"""The phases in the order of the plan, and the module of each."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from segment5b_lib.errors import UsageError
from segment5b_lib.phases import p0, p1, p2, p3, p4, p5, popt0, popt1, popt2, popt3, popt4, popt5
from segment5b_lib.phases.phase import Phase

_IN_ORDER: Final = (popt0, popt1, popt2, popt3, popt4, popt5, p0, p1, p2, p3, p4, p5)
MODULES: Final[dict[str, ModuleType]] = {module.PHASE.name: module for module in _IN_ORDER}
"""Phase name to the module that implements it."""


def phase_of(name: str) -> Phase:
    """Look a phase up by name, in any case; the error lists what exists."""
    if name.upper() not in MODULES:
        raise UsageError("5B.PHASE.UNKNOWN", f"there is no phase {name!r}", expected=", ".join(MODULES), found=name)
    phase: Phase = MODULES[name.upper()].PHASE
    return phase
