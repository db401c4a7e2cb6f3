"""Words that the library does not use: a private dialect, and names that say nothing about their value."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "segment5b_lib"

PHRASES = {
    "anew": "again",
    "are told": "are reported, receive",
    "astray": "unroutable",
    "beside": "with, next to, in addition to",
    "counts for nothing": "is not evidence",
    "falls short": "is below",
    "for want of": "without, out of",
    "held against": "compared with",
    "is told": "is reported, receives",
    "kin": "related runs",
    "lets? pass": "allowed",
    "lies about": "is left",
    "luck": "noise",
    "muddles": "mishandles",
    "nobody looks": "ignored",
    "rests? on": "inputs, is based on",
    "room": "package, space, margin",
    "sign of life": "progress",
    "somebody": "another tool, another process",
    "told apart": "distinguished",
    "untold": "missing",
    "vouch(es)? for": "records the digest of",
    "whose (fault|error)": "which owner",
    "whose (is it|it is)": "owner",
}
"""Patterns of whole words in source text and prose, with what to write."""

NAMES = {
    "astray": "unroutable",
    "beside": "others",
    "circle": "group",
    "found": "result, rows, run, path, actual",
    "here": "local, installed, position",
    "kin": "related_runs",
    "luck": "noise",
    "mine": "left, current",
    "one": "run, row, item",
    "ours": "measured",
    "room": "width, free, margin",
    "said": "text, declared",
    "spoken": "decided",
    "there": "present, available",
    "theirs": "right, other",
    "told": "declared, receipt",
    "untold": "missing_fields",
}
"""Functions, arguments and local variables, with what to write. `found=` of errors is a field, and allowed."""

ERROR_FIELD = "found"
"""An argument of this name is passed on to the error's field of this name."""

ANY_PHRASE = re.compile(rf"(?<![\w.])({'|'.join(PHRASES)})(?!\w)", re.IGNORECASE)


def replacement(phrase: str) -> str:
    """What to write in place of a phrase."""
    return next(better for pattern, better in PHRASES.items() if re.fullmatch(pattern, phrase, re.IGNORECASE))


def parts() -> dict[str, list[Path]]:
    """Files by part: each package and top-level module of the library, notebooks, benchmarks, and pages of the root."""
    by_part: dict[str, list[Path]] = {}
    for path in sorted(LIBRARY.rglob("*.py")):
        by_part.setdefault(path.relative_to(LIBRARY).parts[0], []).append(path)
    by_part["benchmarks"] = sorted((ROOT / "benchmarks").glob("*.py"))
    by_part["notebooks"] = sorted((ROOT / "notebooks").glob("*.ipynb"))
    return by_part | {name: [ROOT / name] for name in ("README.md", "CONTRIBUTING.md", "Makefile")}


def prose(path: Path) -> str:
    """Text of a file; of a notebook its cells."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])


def bound_names(text: str) -> Iterator[tuple[int, str]]:
    """Line and name of every function, argument and local variable; fields of classes are not counted."""
    tree = ast.parse(text)
    fields = {id(line.target) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for line in annotated(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in fields:
            yield node.lineno, node.id
        elif isinstance(node, ast.arg) and node.arg != ERROR_FIELD:
            yield node.lineno, node.arg


def annotated(node: ast.ClassDef) -> list[ast.AnnAssign]:
    return [line for line in node.body if isinstance(line, ast.AnnAssign)]


def offences(text: str, *, is_code: bool) -> list[str]:
    """Each use of a listed word: line, word, and what to write."""
    phrases = [
        f"{text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}: write {replacement(match[0])}"
        for match in ANY_PHRASE.finditer(text)
    ]
    names = bound_names(text) if is_code else ()
    return phrases + [f"{line}: name {name!r}: write {NAMES[name]}" for line, name in names if name in NAMES]


@pytest.mark.parametrize("part", parts())
def test_a_part_uses_the_words_of_the_field(part: str) -> None:
    uses = [
        f"{path.relative_to(ROOT)}:{offence}"
        for path in parts()[part]
        for offence in offences(prose(path), is_code=path.suffix == ".py")
    ]
    assert not uses, "\n".join(uses)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('"""Which run it rests on."""', "rests on"),
        ("# printed beside the figures", "beside"),
        ("x = 'Nobody looks at it'", "Nobody looks"),
        ("found = 1", "found"),
        ("for one in range(3): pass", "one"),
        ("def told(): pass", "told"),
        ("def f(theirs): pass", "theirs"),
        ("rows = [said for said in ()]", "said"),
        ("if (here := 1): pass", "here"),
    ],
)
def test_a_listed_word_is_reported(text: str, word: str) -> None:
    (offence,) = offences(text, is_code=True)
    assert f"1: {word!r}" in offence or f"1: name {word!r}" in offence


@pytest.mark.parametrize(
    "text",
    [
        "raise KeyError(found=1)",
        "def refuse(found): pass",
        "class Issue:\n    found: str = ''",
        "besides = kinds = classroom = 1",
        "print(self.found)",
    ],
)
def test_other_words_and_the_field_of_errors_are_not_reported(text: str) -> None:
    assert offences(text, is_code=True) == []
