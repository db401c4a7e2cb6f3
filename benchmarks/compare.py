"""Two results side by side: the ratio of the medians, its range, and whether it is significant."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

NOT_DISTINGUISHABLE = "not_distinguishable"
LEAST_REPETITIONS = 3
"""Fewer repetitions show no spread, so they give no verdict."""
_COLOURS = {"better": "green", "worse": "red", NOT_DISTINGUISHABLE: "dim"}


def comparison(base: dict[str, Any], new: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per measure of both results: `ratio` (new ÷ base) with `low` and `high`, and `verdict`.

    The ratio is that of the medians; `low` and `high` are the minimum and the maximum ratio of any two
    repetitions. ValueError if the results are of different work.
    """
    for key in ("scale", "posture", "seed"):
        if base["about"][key] != new["about"][key]:
            raise ValueError(f"results of different work: {key} {base['about'][key]} and {new['about'][key]}")
    return [
        {"measure": name, **_ratio(old, new["measures"][name])}
        for name, old in base["measures"].items()
        if name in new["measures"]
    ]


def _ratio(base: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {
        "ratio": new["median"] / base["median"],
        "low": new["min"] / base["max"],
        "high": new["max"] / base["min"],
        "verdict": _verdict(base, new),
    }


def _verdict(base: dict[str, Any], new: dict[str, Any]) -> str:
    """Better or worse only if the medians differ by more than the larger spread of the two."""
    difference = new["median"] - base["median"]
    spread = max(side["max"] - side["min"] for side in (base, new))
    if abs(difference) <= spread or min(len(base["values"]), len(new["values"])) < LEAST_REPETITIONS:
        return NOT_DISTINGUISHABLE
    return "better" if (difference < 0) == (base["better"] == "less") else "worse"


def show(base: dict[str, Any], new: dict[str, Any], console: Console) -> None:
    """The comparison as a table, and other differences between the two than the code."""
    for key in ("machine", "versions"):
        for name, value in base[key].items():
            if new[key].get(name) != value:
                console.print(f"[yellow]{key}: {name} {value} against {new[key].get(name)}[/]")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("measure", "new ÷ base", "min to max", ""):
        table.add_column(heading, overflow="fold")
    for row in comparison(base, new):
        colour = _COLOURS[row["verdict"]]
        span = f"{row['low']:.3f} to {row['high']:.3f}"
        table.add_row(row["measure"], f"{row['ratio']:.3f}", span, f"[{colour}]{row['verdict']}[/]")
    console.print(table)
