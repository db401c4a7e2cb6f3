"""T4: every count that S3 drew is there as arrivals, key by key, and nothing else is.

Value: number of keys (series and bucket) with arrivals on either side whose arrivals in S4 differ from S3's count_N;
population: those keys, compared in full both ways. In addition the difference of the totals, and the same for the
engine's logical key, which has no country. Source: plan §3.1.

Thresholds: validation_policy_5B.yaml, gates.T4.
"""

from __future__ import annotations

from typing import Final

from segment5b_lib.contract.verdicts import Measurement
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import ARRIVALS, COUNTS, Gate, Group


def measure(evidence: Evidence) -> Measurement:
    levels, examples = evidence.conservation
    rows = levels.to_dicts()[0]
    detail = {
        "total_difference": rows["arrivals_s4"] - rows["arrivals_s3"],
        "only_in_s3": rows["only_in_s3"],
        "only_in_s4": rows["only_in_s4"],
        "levels": levels.to_dicts(),
        "examples": examples.to_dicts(),
    }
    return Measurement(float(rows["keys_that_differ"]), rows["keys_compared"], "keys with arrivals", detail)


GATES: Final = (
    Gate(
        gate_id="T4",
        title="Conservation S3 to S4",
        unit="keys",
        formula="keys (series and bucket) whose number of arrivals differs from S3's count, either way",
        evidence=(COUNTS, ARRIVALS),
        owner="S4",
        cause="the expansion does not deliver what S3 drew",
        group=Group.CONSERVATION,
        measure=measure,
        watched_by_s5=True,
    ),
)
