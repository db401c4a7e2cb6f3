"""Check before a run or a world build starts that it fits the free disk and memory, container limits included.

The arithmetic, with n = series × buckets rows per scenario, s scenarios, t threads, and a = arrivals that the
world forecasts, times s (a stress scenario counts like the baseline: its surplus is within `DISK_MARGIN`):

* disk of a run: the sum over its states of (bytes per row · n · s + bytes per arrival · a), times `DISK_MARGIN`,
  plus `DISK_RESERVE`. Of the states that are only made again the largest counts, because the new output exists
  next to the old one until it replaces it;
* memory of a run: base + bytes per row · n + bytes per thread · t (scenarios follow each other);
* disk and memory of a world build: the same without threads, the surface being written slab by slab.

The constants are rounded up from runs of the small, medium and authority worlds; the measured values are next to them.
Not counted: the sorted copy of a surface that does not come in order.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from segment5b_lib.contract.words import STATES
from segment5b_lib.errors import EnvironmentFault
from segment5b_lib.store.documents import validated
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World
from segment5b_lib.world.spec import HorizonSpec, WorldSpec

_MEMINFO: Final = Path("/proc/meminfo")
_CGROUP: Final = Path("/sys/fs/cgroup")
_LIMITS: Final = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)
"""Files of the limit, the use and the statistics (with the cached part of the use) of control groups v2 and v1."""
MB: Final = 10**6
STATE_BYTES: Final = {
    "S2": (5.0, 0.0),  # 4.1 per row
    "S3": (1.5, 0.0),  # 1.2 per row
    "S4": (0.5, 14.0),  # 0.4 per row, 13.0 per arrival
}
"""Bytes on disk per row and per arrival; the other states write less than a megabyte."""
LATENT_FIELD_BYTES: Final = 10.0
"""More per row if lgcp.emit_latent_field is set: each group has its own random numbers, which do not shrink."""
WORLD_BYTES: Final = 1.5
"""Bytes on disk per row of a world: 0.9 (small), 0.7 (medium)."""
RUN_MEMORY: Final = (650 * MB, 12.0, 320 * MB)
"""Base, per row, per thread of a whole chain.

