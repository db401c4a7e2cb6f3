"""Runs: make a run root, execute its states in order, skip what is complete, record every attempt.

Also the sets of runs that the plan needs: repetitions of a run, the panel of required seeds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, Final

from segment5b_lib.contract.policies import Policies
from segment5b_lib.contract.words import STATES
from segment5b_lib.engine.preflight import require_run
from segment5b_lib.engine.records import append_record, state_record, write_rng_audit
from segment5b_lib.engine.reporting import Listener
from segment5b_lib.engine.retention import pin
from segment5b_lib.errors import MissingInputError, StaleError
from segment5b_lib.identity import run_id, utc_now
from segment5b_lib.states import s0_gate, s1_time_grid, s2_intensity, s3_counts
from segment5b_lib.states.context import Context, StateSpec
from segment5b_lib.states.s4 import arrivals as s4_arrivals
from segment5b_lib.states.s5 import validation as s5_validation
from segment5b_lib.store.attachments import attached_folder
from segment5b_lib.store.digest import changed_files
from segment5b_lib.store.locks import locked
from segment5b_lib.store.postures import write_policies
from segment5b_lib.store.publish import staged
from segment5b_lib.store.roots import runs_folder
from segment5b_lib.store.runs import RECEIPT_FILE, Run, RunReceipt, policies_digest
from segment5b_lib.store.worlds import World
from segment5b_lib.version import __version__

MODULES: Final[dict[str, ModuleType]] = dict(
    zip(STATES, (s0_gate, s1_time_grid, s2_intensity, s3_counts, s4_arrivals, s5_validation), strict=True)
)
"""State name to the module that implements it."""


def state_spec(state: str) -> StateSpec:
    spec: StateSpec = MODULES[state].SPEC
    return spec


def create_run(
    world: World,
    policies: Policies,
    *,
    seed: int,
    posture: str,
    nonce: int = 0,
    parent: Run | None = None,
    changed_states: Sequence[str] = STATES,
    changes: Mapping[str, Any] | None = None,
) -> Run:
    """Make the run root of (world, policies, seed), or return the existing run.

    The same inputs give the same run. A run of another version of the library, or an attached
    run, is not reused: the next free nonce is taken.
    """
    with locked(runs_folder() / ".lock", "make a run", wait_seconds=60):
        while True:
            name = run_id(world.mf, policies.parameter_hash, seed, nonce)
            run = Run(runs_folder() / name)
            if not run.root.exists() and not (attached_folder() / name).exists():
                break
            if run.root.exists() and run.receipt.library_version == __version__:
                return run
            nonce += 1
        receipt = RunReceipt(
            run_id=name,
            seed=seed,
            nonce=nonce,
            parameter_hash=policies.parameter_hash,
            manifest_fingerprint=world.mf,
            rng_root=world.rng_root,
            world=f"worlds/{world.mf}",
            posture=posture,
            parent_run=parent.run_id if parent else None,
            changed_states=list(changed_states),
            changes=dict(changes or {}),
            created_utc=utc_now(),
            library_version=__version__,
        )
        with staged(run.root) as folder:
            (folder / RECEIPT_FILE).write_text(receipt.model_dump_json(indent=1) + "\n", encoding="utf-8")
            write_policies(policies, folder / "policies")
    write_rng_audit(run)
    return run


def run_states(
    run: Run, states: Sequence[str] = STATES, *, threads: int, listener: Listener | None = None
) -> list[str]:
    """Execute states in order; returns the names of those that had work to do.

    A state whose outputs are complete, unchanged and made from the same inputs and policies is skipped.

    Raises
    ------
    EnvironmentFault : the states to run do not fit on the disk or in memory; nothing is started.
    Segment5BError : from the first state that fails; its record is written, later states do not run.
    """
    run.require_ours("run its states")
    listener = listener or Listener()
    executed: list[str] = []
    with locked(run.root / ".lock", f"run {' '.join(states)}"):
        for position, state in enumerate(states):
            if is_complete(run, state, threads):
                listener.state_skipped(state_spec(state))
            else:
                if not executed:
                    require_run(run, states[position:], threads)
                _execute(run, state, threads, listener)
                executed.append(state)
    return executed


def _execute(run: Run, state: str, threads: int, listener: Listener) -> None:
    spec = state_spec(state)
    context = Context(run, spec, threads, listener.progress)
    listener.state_started(spec)
    started, wall, cpu = utc_now(), time.perf_counter(), time.process_time()
    failure: BaseException | None = None
    try:
        MODULES[state].run(context)
    except BaseException as error:
        failure = error
        raise
    finally:
        record = state_record(
            context,
            started=started,
            wall_ms=(time.perf_counter() - wall) * 1e3,
            cpu_ms=(time.process_time() - cpu) * 1e3,
            counters=run.counters(state) if failure is None else {},
            error=failure,
        )
        append_record(run, record)
        listener.state_finished(record)


def is_complete(run: Run, state: str, threads: int) -> bool:
    """Whether a state's outputs exist, unchanged, and were made from the current inputs and policies."""
    marker = run.marker(state)
    if marker is None:
        return False
    spec = state_spec(state)
    context = Context(run, spec, threads)
    try:
        current = dict(context.recorded_inputs().values())
    except MissingInputError:
        return False
    expected = run.digests(state)
    if state == "S0":
        expected |= {run.world.root / path: d for files in run.sealed().values() for path, d in files.items()}
    if not all(path.is_file() for path in expected):
        return False
    return (
        marker.inputs == current
        and marker.policies == policies_digest(run.policies, spec.policies)
        and not changed_files(expected, threads)
    )


def check_reusable(run: Run, state: str, policies: Policies) -> None:
    """Refuse to reuse a state's outputs under other policies than those they were made with."""
    marker = run.marker(state)
    if marker is None:
        raise MissingInputError(
            "5B.RUN.STATE_MISSING",
            f"run {run.run_id[:8]} has no finished {state} to build on",
            where=str(run.marker_path(state)),
            next_step=f"segment5b run --run {run.run_id[:8]} {state}",
        )
    current = policies_digest(policies, state_spec(state).policies)
    for name, digest in marker.policies.items():
        if current[name] != digest:
            raise StaleError(
                "5B.RUN.STALE_OUTPUT",
                f"{state} was made with another {name} policy, so its outputs cannot be reused",
                where=str(run.marker_path(state)),
                expected=digest,
                found=current[name],
                next_step=f"segment5b rerun --changed {state}",
            )


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
    for repetition in (repetition for runs in certified for repetition in runs):
        pin("certification", repetition)
    return others
