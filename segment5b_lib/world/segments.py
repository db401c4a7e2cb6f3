"""The upstream segments and what each writes: all that it owns, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from segment5b_lib.world.edge_files import write_3b
from segment5b_lib.world.plan import Plan
from segment5b_lib.world.site_files import write_1a, write_1b, write_2a, write_3a
from segment5b_lib.world.stage import Stage
from segment5b_lib.world.surface_files import write_5a
from segment5b_lib.world.weight_files import write_2b

WRITERS: Final[dict[str, Callable[[Plan, Stage], None]]] = {
    "1A": write_1a,
    "1B": write_1b,
    "2A": write_2a,
    "2B": write_2b,
    "3A": write_3a,
    "3B": write_3b,
    "5A": write_5a,
}
"""Writers by segment, in the order in which data flow."""
