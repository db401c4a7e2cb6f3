"""P4's artefacts: which runs stand for which seed, their gates, stability, runtime receipts, the class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segment5b_lib.contract.verdicts import GateResult
from segment5b_lib.contract.words import STATES
from segment5b_lib.phases.engine.envelope import Body, Node
from segment5b_lib.phases.popt_timing import TimingLine
from segment5b_lib.store.runs import Run


class SeedAuthority(Node):
    """The run that stands for a seed, and the digest of its sealed bundle."""

    seed: int
    required: bool
    run_id: str
    manifest_fingerprint: str
    parameter_hash: str
    bundle_digest: str | None
    states: dict[str, str]


class SeedMatrix(Body, artefact="p4_seed_authority_matrix"):
    """One run for each seed."""

    seeds: list[SeedAuthority]


class SeedGateboard(Body, artefact="p4_seed_gateboard"):
    """The gates of every seed."""

    by_seed: dict[str, list[GateResult]]


class Stability(Body, artefact="p4_t10_stability"):
    """T10: every key metric over the seeds, with its CV, and what the seeds share."""

    t10: list[GateResult]
    metrics: list[dict[str, Any]]
    shared_inputs: dict[str, str]


class RuntimeReceipts(Body, artefact="p4_state_runtime_receipts"):
    """Runtime gates with their samples."""

    runtime: list[GateResult]
    samples: list[TimingLine]


class P4Closure(Body, artefact="p4_closure"):
    """P4's closure: the class, the scale it was earned at, and why it is no better one."""

    closure_class: str
    earned_at: str
    short_of_bplus: list[str]


def seed_lines(runs: Sequence[Run], required: Sequence[int]) -> list[SeedAuthority]:
    """Which run stands for which seed."""
    return [
        SeedAuthority(
            seed=run.receipt.seed,
            required=run.receipt.seed in required,
            run_id=run.run_id,
            manifest_fingerprint=run.receipt.manifest_fingerprint,
            parameter_hash=run.receipt.parameter_hash,
            bundle_digest=run.counters("S5").get("bundle_digest"),
            states={state: "complete" if run.marker(state) else "missing" for state in STATES},
        )
        for run in runs
    ]
