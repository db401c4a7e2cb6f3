"""Which module imports which: the layers of the library, import cycles, and imports that go up.

Every reference to another module counts: at load time, for type checkers only, inside a function, and as a text
that is exactly a module's name (`import_module`, `python -m`). Standard library only; nothing is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

LAYERS: Final = (
    ("version", "errors", "identity", "arrays", "html_table"),
    ("contract",),
    ("kernel", "civil_time"),
    ("store",),
    ("world",),
    ("model",),
    ("states",),
    ("engine",),
    ("gates",),
    ("calibrate",),
    ("views",),
    ("charts",),
    ("phases",),
    ("workbench",),
    ("reports",),
    ("cli",),
    ("__init__",),
)
"""Bottom up: a module imports from its own package and from lower layers. Packages that share a layer do not import
each other. `__init__` is the library's public face. A package that is not here is an error."""
LOAD, TYPING, LAZY = "load", "typing", "lazy"
"""Kinds of an import: runs when the module is loaded; for type checkers only; inside a function or by name."""

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_LEAVES: Final = (ast.Name, ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop)


class Module(NamedTuple):
    """A parsed source file: `name` is dotted and starts with the library's own."""

    name: str
    path: Path
    text: str
    tree: ast.Module


class Import(NamedTuple):
    """One module names another, at a line, in a way (`LOAD`, `TYPING`, `LAZY`)."""

    importer: str
    imported: str
    line: int
    kind: str


def modules(library: Path) -> dict[str, Module]:
    """Every module below the library's folder, by dotted name."""
    parsed = {}
    for path in sorted(library.rglob("*.py")):
        parts = (library.name, *path.relative_to(library).with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        parsed[name] = Module(name, path, text, ast.parse(text, str(path)))
    return parsed


def imports(library: Mapping[str, Module]) -> list[Import]:
    """Every import of one module of the library by another, in order of importer and line."""
    edges = {
        Import(module.name, target, line, kind)
        for module in library.values()
        for target, line, kind in _named(module, library)
        if target != module.name
    }
    return sorted(edges)


def cycles(edges: Iterable[Import]) -> list[list[str]]:
    """The groups of modules that import one another, directly or through others; each sorted."""
    targets: dict[str, set[str]] = {}
    for edge in edges:
        targets.setdefault(edge.importer, set()).add(edge.imported)
    reached = {name: _reachable(name, targets) for name in targets}
    groups = {
        tuple(sorted(other for other in reaches if name in reached.get(other, ())))
        for name, reaches in reached.items()
        if name in reaches
    }
    return sorted(list(group) for group in groups)


def shortest_cycle(group: Iterable[str], edges: Iterable[Import]) -> list[str]:
    """The fewest modules of a group from `cycles` that import one another in a ring, first module repeated."""
    members = set(group)
    targets: dict[str, list[str]] = {name: [] for name in members}
    for edge in edges:
        if edge.importer in members and edge.imported in members:
            targets[edge.importer].append(edge.imported)
    return min((_ring(start, targets) for start in sorted(members)), key=len)


def upward(edges: Iterable[Import]) -> list[Import]:
    """Imports from a higher layer, or from another package of the same layer; one for each pair of modules.

    Of several imports of a pair the heaviest is kept: at load time, then typing, then lazy.
    """
    kinds = (LOAD, TYPING, LAZY)
    pairs = groupby(sorted(edges), key=lambda edge: edge[:2])
    strongest = (min(same, key=lambda edge: kinds.index(edge.kind)) for _, same in pairs)
    return [edge for edge in strongest if _goes_up(edge)]


def children(node: ast.AST) -> list[ast.AST]:
    """Child nodes that can hold an import or a call: half of a tree are bare names, operators and contexts."""
    return [child for child in ast.iter_child_nodes(node) if not isinstance(child, _LEAVES)]


def package(module: str) -> str:
    """First name below the library: `store` of `segment5b_lib.store.runs`; `__init__` of the library itself."""
    return module.partition(".")[2].partition(".")[0] or "__init__"


def layer(module: str) -> int:
    """Index in `LAYERS`. ValueError for a package that is not declared there."""
    for index, packages in enumerate(LAYERS):
        if package(module) in packages:
            return index
    raise ValueError(f"{module} belongs to no layer: declare {package(module)!r} in benchmarks.imports.LAYERS")


def _goes_up(edge: Import) -> bool:
    same_package = package(edge.importer) == package(edge.imported)
    return not same_package and layer(edge.importer) <= layer(edge.imported)


def _named(module: Module, library: Mapping[str, Module]) -> Iterator[tuple[str, int, str]]:
    """Target, line and kind of everything in a module that names a module of the library."""
    waiting: list[tuple[ast.AST, str]] = [(module.tree, LOAD)]
    while waiting:
        node, kind = waiting.pop()
        for name in _targets(node, module, library):
            yield name, getattr(node, "lineno", 0), LAZY if isinstance(node, ast.Constant) else kind
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            waiting += [(child, TYPING) for child in node.body] + [(child, kind) for child in node.orelse]
            continue
        if kind == LOAD and isinstance(node, _FUNCTIONS):
            kind = LAZY
        waiting += [(child, kind) for child in children(node)]


def _targets(node: ast.AST, module: Module, library: Mapping[str, Module]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in library)
    elif isinstance(node, ast.ImportFrom):
        source = _absolute(node, module)
        for name in (f"{source}.{alias.name}" for alias in node.names):
            target = name if name in library else source
            if target in library:
                yield target
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in library:
        # A package that names itself does so for `importlib.resources`.
        yield from () if f"{module.name}.".startswith(f"{node.value}.") else (node.value,)


def _absolute(node: ast.ImportFrom, module: Module) -> str:
    """The module of a `from` import, also of a relative one."""
    if not node.level:
        return node.module or ""
    is_package = module.path.name == "__init__.py"
    parts = module.name.split(".")
    base = parts[: len(parts) - node.level + is_package]
    return ".".join([*base, *([node.module] if node.module else [])])


def _is_type_checking(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))


def _reachable(start: str, targets: Mapping[str, Iterable[str]]) -> set[str]:
    """What a module imports, directly or through others; itself only if it is on a cycle."""
    seen: set[str] = set()
    waiting = list(targets[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += targets.get(name, ())
    return seen


def _ring(start: str, targets: Mapping[str, Iterable[str]]) -> list[str]:
    """Breadth first from a module back to it; the caller knows that there is a way."""
    came_from: dict[str, str] = {}
    waiting = [start]
    for name in waiting:
        for target in targets[name]:
            if target == start:
                ring = [start, name]
                while ring[-1] != start:
                    ring.append(came_from[ring[-1]])
                return ring[::-1]
            if target not in came_from:
                came_from[target] = name
                waiting.append(target)
    raise ValueError(f"{start} is on no cycle")
