"""The phases in the order of the plan."""

from __future__ import annotations

from typing import Any, Final

from segment5b_lib.errors import UsageError
from segment5b_lib.phases import p0, p1, p2, p3, p4, p5, popt0, popt1, popt2, popt3, popt4, popt5
from segment5b_lib.phases.engine.phase import Phase

_IN_ORDER: Final = (popt0, popt1, popt2, popt3, popt4, popt5, p0, p1, p2, p3, p4, p5)
PHASES: Final[dict[str, Phase[Any, Any]]] = {module.PHASE.name: module.PHASE for module in _IN_ORDER}
"""Every phase by its name, in the order of the plan."""


def declared(name: str) -> Phase[Any, Any]:
    """A phase by its name, e.g. `P0`; upper and lower case are alike.

    Raises
    ------
    UsageError : there is no such phase.
    """
    if name.upper() not in PHASES:
        raise UsageError("5B.PHASE.UNKNOWN", f"there is no phase {name!r}", expected=", ".join(PHASES), found=name)
    return PHASES[name.upper()]
