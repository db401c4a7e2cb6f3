"""Targets of the design: at any scale, and at authority scale on two cores."""

from __future__ import annotations

from typing import Any

GIB = 1 << 30
STATE_SECONDS = {"S0": 4, "S1": 3, "S2": 10, "S3": 8, "S4": 28, "S5": 5}
ANY_SCALE = {
    "arrivals on disk.bytes_per_arrival": 14,
    "segment5b --help.wall_s": 0.4,
    "import segment5b_lib.wall_s": 0.5,
    "cold kernels.compile_s": 30,
}
AUTHORITY = {
    **{f"{name}.wall_s": seconds for name, seconds in STATE_SECONDS.items()},
    **{f"{name}.peak_bytes": 3 * GIB for name in (*STATE_SECONDS, "S1..S5")},
    "S2.floor_ratio": 1.6,
    "S3.floor_ratio": 1.6,
    "S4.floor_ratio": 1.5,
    "S4 2 threads.speedup": 1.8,
    "S1..S5.wall_s": 55,
    "medium to authority.time_per_arrival": 1.1,
    "medium to authority.memory": 1.1,
    "scorecard.wall_s": 30,
    "world build.wall_s": 90,
    "world build.peak_bytes": 4 * GIB,
}


def target(name: str, scale: str) -> float | None:
    """The bound of a measure at a scale; None without a target."""
    return (ANY_SCALE | AUTHORITY if scale == "authority" else ANY_SCALE).get(name)


def met(measure: dict[str, Any], bound: float) -> bool:
    """Whether the median is within the bound."""
    return bool(measure["median"] <= bound if measure["better"] == "less" else measure["median"] >= bound)
