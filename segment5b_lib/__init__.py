"""Segment 5B workbench: find a defect in a realised arrival stream, prove its cause, fix it, certify it.

    import segment5b_lib as s5
    run = s5.open_run("@last")

Importing the library loads nothing else; each name below loads its module on first use.

compare : several runs side by side, the others compared with the first (`workbench.comparison`)
investigate : which local times are wrong, since when, and who owns the error (`workbench.investigation`)
phase : a phase of the plan on a run: measured, items, decision, publication (`workbench.phase`)
open_run : a run as an object: states, arrivals, SQL, scorecard, daylight saving (`workbench.open_run`)
predict : T1, T6 and T7 of a run under another policy, without running it (`workbench.forecast`)
runs : all runs, as a frame (`workbench.listing`)
scorecard_schema : JSON Schema of `scorecard().document()` (`gates.scoring`)
views : frames that describe a run, from `run.evidence` (`views`)
charts : a frame in, an Altair chart out, drawn offline; `charts.offset_heatmap(run)` (`charts`)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from segment5b_lib.version import __version__

if TYPE_CHECKING:
    from segment5b_lib import charts as charts
    from segment5b_lib import views as views
    from segment5b_lib.gates.scoring import scorecard_schema
    from segment5b_lib.workbench.comparison import compare as compare
    from segment5b_lib.workbench.forecast import predict as predict
    from segment5b_lib.workbench.investigation import investigate as investigate
    from segment5b_lib.workbench.listing import runs as runs
    from segment5b_lib.workbench.open_run import open_run as open_run
    from segment5b_lib.workbench.phase import phase as phase

_PLACES = {
    "charts": ("segment5b_lib.charts", ""),
    "compare": ("segment5b_lib.workbench.comparison", "compare"),
    "investigate": ("segment5b_lib.workbench.investigation", "investigate"),
    "open_run": ("segment5b_lib.workbench.open_run", "open_run"),
    "phase": ("segment5b_lib.workbench.phase", "phase"),
    "predict": ("segment5b_lib.workbench.forecast", "predict"),
    "runs": ("segment5b_lib.workbench.listing", "runs"),
    "scorecard_schema": ("segment5b_lib.gates.scoring", "scorecard_schema"),
    "views": ("segment5b_lib.views", ""),
}
"""Module of each public name, and its name in the module (empty: the module itself)."""

__all__ = [
    "__version__",
    "charts",
    "compare",
    "investigate",
    "open_run",
    "phase",
    "predict",
    "runs",
    "scorecard_schema",
    "views",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place, inside = _PLACES[name]
    module = import_module(place)
    return getattr(module, inside) if inside else module


def __dir__() -> list[str]:
    return sorted(__all__)
