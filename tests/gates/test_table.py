"""The table is made of the modules: each row has its thresholds, and its module says where they stand."""

from __future__ import annotations

import pkgutil
import re
import sys
from importlib import import_module
from types import ModuleType

import pytest

from segment5b_lib import gates
from segment5b_lib.contract.verdicts import THRESHOLD_FILE, thresholds_of
from segment5b_lib.gates.attribution import CLOCK_GATES
from segment5b_lib.gates.gate import Gate, Group
from segment5b_lib.gates.table import CROSS_RUN_GATES, GATES, gates_of
from tests.gates.made_up import policy

MODULES = [name for _, name, _ in pkgutil.iter_modules(gates.__path__) if re.fullmatch(r"[at]\d\d_\w+|runtime", name)]
ROWS: dict[str, tuple[Gate, ...]] = {name: import_module(f"{gates.__name__}.{name}").GATES for name in MODULES}


def last_paragraph(module: ModuleType) -> str:
    assert module.__doc__ is not None
    return module.__doc__.strip().split("\n\n")[-1]


@pytest.mark.parametrize("name", ROWS)
def test_a_module_s_docstring_ends_with_file_and_key_of_its_thresholds(name: str) -> None:
    text = last_paragraph(import_module(f"{gates.__name__}.{name}"))
    assert text.startswith(f"Thresholds: {THRESHOLD_FILE}.yaml, ")
    named = set(re.findall(r"\b(?:gates|runtime)\.\w+", text))
    keys = {row.threshold_key for row in ROWS[name]}
    assert named == {key if key.startswith("gates.") else key.rsplit(".", 1)[0] for key in keys}


def test_every_row_of_a_module_is_in_the_table_once() -> None:
    table = [row.gate_id for row in (*GATES, *CROSS_RUN_GATES)]
    assert sorted(table) == sorted(row.gate_id for rows in ROWS.values() for row in rows)
    assert len(set(table)) == len(table)


@pytest.mark.parametrize("row", [*GATES, *CROSS_RUN_GATES], ids=lambda row: row.gate_id)
def test_every_row_s_thresholds_stand_in_the_policy(row: Gate) -> None:
    if row.group is Group.RUNTIME:
        _, kind, name = row.threshold_key.split(".")
        assert name in {str(key) for key in getattr(policy().runtime, kind)}
    else:
        assert thresholds_of(policy(), row.threshold_key.removeprefix("gates."))


@pytest.mark.parametrize("row", GATES, ids=lambda row: row.gate_id)
def test_every_row_of_a_scorecard_is_measured_by_its_own_module(row: Gate) -> None:
    assert row.measure is not None
    assert row in sys.modules[row.measure.__module__].GATES


def test_rules_and_groups_name_the_same_clocks() -> None:
    assert gates_of(Group.CLOCK) == CLOCK_GATES
