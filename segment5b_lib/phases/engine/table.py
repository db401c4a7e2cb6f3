"""The phases in the order of the plan, and the module of each."""

from __future__ import annotations

from types import ModuleType
from typing import Final

from segment5b_lib.phases import p0, p1, p2, p3, p4, p5, popt0, popt1, popt2, popt3, popt4, popt5

_IN_ORDER: Final = (popt0, popt1, popt2, popt3, popt4, popt5, p0, p1, p2, p3, p4, p5)
MODULES: Final[dict[str, ModuleType]] = {module.PHASE.name: module for module in _IN_ORDER}
"""Phase name to the module that implements it."""
