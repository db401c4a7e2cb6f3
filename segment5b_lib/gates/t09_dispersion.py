"""T9: counts scatter around their means as much as real counts do, and not as little as Poisson counts.

Value: standard deviation of r = (N − μ)/√μ over S3's component rows with μ above `lambda_zero_eps`. In addition the
value that the law implies, √(1 + mean(μ/κ)) for nb2 and 1 for poisson. Source: remediation report behind the plan.

Thresholds: validation_policy_5B.yaml, gates.T9.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from segment5b_lib.contract.verdicts import Measurement, not_measured
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import COUNTS, Gate, Group
from segment5b_lib.model.statistics import implied_dispersion, pearson_dispersion


def measure(evidence: Evidence) -> Measurement:
    eps = evidence.run.policies.count.lambda_zero_eps
    moments = np.sum([counts.moments for counts in evidence.counts.values()], axis=0)
    rows, drawn, residual, squared, relative, mu, _ = moments.tolist()
    if drawn < 2:
        return not_measured("S3 has fewer than two rows with mu above lambda_zero_eps", "rows")
    detail = {
        "model_value": implied_dispersion(drawn, relative),
        "mean_residual": residual / drawn,
        "mean_mu": mu / drawn,
        "rows_at_or_below_lambda_zero_eps": int(rows - drawn),
        "lambda_zero_eps": eps,
    }
    return Measurement(pearson_dispersion(drawn, residual, squared), int(drawn), "rows", detail)


GATES: Final = (
    Gate(
        gate_id="T9",
        title="Dispersion of counts",
        unit="sd",
        formula="standard deviation of (count - mu) / sqrt(mu) over rows with mu above lambda_zero_eps",
        evidence=(COUNTS,),
        owner="S3",
        group=Group.RHYTHM,
        measure=measure,
        watched_by_s5=True,
    ),
)