With two threads 927 MB taken of 1,298 (small), 1,216 of 1,360 (medium), 1,429 of 1,718 (authority); with one
756 of 978 (small), 895 of 1,040 (medium).
"""
WORLD_MEMORY: Final = (400 * MB, 32.0)
"""Base and per row of a world build: 393 MB taken of 421 (small), 539 MB of 587 (medium)."""
DISK_MARGIN: Final = 1.2
DISK_RESERVE: Final = 256 * MB
"""Stays free in addition to the outputs: for records, notebooks, pages and other users of the disk."""


@dataclass(frozen=True)
class Size:
    """Size of a world: rows of one scenario, scenarios, expected arrivals of all scenarios."""

    rows: int
    scenarios: int
    arrivals: float


@dataclass(frozen=True)
class Needs:
    """Bytes that must be free on the disk and in memory."""

    disk: float
    memory: float

    def __add__(self, other: Needs) -> Needs:
        """Needs of two runs, one after the other: disk adds up, memory is freed between them."""
        return Needs(self.disk + other.disk, max(self.memory, other.memory))


def size_of_spec(spec: WorldSpec) -> Size:
    scenarios = len(spec.scenarios)
    return Size(spec.footprint.series * spec.horizon.buckets, scenarios, spec.arrivals_expected * scenarios)


def size_of_world(world: World) -> Size:
    forecast, scenarios = world.document["forecast"], len(world.scenarios)
    horizon = validated(HorizonSpec, world.document["horizon"], f"world {world.mf[:12]}, horizon")
    return Size(forecast["series"] * horizon.buckets, scenarios, forecast["arrivals"] * scenarios)


def world_needs(size: Size) -> Needs:
    base, per_row = WORLD_MEMORY
    return Needs(WORLD_BYTES * size.rows * size.scenarios * DISK_MARGIN, base + per_row * size.rows)


def run_needs(
    size: Size, threads: int, *, new: Sequence[str] = STATES, again: Sequence[str] = (), latent_field: bool = False
) -> Needs:
    """Disk and memory for a run that makes the states `new` and replaces the states `again`."""
    made = [_state_bytes(state, size, latent_field) for state in new]
    replaced = [_state_bytes(state, size, latent_field) for state in again]
    base, per_row, per_thread = RUN_MEMORY
    memory = base + per_row * size.rows + per_thread * threads
    return Needs((sum(made) + max(replaced, default=0.0)) * DISK_MARGIN, memory)


def scale_needs(spec: WorldSpec, threads: int, *, runs: int) -> Needs:
    """Disk and memory for a world and `runs` runs of it."""
    size = size_of_spec(spec)
    needs = world_needs(size)
    for _ in range(runs):
        needs += run_needs(size, threads)
    return needs


def _state_bytes(state: str, size: Size, latent_field: bool) -> float:
    per_row, per_arrival = STATE_BYTES.get(state, (0.0, 0.0))
    if state == "S2" and latent_field:
        per_row += LATENT_FIELD_BYTES
    return per_row * size.rows * size.scenarios + per_arrival * size.arrivals


def require_run(run: Run, states: Sequence[str], threads: int) -> None:
    """Refuse to run states that cannot fit; see `require`."""
    again = [state for state in states if run.marker(state) is not None]
    new = [state for state in states if state not in again]
    size, latent_field = size_of_world(run.world), run.policies.lgcp.emit_latent_field
    needs = run_needs(size, threads, new=new, again=again, latent_field=latent_field)
    require(needs, run.root, f"run {run.run_id[:8]}, {' '.join(states)}")


def require_world(spec: WorldSpec, folder: Path) -> None:
    """Refuse to build a world that cannot fit; see `require`."""
    require(world_needs(size_of_spec(spec)), folder, f"building the {spec.scale} world")


def require(needs: Needs, folder: Path, purpose: str) -> None:
    """Refuse needs that exceed memory or the disk of `folder`.

    Raises
    ------
    EnvironmentFault : ``5B.ENV.DISK_SHORT`` or ``5B.ENV.MEMORY_SHORT``, with the bytes needed and free.
    """
    if (free := free_disk(folder)) < needs.disk + DISK_RESERVE:
        raise EnvironmentFault(
            "5B.ENV.DISK_SHORT",
            "there is not enough free disk, so nothing was started",
            where=f"{purpose}, in {folder}",
            expected=f"{needs.disk + DISK_RESERVE:,.0f} bytes free",
            found=f"{free:,} bytes free",
            next_step="segment5b prune; or set SEGMENT5B_OUTPUTS to a larger disk; or choose a smaller scale",
        )
    if (free := free_memory()) < needs.memory:
        raise EnvironmentFault(
            "5B.ENV.MEMORY_SHORT",
            "there is not enough free memory, so nothing was started",
            where=purpose,
            expected=f"{needs.memory:,.0f} bytes free",
            found=f"{free:,} bytes free",
            next_step="end other programs; or use fewer threads (--threads 1); or choose a smaller scale",
        )


def free_disk(folder: Path) -> int:
    """Bytes free on the disk of a folder, which need not exist yet."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(existing).free


def free_memory() -> int:
    """Bytes available without swapping: those of the machine, or of the container if its limit leaves less."""
    available = _number(_MEMINFO, "MemAvailable") * 1024
    return min([available, *(free for limit in _LIMITS if (free := _container_free(*limit)) is not None)])


def _container_free(limit: str, use: str, statistics: str, cache: str) -> int | None:
    """Bytes that a container's limit leaves; None without a limit."""
    files = [_CGROUP / name for name in (limit, use, statistics)]
    if not all(path.is_file() for path in files) or not (maximum := files[0].read_text().strip()).isdigit():
        return None
    return int(maximum) - int(files[1].read_text()) + _number(files[2], cache)


def _number(path: Path, name: str) -> int:
    match = re.search(rf"^{name}:?\s+(\d+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert match is not None, f"{path} has no {name}"
    return int(match.group(1))
