"""Every public function has an example in its docstring, and the examples run on the tiny world."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import segment5b_lib as s5
from segment5b_lib.gates import scoring
from segment5b_lib.phases.engine.execution import PhaseExecution
from segment5b_lib.workbench.comparison import Comparison
from segment5b_lib.workbench.dst import DaylightSaving
from segment5b_lib.workbench.forecast import GateForecast
from segment5b_lib.workbench.investigation import Investigation
from segment5b_lib.workbench.open_run import OpenRun
from tests.charts import test_charts

EXAMPLE = re.compile(r"^Example: `(.+)`$", re.MULTILINE)
RETURNED = (OpenRun, DaylightSaving, Comparison, Investigation, GateForecast, PhaseExecution, s5.views.ClockCounts)
"""Classes of the objects that public functions return; their public methods are public functions too."""
WRITES = ("PhaseExecution.publish",)
"""Their examples are compiled but not run: the session's outputs are read-only."""


def public_functions() -> dict[str, Callable[..., Any]]:
    """Functions that the library, its charts and its views export, and methods of the objects that they return."""
    exported = {f"s5.{name}": getattr(s5, name) for name in s5.__all__}
    for module in (s5.charts, s5.views):
        exported |= {f"{module.__name__}.{name}": getattr(module, name) for name in module.__all__}
    methods = {
        f"{kind.__name__}.{name}": value
        for kind in RETURNED
        for name, value in vars(kind).items()
        if not name.startswith("_")
    }
    return {name: value for name, value in {**exported, **methods}.items() if inspect.isfunction(value)}


FUNCTIONS = public_functions()


def example(function: Callable[..., Any]) -> str:
    """The one example of a docstring, as code."""
    (code,) = EXAMPLE.findall(inspect.cleandoc(function.__doc__ or ""))
    return str(code)


@pytest.fixture(scope="module")
def names(published_run, civil_time_run, tmp_path_factory) -> Iterator[dict[str, Any]]:
    """What the examples may use: the library, a run and what it opens, and frames of phases."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("scorecards")
        patch.setattr(scoring, "outputs_folder", lambda: folder)
        run = s5.open_run(published_run.run_id)
        yield {
            "s5": s5,
            "charts": s5.charts,
            "views": s5.views,
            "run": run,
            "evidence": run.evidence,
            "comparison": s5.compare(published_run.run_id, civil_time_run.run_id),
            "investigation": s5.investigate(published_run.run_id),
            "scorecard": run.scorecard(),
            "by_seed": test_charts.seeds(),
            "board": test_charts.board(),
            "moments": test_charts.moments(),
            "pairs": test_charts.pairs(),
            "interval": test_charts.interval(),
            "roles": {"@baseline": published_run.run_id, "@candidate": civil_time_run.run_id},
        }


def test_the_public_functions_are_those_of_the_face() -> None:
    assert len(FUNCTIONS) > 80
    assert {"s5.compare", "segment5b_lib.charts.lorenz", "segment5b_lib.views.lorenz", "OpenRun.sql"} <= set(FUNCTIONS)


@pytest.mark.parametrize("docstring", [None, "Does a thing.", "Example: `a()`\n\nExample: `b()`"])
def test_a_function_without_one_example_is_refused(docstring) -> None:
    def function() -> None: ...

    function.__doc__ = docstring
    with pytest.raises(ValueError, match="values to unpack"):
        example(function)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_example_calls_its_function_and_works(name, names) -> None:
    code = example(FUNCTIONS[name])
    assert f"{name.rsplit('.', 1)[-1]}(" in code
    for role, run_id in names["roles"].items():
        code = code.replace(role, run_id)
    compiled = compile(code, name, "eval")
    if name not in WRITES:
        eval(compiled, dict(names))
