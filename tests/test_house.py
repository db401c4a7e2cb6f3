"""Which module may import which: the library keeps its layers, and a breach would be reported."""

import re
from itertools import chain
from pathlib import Path

import pytest

from benchmarks.imports import (
    LAYERS,
    LAZY,
    LOAD,
    TYPING,
    Import,
    Module,
    cycles,
    imports,
    layer,
    modules,
    package,
    shortest_cycle,
    upward,
)
from benchmarks.shape import repeated_names

CLEAN = {
    "__init__.py": 'PLACES = {"page": "house.reports.page"}',
    "errors.py": "",
    "identity.py": "",
    "contract/__init__.py": "",
    "contract/words.py": "from house import errors",
    "kernel/__init__.py": "",
    "kernel/counts.py": "from house.errors import HouseError",
    "civil_time/__init__.py": "",
    "civil_time/oracle.py": "from ..errors import HouseError",
    "store/__init__.py": "",
    "store/runs.py": "import house.contract.words\nfrom house.store.roots import root",
    "store/roots.py": "from house.identity import run_id",
    "reports/__init__.py": "",
    "reports/page.py": "from house.store import runs",
}
"""A library of ten modules and their packages that keeps every rule."""


@pytest.fixture
def edges(tmp_path):
    """Imports of the clean library after some of its files got another text."""

    def write(**changed: str) -> list[Import]:
        for name, text in (CLEAN | {name.replace("__", "/") + ".py": text for name, text in changed.items()}).items():
            path = tmp_path / "house" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return imports(modules(tmp_path / "house"))

    return write


def test_a_library_that_keeps_the_rules_has_nothing_to_report(edges):
    clean = edges()
    assert cycles(clean) == []
    assert upward(clean) == []
    assert {(edge.importer, edge.imported, edge.kind) for edge in clean} == {
        ("house", "house.reports.page", LAZY),
        ("house.contract.words", "house.errors", LOAD),
        ("house.kernel.counts", "house.errors", LOAD),
        ("house.civil_time.oracle", "house.errors", LOAD),
        ("house.store.runs", "house.contract.words", LOAD),
        ("house.store.runs", "house.store.roots", LOAD),
        ("house.store.roots", "house.identity", LOAD),
        ("house.reports.page", "house.store.runs", LOAD),
    }


@pytest.mark.parametrize(
    ("text", "line", "kind"),
    [
        ("from house.reports import page", 1, LOAD),
        ("from house.reports.page import render", 1, LOAD),
        ("import house.reports.page as page", 1, LOAD),
        ("from ..reports import page", 1, LOAD),
        ("try:\n    from house.reports import page\nexcept ImportError:\n    page = None", 2, LOAD),
        ("class Root:\n    from house.reports.page import render", 2, LOAD),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.reports import page", 3, TYPING),
        ("import typing\nif typing.TYPE_CHECKING:\n    from house.reports import page", 3, TYPING),
        ("def root():\n    from house.reports import page\n    return page", 2, LAZY),
        ("async def root():\n    import house.reports.page", 2, LAZY),
        ("from importlib import import_module\n\npage = import_module('house.reports.page')", 3, LAZY),
        ("command = ['python', '-m', 'house.reports.page']", 1, LAZY),
    ],
)
def test_an_import_that_goes_up_is_reported_however_it_is_written(edges, text, line, kind):
    planted = edges(store__roots=text)
    assert upward(planted) == [Import("house.store.roots", "house.reports.page", line, kind)]
    assert cycles(planted) == [["house.reports.page", "house.store.roots", "house.store.runs"]]


def test_the_face_of_the_library_is_above_everything(edges):
    planted = edges(store__roots="from house import __version__", __init__="from house.store.roots import root")
    assert upward(planted) == [Import("house.store.roots", "house", 1, LOAD)]


def test_packages_of_one_layer_do_not_import_each_other(edges):
    planted = edges(kernel__counts="from house.civil_time import oracle")
    assert upward(planted) == [Import("house.kernel.counts", "house.civil_time.oracle", 1, LOAD)]


def test_several_imports_of_one_pair_are_one_that_goes_up_and_the_heaviest_counts(edges):
    planted = edges(store__roots="def root():\n    from house.reports import page\n\nfrom house.reports import page")
    assert upward(planted) == [Import("house.store.roots", "house.reports.page", 4, LOAD)]


