"""A result: measures with all their repetitions, as one JSON document.

Keys of the document: `schema`, `about` (command, scale, posture, seed, repetitions, threads, start), `machine`,
`versions`, `sizes` (rows, arrivals and bytes by scale), `measures`. A measure is named `<subject>.<what>`, and
its `what` gives its unit and whether less or more of it is better.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SCHEMA = "segment5b-benchmark/1"

KINDS = {
    "wall_s": ("s", "less"),
    "cpu_s": ("s", "less"),
    "peak_bytes": ("B", "less"),
    "rows_per_s": ("rows/s", "more"),
    "floor_s": ("s", "less"),
    "floor_ratio": ("×", "less"),
    "speedup": ("×", "more"),
    "time_per_arrival": ("×", "less"),
    "memory": ("×", "less"),
    "compile_s": ("s", "less"),
    "load_s": ("s", "less"),
    "bytes": ("B", "less"),
    "bytes_per_arrival": ("B", "less"),
}
"""Kinds of measures: unit, and the better direction."""


def measure(name: str, values: Sequence[float]) -> dict[str, Any]:
    """All repetitions of one measure, with median and range."""
    unit, better = KINDS[name.rpartition(".")[2]]
    return {
        "unit": unit,
        "better": better,
        "values": list(values),
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
    }


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write a result, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Read a result; another kind of file is a ValueError."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ValueError(f"{path} is not a result of schema {SCHEMA}")
    return document


def newest(folder: Path, scale: str) -> Path:
    """The latest result of a scale in a folder; results are named by scale and start."""
    results = sorted(folder.glob(f"{scale}-*.json"))
    if not results:
        raise FileNotFoundError(f"no result of scale {scale} in {folder}: make bench SCALE={scale}")
    return results[-1]
