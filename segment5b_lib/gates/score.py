"""Measure every gate of one run by full scan, and judge it by the run's own policy."""

from __future__ import annotations

from typing import Any

from segment5b_lib.contract.verdicts import GateResult, not_measured
from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.errors import InputError, MissingInputError
from segment5b_lib.gates.attribution import attribute
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import Gate
from segment5b_lib.gates.scorecard import Attribution, Scorecard
from segment5b_lib.gates.table import GATES
from segment5b_lib.store.runs import Run


def score(run: Run) -> Scorecard:
    """Measure every gate of a run by full scan. Reads the run and its world, writes nothing.

    A gate whose data are not there, are foreign, damaged or empty is `not_measured` and says why.
    """
    evidence = Evidence(run)
    results = tuple(_result(entry, evidence) for entry in GATES)
    return Scorecard(_identity(run), results, _attributed(run, results), evidence)


def _attributed(run: Run, results: tuple[GateResult, ...]) -> tuple[Attribution, ...]:
    # What T7 could not count owns no failure either.
    modes = next(entry.detail for entry in results if entry.gate_id == "T7").get("merchants_by_mode", {})
    binding = run.policies.routing.physical_router.zone_binding
    calibrated = run.policies.lgcp.zone_mix.mode != "none"
    return attribute(results, binding, modes.get(VirtualMode.HYBRID, 0), calibrated=calibrated)


def _result(entry: Gate, evidence: Evidence) -> GateResult:
    measure = entry.measure
    assert measure is not None, entry.gate_id
    try:
        measurement = measure(evidence)
    except (InputError, MissingInputError) as error:
        measurement = not_measured(f"{error.what}: needs {', '.join(entry.evidence)}")
    return entry.judged(measurement, evidence.run.policies.validation, f"{measure.__module__}.{measure.__qualname__}")


def _identity(run: Run) -> dict[str, Any]:
    receipt = run.receipt
    return {
        "run_id": run.run_id,
        "seed": receipt.seed,
        "parameter_hash": receipt.parameter_hash,
        "manifest_fingerprint": receipt.manifest_fingerprint,
        "posture": receipt.posture,
        "scale": run.world.scale,
    }
