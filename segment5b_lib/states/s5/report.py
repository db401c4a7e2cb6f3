"""The members of the S5 bundle, from checks: report, issue table, receipts, RNG totals. No clock, path or run id."""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from segment5b_lib.contract.words import Status
from segment5b_lib.identity import canonical_json, sha256_hex
from segment5b_lib.states.s5.check import Check, CheckStatus
from segment5b_lib.states.s5.inputs import Evidence
from segment5b_lib.store.parquet import open_writer

ISSUES: Final = pa.schema(
    [pa.field(name, pa.string(), nullable=False) for name in ("check_id", "status", "where", "expected", "found")]
)
"""Columns of the issue table: one row per offender that a check lists, in the order of the checks."""


def first_failed(checks: Sequence[Check]) -> Check | None:
    """The check whose code a refusal carries."""
    return next((check for check in checks if check.status is CheckStatus.FAIL), None)


def bundle_members(
    evidence: Evidence, checks: Sequence[Check], rng_totals: Sequence[dict[str, Any]]
) -> dict[str, bytes]:
    """Content of every member by its name."""
    layout = evidence.policies.bundle_layout
    return {
        layout.report: as_json(_report(evidence, checks)),
        layout.issue_table: _issue_table(checks),
        layout.gate_receipt: as_json(evidence.receipt),
        layout.state_receipts: as_json(_state_receipts(evidence)),
        layout.rng_totals: as_json(list(rng_totals)),
    }


def as_json(document: Any) -> bytes:
    """A document with sorted keys, one value per line; JSON has no NaN and no infinity, so their names stand there."""
    text = json.dumps(_finite(document), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def _finite(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _finite(value) for name, value in node.items()}
    if isinstance(node, list | tuple):
        return [_finite(value) for value in node]
    return str(node) if isinstance(node, float) and not math.isfinite(node) else node


def _report(evidence: Evidence, checks: Sequence[Check]) -> dict[str, Any]:
    policy, receipt = evidence.policies.validation, evidence.context.run.receipt
    failed = first_failed(checks)
    counted = Counter(check.status for check in checks)
    return {
        "segment": "5B",
        "spec_version": evidence.receipt["spec_version"],
        "manifest_fingerprint": receipt.manifest_fingerprint,
        "parameter_hash": evidence.policies.parameter_hash,
        "rng_root": receipt.rng_root,
        "seed": receipt.seed,
        "scenario_set": [scenario.scenario_id for scenario in evidence.scenarios],
        "status": (Status.PASS if failed is None else Status.FAIL).value,
        "first_failed_check": failed.code if failed else None,
        "checks_by_status": {status.value: counted[status] for status in CheckStatus},
        "civil_time_enforcement": policy.civil_time_enforcement,
        "evaluation_mode": policy.calibration_sentinels.evaluation_mode,
        "failure_mode": policy.failure_policy.mode,
        "sampling": policy.sampling.model_dump(),
        "checks": [check.document() for check in checks],
    }


def _issue_table(checks: Sequence[Check]) -> bytes:
    rows = [
        {
            "check_id": check.check_id,
            "status": check.status.value,
            "where": issue.where,
            "expected": issue.expected,
            "found": issue.found,
        }
        for check in checks
        for issue in check.issues
    ]
    buffer = io.BytesIO()
    with open_writer(buffer, ISSUES) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=ISSUES))
    return buffer.getvalue()


def _state_receipts(evidence: Evidence) -> list[dict[str, Any]]:
    """What each state published, by content: one digest over paths and digests of its outputs, and its policies."""
    return [
        {
            "state": state,
            "outputs": len(marker.outputs),
            "bytes": sum(output.bytes for output in marker.outputs),
            "outputs_digest": sha256_hex(canonical_json([[output.path, output.sha256] for output in marker.outputs])),
            "policies": marker.policies,
        }
        for state, marker in sorted(evidence.markers.items())
    ]
