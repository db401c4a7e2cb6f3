"""T7: the share of arrivals that are virtual.

Value: share of arrivals with is_virtual, over all arrivals. B+ asks for both bands together. Source: plan §3.1.

Thresholds: validation_policy_5B.yaml, gates.T7.
"""

from __future__ import annotations

from typing import Final

from segment5b_lib.contract.verdicts import Measurement
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import ARRIVALS, Gate, Group


def measure(evidence: Evidence) -> Measurement:
    total = evidence.arrivals
    virtual = int(evidence.census.filter("is_virtual")["arrivals"].sum())
    detail = {"virtual": virtual, "merchants_by_mode": evidence.merchants_by_mode}
    return Measurement(virtual / total, total, "arrivals", detail)


GATES: Final = (
    Gate(
        gate_id="T7",
        title="Virtual share",
        unit="share",
        formula="virtual arrivals",
        evidence=("virtual_classification_3B", ARRIVALS),
        owner="3B",
        group=Group.VIRTUAL_SHARE,
        measure=measure,
        watched_by_s5=True,
    ),
)
