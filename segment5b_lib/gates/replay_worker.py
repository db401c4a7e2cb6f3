"""A process of its own that executes parts of S4 again: `python -m … RUN FOLDER THREADS SCENARIO:PART …`.

It writes `FOLDER/SCENARIO/part-NNNNNN.parquet` and publishes nothing.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from segment5b_lib.contract.dataset import PART_FILE
from segment5b_lib.states.context import Context
from segment5b_lib.states.s4 import arrivals as s4_arrivals
from segment5b_lib.states.s4.counts import Shard
from segment5b_lib.states.s4.expansion import Expansion, expand_shard
from segment5b_lib.states.s4.routing_inputs import load_routing_inputs
from segment5b_lib.store.runs import Run


def replay_parts(root: Path, folder: Path, threads: int, parts: list[tuple[str, int]]) -> None:
    context = Context(Run(root), s4_arrivals.SPEC, threads)
    context.verify_inputs()
    upstream = load_routing_inputs(context)
    for scenario_id in sorted({name for name, _ in parts}):
        expansion, _ = s4_arrivals.load_expansion(context, upstream, scenario_id)
        wanted = [shard for shard in expansion.shards if (scenario_id, shard.part) in parts]
        (folder / scenario_id).mkdir()

        again = partial(_again, expansion, folder / scenario_id)
        context.map_shards("replay arrivals", again, wanted, [shard.arrivals for shard in wanted])


def _again(expansion: Expansion, folder: Path, shard: Shard) -> None:
    expand_shard(expansion, shard, expansion.shard_counts(shard), folder / PART_FILE.format(part=shard.part))


def main() -> None:
    root, folder, threads, *words = sys.argv[1:]
    parts = [word.rsplit(":", 1) for word in words]
    replay_parts(Path(root), Path(folder), int(threads), [(scenario_id, int(part)) for scenario_id, part in parts])


if __name__ == "__main__":
    main()
