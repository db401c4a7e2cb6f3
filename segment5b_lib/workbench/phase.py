"""A phase of the plan on a run, step by step, for notebooks."""

from __future__ import annotations

from typing import Any

from segment5b_lib.phases.engine.execution import PhaseExecution, execution
from segment5b_lib.phases.engine.table import declared
from segment5b_lib.store.runs import Run
from segment5b_lib.workbench.open_run import OpenRun


def phase(name: str, run: str | Run | OpenRun | None = None, /, **parameters: Any) -> PhaseExecution[Any, Any]:
    """A phase on a run, with its steps as objects: `measured`, `items`, `decision`, `publish()`, `next_steps`.

    Parameters
    ----------
    name : `POPT.0` to `POPT.5`, `P0` to `P5`
    run : the run that the phase is about, by name or opened; by default the one that the phase names
    parameters : those of the phase, e.g. `baseline`, `witnesses`, `as_what_if`; runs by name or opened

    Returns
    -------
    PhaseExecution
        Frozen: a changed parameter makes another (`with_parameters`), and `publish` writes only what this one measured.

    Raises
    ------
    UsageError : an unknown phase, run or parameter, or a wrongly typed one.
    GateRefusal : a predecessor's decision is missing, and it is no what-if. Nothing is written.

    Example: `s5.phase("P0", run, as_what_if=True).measured`
    """
    given = {} if run is None else {"run_id": _name(run)}
    return execution(declared(name), {**given, **{key: _name(value) for key, value in parameters.items()}})


def _name(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_name(entry) for entry in value]
    return value.run_id if isinstance(value, (Run, OpenRun)) else value
