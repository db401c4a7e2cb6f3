"""Sets of runs that the plan needs: repetitions of a run, witnesses, the panel of required seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from segment5b_lib.contract.policies import Policies
from segment5b_lib.engine.chain import Listener, create_run, run_states
from segment5b_lib.engine.retention import pin
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World


def finished(
    world: World,
    policies: Policies,
    posture: str,
    seed: int,
    *,
    threads: int,
    listener: Listener | None = None,
    nonce: int = 0,
    changes: Mapping[str, Any] | None = None,
) -> Run:
    """A run of all states; an existing complete run is not run again."""
    run = create_run(world, policies, seed=seed, posture=posture, nonce=nonce, changes=changes)
    run_states(run, threads=threads, listener=listener)
    return run


def repetitions(run: Run, number: int, *, threads: int, listener: Listener | None = None) -> list[Run]:
    """`number` runs of the same inputs: the run itself, then further runs."""
    receipt = run.receipt
    return [
        run,
        *(
            finished(
                run.world,
                run.policies,
                receipt.posture,
                receipt.seed,
                threads=threads,
                listener=listener,
                nonce=receipt.nonce + step,
                changes=receipt.changes,
            )
            for step in range(1, number)
        ),
    ]


def panel(run: Run, seeds: Iterable[int], *, threads: int, listener: Listener | None = None) -> list[Run]:
    """Runs of other seeds of a run's world and policies, in the order of the seeds; the run's own seed is left out.

    At the scale that the runtime budgets are pinned to, every seed (the run's own too) is run as often as they ask.
    All of them are pinned as the certification set.
    """
    policy = run.policies.validation.runtime
    number = policy.min_runs if run.world.scale == policy.pinned_scale else 1
    others = [
        finished(
            run.world,
            run.policies,
            run.receipt.posture,
            seed,
            threads=threads,
            listener=listener,
            changes=run.receipt.changes,
        )
        for seed in seeds
        if seed != run.receipt.seed
    ]
    for repetition in _repeated([run, *others], number, threads=threads, listener=listener):
        pin("certification", repetition)
    return others


def _repeated(runs: Sequence[Run], number: int, *, threads: int, listener: Listener | None) -> list[Run]:
    return [item for run in runs for item in repetitions(run, number, threads=threads, listener=listener)]
