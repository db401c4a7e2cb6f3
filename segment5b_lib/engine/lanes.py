"""Sets of runs that the plan needs: repetitions of a run, witnesses, the panel of required seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
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


def _finished_like(run: Run, *, seed: int, nonce: int, threads: int, listener: Listener | None) -> Run:
    posture, changes = run.receipt.posture, run.receipt.changes
    return finished(
        run.world, run.policies, posture, seed, threads=threads, listener=listener, nonce=nonce, changes=changes
    )


def repetitions(run: Run, number: int, *, threads: int, listener: Listener | None = None) -> list[Run]:
    """`number` runs of the same inputs: the run itself, then further runs."""
    seed, nonces = run.receipt.seed, range(run.receipt.nonce + 1, run.receipt.nonce + number)
    return [run, *(_finished_like(run, seed=seed, nonce=n, threads=threads, listener=listener) for n in nonces)]


def panel(run: Run, seeds: Iterable[int], *, threads: int, listener: Listener | None = None) -> list[Run]:
    """Runs of other seeds of a run's world and policies, in the order of the seeds; the run's own seed is left out.

    At the scale that the runtime budgets are pinned to, every seed (the run's own too) is run as often as they ask.
    All of them are pinned as the certification set.
    """
    policy = run.policies.validation.runtime
    number = policy.min_runs if run.world.scale == policy.pinned_scale else 1
    others = [
        _finished_like(run, seed=seed, nonce=0, threads=threads, listener=listener)
        for seed in seeds
        if seed != run.receipt.seed
    ]
    certified = [repetitions(seed_run, number, threads=threads, listener=listener) for seed_run in (run, *others)]
    for repetition in chain.from_iterable(certified):
        pin("certification", repetition)
    return others
