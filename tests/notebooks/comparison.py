"""How nbval compares: what people see (tables as HTML, charts as Vega-Lite) and not how Python spells an object.

A chart's encoding and texts are compared as they are, its rows and its theme by digest. A pytest plugin; it also makes
nbval start kernels as `kernels` says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import nbval.kernel
import pytest
from nbval.plugin import IPyNbCell, get_sanitize_patterns

from segment5b_lib.charts.renderer import VEGALITE_MIME, WIDGET_MIME
from segment5b_lib.identity import canonical_json, sha256_hex
from tests.notebooks.kernels import kernel_manager

NOT_COMPARED: Final = ("text/plain", "stderr", WIDGET_MIME)
"""A repr names paths and addresses, a widget a model; every output that is compared has HTML or a chart beside it."""
SANITIZE: Final = Path(__file__).with_name("sanitize.cfg")
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}(?: \((\d+) rows\))?")
"""What stands for a chart's theme, or for its rows."""
_DIGITS: Final = 9

nbval.kernel.KernelManager = kernel_manager


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Give every notebook cell our rules."""
    for item in items:
        if isinstance(item, IPyNbCell):
            item.parent.skip_compare = (*item.parent.skip_compare, *NOT_COMPARED)
            item.sanitize = partial(_comparable, item.sanitize)
            item.format_output_compare = partial(_explain, item, item.format_output_compare)


def _comparable(sanitize: Callable[[str], str], value: Any) -> Any:
    return sanitize(value) if isinstance(value, str) else canonical(value)


def _explain(cell: IPyNbCell, otherwise: Callable[[str, Any, Any], None], key: str, stored: Any, live: Any) -> None:
    """Add to a cell's failure what differs; a chart is named, and so is each place in its spec."""
    if key != VEGALITE_MIME:
        return otherwise(key, stored, live)
    different = [f"  {place}: stored {one}, now {other}" for place, one, other in differences(stored, live)]
    cell.comparison_traceback += [f"in cell {cell.cell.id!r}, {chart_name(live)} differs:", *different]


def chart_name(spec: Any) -> str:
    """A chart by its title and marks."""
    title = spec.get("title", "without a title")
    text = title["text"] if isinstance(title, dict) else title
    return f"the chart {text!r} ({', '.join(sorted(set(_marks(spec))))})"


def _marks(spec: Any) -> Iterator[str]:
    if "mark" in spec:
        yield spec["mark"]["type"] if isinstance(spec["mark"], dict) else spec["mark"]
    for part in ("layer", "hconcat", "vconcat", "concat"):
        for one in spec.get(part, []):
            yield from _marks(one)
    if "spec" in spec:
        yield from _marks(spec["spec"])


def differences(one: Any, other: Any, place: str = "") -> Iterator[tuple[str, str, str]]:
    """Where two specs differ: the path, and both values as JSON."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from differences(one.get(key), other.get(key), f"{place}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for position, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            yield from differences(mine, theirs, f"{place}/{position}")
    elif one != other:
        yield place, json.dumps(one), json.dumps(other)


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
    """A chart's spec as it is stored and compared.

    Numbers have nine significant digits, as sums have no order; data sets are named by position, not by hash. Rows and
    the theme, which is the same for every chart, are digests. A canonical spec is its own canonical form.
    """
    short = {**_without_rows(_rounded(spec)), "config": _digest(_rounded(spec["config"]))}
    text = json.dumps(short)
    for position, name in enumerate(spec.get("datasets", {})):
        text = text.replace(f'"{name}"', f'"data-{position:02d}"')
    return json.loads(text)


def _without_rows(value: Any, name: str = "") -> Any:
    """A part of a spec, known by its name, with digests in place of rows: those of a named data set and inline ones."""
    if isinstance(value, list):
        return [_without_rows(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _rows_digest(one) if name == "datasets" or (name, key) == ("data", "values") else _without_rows(one, key)
        for key, one in value.items()
    }


def _rows_digest(rows: Any) -> str:
    return rows if isinstance(rows, str) else f"{_digest(rows)} ({len(rows)} rows)"


def _digest(value: Any) -> str:
    return value if isinstance(value, str) else f"sha256:{sha256_hex(canonical_json(value))}"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        rounded = float(f"{value:.{_DIGITS}g}")
        return int(rounded) if rounded.is_integer() else rounded  # equal numbers have one digest: -0.0 and 0, 1.0 and 1
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value