@pytest.mark.parametrize(
    "text",
    [
        "from house.store import runs",
        "if TYPE_CHECKING:\n    from house.store.runs import Run",
        "def root():\n    from house.store.runs import Run",
    ],
)
def test_a_cycle_inside_a_package_is_reported(edges, text):
    planted = edges(store__roots=text)
    assert upward(planted) == []
    assert cycles(planted) == [["house.store.roots", "house.store.runs"]]
    assert shortest_cycle(cycles(planted)[0], planted) == ["house.store.roots", "house.store.runs", "house.store.roots"]


def test_of_a_large_cycle_the_shortest_ring_is_shown(edges):
    planted = edges(
        contract__words="from house.store import roots",
        store__roots="from house.store import runs",
        identity="from house.store import roots",
    )
    (group,) = cycles(planted)
    assert group == ["house.contract.words", "house.store.roots", "house.store.runs"]
    assert shortest_cycle(group, planted) == ["house.store.roots", "house.store.runs", "house.store.roots"]


def test_two_separate_cycles_are_two(edges):
    planted = edges(
        store__roots="from house.store import runs",
        contract__terms="from house.contract import words",
        contract__words="from house.contract import terms",
    )
    assert cycles(planted) == [
        ["house.contract.terms", "house.contract.words"],
        ["house.store.roots", "house.store.runs"],
    ]


def test_a_package_without_a_layer_is_refused(edges):
    with pytest.raises(ValueError, match=r"house\.attic\.box belongs to no layer: declare 'attic'"):
        upward(edges(attic__box="from house import errors"))


def test_each_package_is_declared_once():
    declared = [name for packages in LAYERS for name in packages]
    assert len(declared) == len(set(declared))


def test_the_table_in_contributing_is_the_declared_order():
    text = (Path(__file__).resolve().parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| (`.+?`) \|", text, flags=re.MULTILINE)
    assert [tuple(re.findall(r"`(\w+)`", cell)) for cell in first_cells] == list(LAYERS)


@pytest.fixture(scope="module")
def library():
    return modules(Path(__file__).resolve().parents[1] / "segment5b_lib")


def test_no_module_of_the_library_imports_from_a_higher_layer(library):
    assert all(layer(name) in range(len(LAYERS)) for name in library)
    assert upward(imports(library)) == []


def test_the_library_has_no_import_cycle(library):
    edges = imports(library)
    assert [shortest_cycle(group, edges) for group in cycles(edges)] == []


PROTOCOLS = {
    "gates": {"GATES", "measure"},
    "phases": {"PHASE", "bodies", "conclude", "files", "items", "measure", "measured_on", "sections"},
    "states": {"SPEC", "run"},
}
"""Names that modules of a package define each for itself, to be called by whoever goes through all of them."""
COMMANDS = {"attach", "compare", "investigate", "phase", "prune", "run", "runs", "score"}
"""Commands with the name of the function that they call."""
TWICE_ON_PURPOSE = {
    "app": "the commands of the program and those of its group `world`",
    "main": "where a process starts",
    "show": "the commands `show` and `world show`",
    "phase_board": "the phases' states as a frame, and their chart",
    "predict": "what a set of changes is expected to do: of a run's tables, and of a run by name",
}


def unexplained(library: dict[str, Module]) -> dict[str, list[str]]:
    """Public names that several modules define and that are none of the above, nor a view and its chart."""
    repeated = repeated_names(library)["repeated_names"]
    left = {
        name: [
            module
            for module in where
            if name not in PROTOCOLS.get(package(module), ()) and not (package(module) == "cli" and name in COMMANDS)
        ]
        for name, where in repeated.items()
        if name not in TWICE_ON_PURPOSE
    }
    pair = ["charts", "views"]
    return {name: where for name, where in left.items() if len(where) > 1 and sorted(map(package, where)) != pair}


def test_a_name_that_several_modules_define_means_one_thing(library):
    assert unexplained(library) == {}
    repeated = repeated_names(library)["repeated_names"]
    assert {*TWICE_ON_PURPOSE, *COMMANDS, *chain(*PROTOCOLS.values())} <= set(repeated), "an exception without a use"


def test_a_second_meaning_would_be_reported(tmp_path):
    files = {
        "views/counts.py": "def residuals(): ...\ndef items(): ...",
        "charts/counts.py": "def residuals(): ...",
        "phases/p0.py": "def items(): ...",
        "store/runs.py": "def open_run(): ...",
        "workbench/case.py": "def open_run(): ...\ndef attach(): ...",
        "cli/runs.py": "def attach(): ...",
    }
    for name, text in files.items():
        (tmp_path / "house" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "house" / name).write_text(text)
    assert unexplained(modules(tmp_path / "house")) == {"open_run": ["house.store.runs", "house.workbench.case"]}
