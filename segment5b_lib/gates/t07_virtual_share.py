"""T7: the share of arrivals that happen online.

Value: share of arrivals with is_virtual, over all arrivals. B+ asks for both bands together. Source: plan §3.1.
"""

from __future__ import annotations

from segment5b_lib.contract.verdicts import Measurement
from segment5b_lib.gates.evidence.run_tables import Evidence


def measure(evidence: Evidence) -> Measurement:
    """Share of virtual arrivals, with the number of merchants in each virtual mode."""
    total = evidence.arrivals
    virtual = int(evidence.census.filter("is_virtual")["arrivals"].sum())
    detail = {"virtual": virtual, "merchants_by_mode": evidence.merchants_by_mode}
    return Measurement(virtual / total, total, "arrivals", detail)
