"""Measure every gate of one run by full scan, and judge it by the run's own policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from segment5b_lib.contract.verdicts import GateResult, Measurement, not_measured
from segment5b_lib.contract.words import VirtualMode
from segment5b_lib.errors import InputError, MissingInputError
from segment5b_lib.gates import (
    a01_streams,
    a02_phase,
    a03_count_law,
    a04_routing_law,
    a05_placement,
    t01_civil_time,
    t02_one_hour,
    t03_dst_windows,
    t04_conservation,
    t05_nullability,
    t06_concentration,
    t07_virtual_share,
    t08_weekend,
    t09_dispersion,
    t11_horizon,
    t12_local_contract,
)
from segment5b_lib.gates.attribution import Attribution, attribute
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import Gate
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.table import GATES
from segment5b_lib.store.runs import Run

MEASURES: Final[dict[str, Callable[[Evidence], Measurement]]] = {
    "T11": t11_horizon.measure,
    "T12": t12_local_contract.measure,
    "T1": t01_civil_time.measure,
    "T1.settlement": t01_civil_time.measure_settlement,
    "T1.operational": t01_civil_time.measure_operational,
    "T2": t02_one_hour.measure,
    "T3": t03_dst_windows.measure,
    "T4": t04_conservation.measure,
    "T5": t05_nullability.measure,
    "T6": t06_concentration.measure,
    "T7": t07_virtual_share.measure,
    "T8": t08_weekend.measure,
    "T9": t09_dispersion.measure,
    "A1": a01_streams.measure,
    "A1.duplicates": a01_streams.measure_duplicates,
    "A1.offsets": a01_streams.measure_offsets,
    "A2": a02_phase.measure,
    "A2.profile": a02_phase.measure_profile,
    "A3": a03_count_law.measure,
    "A4": a04_routing_law.measure,
    "A5": a05_placement.measure,
    "A5.window": a05_placement.measure_window,
    "A5.order": a05_placement.measure_order,
}
"""Which function measures which gate of the table."""


def score(run: Run) -> Scorecard:
    """Measure every gate of a run by full scan. Reads the run and its world, writes nothing.

    A gate whose data are not there, are foreign, damaged or empty is `not_measured` and says why.
    """
    evidence = Evidence(run)
    policy = run.policies.validation
    results = tuple(entry.judged(_measure(entry, evidence), policy, _name(MEASURES[entry.gate_id])) for entry in GATES)
    return Scorecard(_identity(run), results, _attributed(run, results), evidence)


def _attributed(run: Run, results: tuple[GateResult, ...]) -> tuple[Attribution, ...]:
    # What T7 could not count owns no failure either.
    modes = next(entry.detail for entry in results if entry.gate_id == "T7").get("merchants_by_mode", {})
    binding = run.policies.routing.physical_router.zone_binding
    calibrated = run.policies.lgcp.zone_mix.mode != "none"
    return attribute(results, binding, modes.get(VirtualMode.HYBRID, 0), calibrated=calibrated)


def _measure(entry: Gate, evidence: Evidence) -> Measurement:
    try:
        return MEASURES[entry.gate_id](evidence)
    except (InputError, MissingInputError) as error:
        return not_measured(f"{error.what}: needs {', '.join(entry.evidence)}")


def _name(measure: Callable[[Evidence], Measurement]) -> str:
    return f"{measure.__module__}.{measure.__qualname__}"


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
