"""How nbval compares: what people see (tables as HTML, charts as Vega-Lite) and not how Python spells an object.

A pytest plugin; it also makes nbval start kernels as `kernels` says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import nbval.kernel
import pytest
from nbval.plugin import IPyNbCell, get_sanitize_patterns

from segment5b_lib.charts.renderer import WIDGET_MIME
from tests.notebooks.kernels import kernel_manager

NOT_COMPARED: Final = ("text/plain", "stderr", WIDGET_MIME)
"""A repr names paths and addresses, a widget a model; every output that is compared has HTML or a chart beside it."""
SANITIZE: Final = Path(__file__).with_name("sanitize.cfg")
_DIGITS: Final = 9

nbval.kernel.KernelManager = kernel_manager


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Give every notebook cell our rules."""
    for item in items:
        if isinstance(item, IPyNbCell):
            item.parent.skip_compare = (*item.parent.skip_compare, *NOT_COMPARED)
            item.sanitize = partial(_comparable, item.sanitize)


def _comparable(sanitize: Callable[[str], str], value: Any) -> Any:
    return sanitize(value) if isinstance(value, str) else canonical(value)


def sanitized(text: str) -> str:
    """A text as nbval compares it."""
    for pattern, replacement in sanitize_rules():
        text = re.sub(pattern, replacement, text)
    return text


@lru_cache(maxsize=1)
def sanitize_rules() -> list[tuple[str, str]]:
    """What is replaced, and by what."""
    return get_sanitize_patterns(SANITIZE.read_text(encoding="ascii"))


def canonical(spec: Any) -> Any:
    """A chart's spec with nine significant digits, as sums have no order, and data sets named by position, not hash."""
    text = json.dumps(_rounded(spec))
    for position, name in enumerate(spec.get("datasets", {})):
        text = text.replace(f'"{name}"', f'"data-{position:02d}"')
    return json.loads(text)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value
