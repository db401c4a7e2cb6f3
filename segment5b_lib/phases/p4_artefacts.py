"""P4's artefacts: which runs stand for which seed, their gates, stability, runtime receipts, the class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

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


class SeedMatrix(Body):
    """One run for each seed."""

    ARTEFACT: ClassVar[str] = "p4_seed_authority_matrix"

    seeds: list[SeedAuthority]


class SeedGateboard(Body):
    """The gates of every seed."""

    ARTEFACT: ClassVar[str] = "p4_seed_gateboard"

    by_seed: dict[str, list[GateResult]]


class Stability(Body):
    """T10: every key metric over the seeds, with its CV, and what the seeds share."""

    ARTEFACT: ClassVar[str] = "p4_t10_stability"

    t10: list[GateResult]
    metrics: list[dict[str, Any]]
    shared_inputs: dict[str, str]


class RuntimeReceipts(Body):
    """Runtime gates with their samples."""

    ARTEFACT: ClassVar[str] = "p4_state_runtime_receipts"

    runtime: list[GateResult]
    samples: list[TimingLine]


class P4Closure(Body):
    """P4's closure: the class, the scale it was earned at, and why it is no better one."""

    ARTEFACT: ClassVar[str] = "p4_closure"

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
