"""Every decision word is claimed by a test that carries `reaches(word)`; such a test fails unless its phase says so."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from segment5b_lib.contract.words import Decision


def claimed(source: str) -> Iterator[str]:
    """Names of the words that the marks in a module claim."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "reaches":
            yield from (word.attr for word in node.args if isinstance(word, ast.Attribute))


def test_every_word_is_reached_by_a_test() -> None:
    claims = Counter(word for path in Path(__file__).parent.glob("test_*.py") for word in claimed(path.read_text()))
    assert set(claims) == {word.name for word in Decision}


def test_a_claim_is_read_from_a_mark() -> None:
    assert list(claimed("@pytest.mark.reaches(Decision.GO_P0, Decision.PASS_B)\ndef test() -> None: ...")) == [
        "GO_P0",
        "PASS_B",
    ]
