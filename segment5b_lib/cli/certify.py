"""`segment5b certify`: the runs of the required seeds, and P4's verdict on all of them."""

from __future__ import annotations

from typing import Annotated

import typer

from segment5b_lib.cli.arguments import (
    JsonOption,
    PruneOption,
    QuietOption,
    RunArgument,
    ThreadsOption,
    WhatIfOption,
    thread_count,
)
from segment5b_lib.cli.phase import execute_phase
from segment5b_lib.cli.runs import prune_superseded
from segment5b_lib.cli.screen import progress_listener
from segment5b_lib.errors import UsageError


def certify(
    run: RunArgument = "@candidate",
    seeds: Annotated[str, typer.Option(help="Comma-separated; by default those of the policy.")] = "",
    as_what_if: WhatIfOption = False,
    prune_first: PruneOption = False,
    threads: ThreadsOption = 0,
    quiet: QuietOption = False,
    json: JsonOption = False,
) -> None:
    """Run a candidate's world and policies on every required seed, then P4. Example: `segment5b certify @candidate`.

    Existing runs are not made again. Exit code 1 if the class is HOLD_REMEDIATE, or P3 has not opened P4.
    """
    from segment5b_lib.engine.chain import panel
    from segment5b_lib.store.catalogue import find_run

    chosen = find_run(run)
    prune_superseded([chosen], quiet=quiet or json, prune_first=prune_first)
    required = _parsed(seeds) or list(chosen.policies.validation.stability.required_seeds)
    with progress_listener(quiet or json) as listener:
        others = panel(chosen, required, threads=thread_count(threads), listener=listener)
    parameters = {"run_id": chosen.run_id, "panel": [other.run_id for other in others], "as_what_if": as_what_if}
    execute_phase("P4", parameters, json=json)


def _parsed(seeds: str) -> list[int]:
    try:
        return [int(seed) for seed in seeds.split(",") if seed.strip()]
    except ValueError:
        raise UsageError("5B.CLI.SEEDS", "seeds are whole numbers", expected="e.g. 42,7,101,202", found=seeds) from None
