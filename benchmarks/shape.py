"""Size and structure of a checkout: `make shape`.

Reads source text with the standard library only; nothing of the library is imported or run.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.imports import LOAD, Module, children, cycles, imports, modules, package, shortest_cycle, upward

LONG_MODULE, FULL_FOLDER = 300, 30
PARQUET_OPENERS: Final = frozenset(
    {"ParquetFile", "ParquetDataset", "read_table", "read_parquet", "scan_parquet", "read_metadata", "read_schema"}
)
"""Methods of PyArrow, Polars and DuckDB that open a Parquet file; `read_parquet` also counts inside a text of SQL."""

DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def shape(root: Path) -> dict[str, Any]:
    """Every figure of a checkout, as plain JSON: a count, or the list of what was counted."""
    library = modules(root / "segment5b_lib")
    stored = [path for path in (root / "tests/notebooks/stored").rglob("*") if path.is_file()]
    tests = list((root / "tests").rglob("*.py"))
    return {
        "files": len(library),
        "lines": sum(map(_lines, library.values())),
        **_import_figures(library),
        **repeated_names(library),
        **_call_figures(library),
        "stored_files": len(stored),
        "stored_lines": sum(path.read_bytes().count(b"\n") for path in stored),
        "stored_bytes": sum(path.stat().st_size for path in stored),
        "test_files": len(tests),
        "test_lines": sum(path.read_bytes().count(b"\n") for path in tests),
        "long_modules": {name: _lines(module) for name, module in library.items() if _lines(module) > LONG_MODULE},
        "full_folders": _full_folders(root, library),
    }


def table(figures: Mapping[str, Any]) -> str:
    """The figures as a table, then the lists of those that should be empty or short."""
    kinds = Counter(edge["kind"] for edge in figures["upward"])
    names = figures["repeated_names"]
    functions = sum(map(_is_lower, names))
    rows = {
        "library": f"{figures['lines']:,} lines in {figures['files']} files",
        "import cycles": f"{len(figures['cycles'])} ({figures['cycles_at_load']} when loaded, "
        f"{figures['cycles_without_face']} without the library's __init__)",
        "upward imports": f"{len(figures['upward'])} "
        f"({', '.join(f'{number} {kind}' for kind, number in sorted(kinds.items())) or 'none'})",
        "dict[str, Any]": f"{sum(figures['dict_str_any'].values())} in {len(figures['dict_str_any'])} modules",
        "names in several modules": f"{len(names)} ({functions} functions, {len(names) - functions} classes and "
        f"constants; private: {len(figures['repeated_private_names'])})",
        "functions that open Parquet": f"{len(figures['parquet_openers'])} outside store/",
        "bare duckdb.connect": f"{sum(figures['bare_duckdb'].values())} outside store/query.py",
        "stored notebooks": f"{figures['stored_lines']:,} lines, {figures['stored_bytes']:,} bytes "
        f"in {figures['stored_files']} files",
        "tests": f"{figures['test_lines']:,} lines in {figures['test_files']} files",
        f"modules over {LONG_MODULE} lines": len(figures["long_modules"]),
        f"folders over {FULL_FOLDER} modules": len(figures["full_folders"]),
    }
    width = max(map(len, rows))
    lines = [f"{title:<{width}}  {value}" for title, value in rows.items()]
    for title, details in _details(figures).items():
        lines += ["", f"{title}:", *(f"  {detail}" for detail in details)] if details else []
    return "\n".join(lines)


def _details(figures: Mapping[str, Any]) -> dict[str, list[str]]:
    repeated = figures["repeated_names"].items()

    def counted(key: str) -> list[str]:
        return [f"{name} {count}" for name, count in figures[key].items()]

    return {
        "import cycles": [
            f"{cycle['modules']} modules: {' → '.join(cycle['shortest'])}" for cycle in figures["cycles"]
        ],
        "upward imports": ["{importer}:{line} → {imported} ({kind})".format(**edge) for edge in figures["upward"]],
        "names in several modules": [f"{name}: {', '.join(where)}" for name, where in repeated],
        "functions that open Parquet": counted("parquet_openers"),
        "bare duckdb.connect": counted("bare_duckdb"),
        f"modules over {LONG_MODULE} lines": counted("long_modules"),
        f"folders over {FULL_FOLDER} modules": counted("full_folders"),
    }


def _import_figures(library: Mapping[str, Module]) -> dict[str, Any]:
    edges = imports(library)
    below = [edge for edge in edges if "__init__" not in (package(edge.importer), package(edge.imported))]
    return {
        "cycles": [{"modules": len(group), "shortest": shortest_cycle(group, edges)} for group in cycles(edges)],
        "cycles_at_load": len(cycles(edge for edge in edges if edge.kind == LOAD)),
        "cycles_without_face": len(cycles(below)),
        "upward": [edge._asdict() for edge in upward(edges)],
    }


def repeated_names(library: Mapping[str, Module]) -> dict[str, dict[str, list[str]]]:
    """Top-level names that several modules define, with those modules; dunder names are not counted."""
    places = defaultdict(list)
    for module in library.values():
        for name in sorted(set(_top_level(module.tree.body))):
            if not name.startswith("__"):
                places[name].append(module.name)
    repeated = {name: places[name] for name in sorted(places) if len(places[name]) > 1}
    return {
        "repeated_names": {name: where for name, where in repeated.items() if not name.startswith("_")},
        "repeated_private_names": {name: where for name, where in repeated.items() if name.startswith("_")},
    }


def _top_level(statements: list[ast.stmt]) -> Iterator[str]:
    """Functions, classes and constants, also those below a top-level `if` or `try`; not what is imported."""
    for node in statements:
        if isinstance(node, DEFINITIONS):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (inner.id for target in targets for inner in ast.walk(target) if isinstance(inner, ast.Name))
        elif isinstance(node, ast.If | ast.Try):
            yield from _top_level([*node.body, *node.orelse])


def _call_figures(library: Mapping[str, Module]) -> dict[str, dict[str, int]]:
    """Per module, and per function or method that holds the call itself (`<module>` at module level)."""
    untyped, openers, connections = Counter[str](), Counter[str](), Counter[str]()
    for module in library.values():
        for node, function in _walk(module.tree):
            where = f"{module.name}.{function or '<module>'}"
            untyped[module.name] += _is_dict_str_any(node)
            openers[where] += _opens_parquet(node) and package(module.name) != "store"
            connections[where] += _connects(node) and not module.name.endswith(".store.query")
    kinds = {"dict_str_any": untyped, "parquet_openers": openers, "bare_duckdb": connections}
    return {key: dict(sorted((+counter).items())) for key, counter in kinds.items()}


def _walk(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Every node that can hold a call, with the dotted name of the function or class around it."""
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        node, around = waiting.pop()
        yield node, around
        if isinstance(node, DEFINITIONS):
            around = f"{around}.{node.name}".lstrip(".")
        waiting += [(child, around) for child in children(node)]


def _is_dict_str_any(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and ast.unparse(node) == "dict[str, Any]"


def _opens_parquet(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and "read_parquet(" in node.value
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PARQUET_OPENERS


def _connects(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "duckdb.connect"


def _full_folders(root: Path, library: Mapping[str, Module]) -> dict[str, int]:
    sizes = Counter(str(module.path.parent.relative_to(root)) for module in library.values())
    return {folder: size for folder, size in sizes.items() if size > FULL_FOLDER}


def _is_lower(name: str) -> bool:
    return name == name.lower()


def _lines(module: Module) -> int:
    return module.text.count("\n")
