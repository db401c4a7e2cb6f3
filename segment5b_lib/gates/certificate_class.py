"""The classes of a certificate (plan §0) as one pure function over the results of several seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from segment5b_lib.contract.validation_policy import StabilityPolicy
from segment5b_lib.contract.verdicts import STANDS, GateResult
from segment5b_lib.contract.words import Decision, Verdict
from segment5b_lib.errors import UsageError
from segment5b_lib.gates.table import CROSS_RUN_GATES

NOT_CERTIFIABLE: Final = ("tiny",)
"""Scales that are too small for any claim."""
AUDIT_NEEDS_POWER: Final = ("medium", "authority")
"""Scales at which an audit gate has data enough: from here on it vetoes when it cannot speak."""
WAIVABLE: Final = ("T7",)
"""Plan §3.1: T7 alone, where the policy pins physical-first and documents it."""


@dataclass(frozen=True)
class SeedResults:
    seed: int
    scale: str
    results: tuple[GateResult, ...]


@dataclass(frozen=True)
class Waiver:
    """A documented exception: the gate, why, and the artefact that says so."""

    gate_id: str
    reason: str
    artefact: str


@dataclass(frozen=True)
class CertificateClass:
    """The class, why it is no better one, the scale it was earned at, and what was waived."""

    decision: Decision
    reasons: tuple[str, ...]
    scale: str
    waived: tuple[Waiver, ...]


def certificate_class_of(
    seeds: Sequence[SeedResults],
    cross_run: Sequence[GateResult],
    policy: StabilityPolicy,
    waivers: Sequence[Waiver] = (),
) -> CertificateClass:
    """Judge several seeds together.

    `cross_run` are the results of T10, A6 and every runtime gate (`table.CROSS_RUN_GATES`). PASS_BPLUS_ROBUST: every
    hard gate at B+ on every required seed, T10 at B+, every budget met. PASS_B: the same at B. HOLD_REMEDIATE:
    anything else, with every reason. A gate that does not apply blocks no class; one that was not measured never
    passes.

    Raises
    ------
    UsageError : ``5B.GATES.NOT_WAIVABLE`` for a waiver of a gate that the plan does not let anybody waive
    """
    _check(waivers)
    scales = sorted({entry.scale for entry in seeds})
    holds = [*_seed_holds(seeds, policy, scales), *_gate_holds(seeds, waivers), *_cross_run_holds(cross_run)]
    if holds:
        return CertificateClass(Decision.HOLD_REMEDIATE, tuple(holds), ", ".join(scales), tuple(waivers))
    at_b = [_result_text(result) for result in cross_run if result.verdict is Verdict.PASS_B]
    short = [*_short_of_bplus(seeds, waivers), *at_b]
    decision = Decision.PASS_B if short else Decision.PASS_BPLUS_ROBUST
    return CertificateClass(decision, tuple(short), ", ".join(scales), tuple(waivers))


def _check(waivers: Sequence[Waiver]) -> None:
    for waiver in waivers:
        if waiver.gate_id not in WAIVABLE or not waiver.reason or not waiver.artefact:
            raise UsageError(
                "5B.GATES.NOT_WAIVABLE",
                f"{waiver.gate_id} cannot be waived so",
                expected=f"a waiver of {', '.join(WAIVABLE)}, with its reason and the artefact that documents it",
                found=f"gate {waiver.gate_id!r}, reason {waiver.reason!r}, artefact {waiver.artefact!r}",
            )


def _seed_holds(seeds: Sequence[SeedResults], policy: StabilityPolicy, scales: Sequence[str]) -> Iterator[str]:
    present = [entry.seed for entry in seeds]
    yield from (f"seed {seed}: no run" for seed in policy.required_seeds if seed not in present)
    yield from (f"seed {seed}: {present.count(seed)} runs" for seed in sorted(set(present)) if present.count(seed) > 1)
    if len(scales) > 1:
        yield f"the runs are of different scales: {', '.join(scales)}"
    yield from (f"a {scale} world cannot be certified" for scale in scales if scale in NOT_CERTIFIABLE)


def _gate_holds(seeds: Sequence[SeedResults], waivers: Sequence[Waiver]) -> Iterator[str]:
    waived = {waiver.gate_id for waiver in waivers}
    for entry in seeds:
        for result in entry.results:
            if result.gate_id not in waived and _holds(result, entry.scale):
                yield f"seed {entry.seed}: {_result_text(result)}"


def _holds(result: GateResult, scale: str) -> bool:
    """Whether a gate keeps a run from any class.

    A hard gate does unless it passes or does not apply; a major or an audit gate does where it fails or was not
    measured, an audit gate also without power where the scale should give it that.
    """
    if result.severity == "hard":
        return result.verdict not in STANDS
    powerless = result.verdict is Verdict.INSUFFICIENT_POWER
    return result.verdict in (Verdict.FAIL, Verdict.NOT_MEASURED) or (
        powerless and result.severity == "audit" and scale in AUDIT_NEEDS_POWER
    )


def _cross_run_holds(cross_run: Sequence[GateResult]) -> Iterator[str]:
    measured = {result.gate_id for result in cross_run}
    yield from (f"{entry.gate_id}: not measured" for entry in CROSS_RUN_GATES if entry.gate_id not in measured)
    yield from (_result_text(result) for result in cross_run if result.verdict not in STANDS)


def _short_of_bplus(seeds: Sequence[SeedResults], waivers: Sequence[Waiver]) -> Iterator[str]:
    for entry in seeds:
        for result in entry.results:
            if result.severity == "hard" and result.verdict not in (Verdict.PASS_BPLUS, Verdict.NOT_APPLICABLE):
                yield f"seed {entry.seed}: {_result_text(result)}"
    yield from (f"{waiver.gate_id} waived: {waiver.reason} ({waiver.artefact})" for waiver in waivers)


def _result_text(result: GateResult) -> str:
    value = "" if result.value is None else f" {result.value:g} {result.unit}"
    return f"{result.gate_id} {result.verdict.value}{value}{f' ({result.reason})' if result.reason else ''}"
