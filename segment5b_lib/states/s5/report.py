"""The S5 bundle: its members made from checks (no clock, path or run id), its index, its flag and its folder.

The same content again is a no-op; before other content the old bundle is renamed.
"""

from __future__ import annotations

import io
import json
import math
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from segment5b_lib.contract.policies import BundleLayoutPolicy
from segment5b_lib.contract.words import StateStatus
from segment5b_lib.identity import canonical_json, sha256_hex
from segment5b_lib.states.s5.check import Check, CheckStatus
from segment5b_lib.states.s5.inputs import CheckInputs
from segment5b_lib.store.digest import bundle_digest
from segment5b_lib.store.parquet import open_writer
from segment5b_lib.store.publish import STAGING_PREFIX, sync_tree
from segment5b_lib.store.runs import Run

STALE: Final = ".stale_"
NOTES: Final = (
    "Run records stay outside this bundle, because they hold clocks and run ids:",
    "reports/layer2/segment_state_runs/segment=5B (one row per state attempt)",
    "logs/layer2/5B/rng/audit and logs/layer2/5B/rng/trace (random number logs)",
    "run_receipt.json, run_log_<run_id>.log and markers/ (the run and the digests of its outputs)",
)


ISSUES: Final = pa.schema(
    [pa.field(name, pa.string(), nullable=False) for name in ("check_id", "status", "where", "expected", "found")]
)
"""Columns of the issue table: one row per offender that a check lists, in the order of the checks."""


def first_failed(checks: Sequence[Check]) -> Check | None:
    """The check whose code a refusal carries."""
    return next((check for check in checks if check.status is CheckStatus.FAIL), None)


def bundle_members(
    inputs: CheckInputs, checks: Sequence[Check], rng_totals: Sequence[dict[str, Any]]
) -> dict[str, bytes]:
    layout = inputs.policies.bundle_layout
    return {
        layout.report: as_json(_report(inputs, checks)),
        layout.issue_table: _issue_table(checks),
        layout.gate_receipt: as_json(inputs.receipt),
        layout.state_receipts: as_json(_state_receipts(inputs)),
        layout.rng_totals: as_json(list(rng_totals)),
    }


def as_json(document: Any) -> bytes:
    """A document with sorted keys, one value per line; JSON has no NaN and no infinity, so it holds their names."""
    text = json.dumps(_finite(document), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def _finite(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: _finite(value) for name, value in node.items()}
    if isinstance(node, list | tuple):
        return [_finite(value) for value in node]
    return str(node) if isinstance(node, float) and not math.isfinite(node) else node


def _report(inputs: CheckInputs, checks: Sequence[Check]) -> dict[str, Any]:
    policy, receipt = inputs.policies.validation, inputs.context.run.receipt
    failed = first_failed(checks)
    counted = Counter(check.status for check in checks)
    return {
        "segment": "5B",
        "spec_version": inputs.receipt["spec_version"],
        "manifest_fingerprint": receipt.manifest_fingerprint,
        "parameter_hash": inputs.policies.parameter_hash,
        "rng_root": receipt.rng_root,
        "seed": receipt.seed,
        "scenario_set": [scenario.scenario_id for scenario in inputs.scenarios],
        "status": (StateStatus.PASS if failed is None else StateStatus.FAIL).value,
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


def _state_receipts(inputs: CheckInputs) -> list[dict[str, Any]]:
    """Outputs of each state by content: one digest over paths and digests of its outputs, and its policies."""
    return [
        {
            "state": state,
            "outputs": len(marker.outputs),
            "bytes": sum(output.bytes for output in marker.outputs),
            "outputs_digest": sha256_hex(canonical_json([[output.path, output.sha256] for output in marker.outputs])),
            "policies": marker.policies,
        }
        for state, marker in sorted(inputs.markers.items())
    ]


@dataclass(frozen=True)
class PublishedBundle:
    """A published bundle: digest of its members, its files, and the new name of an older one, if there was one."""

    digest: str
    files: tuple[Path, ...]
    stale: Path | None


def publish_bundle(
    run: Run, layout: BundleLayoutPolicy, members: Mapping[str, bytes], *, passed: bool
) -> PublishedBundle:
    """Put members and index in the run's bundle folder, and the flag if the checks have passed.

    If the folder has exactly this content, nothing is written. Other content is renamed to `….stale_<utc>`.
    """
    digest = bundle_digest(members.items())
    mf = run.receipt.manifest_fingerprint
    entries = [{"path": name, "sha256_hex": sha256_hex(content)} for name, content in sorted(members.items())]
    index = as_json({"manifest_fingerprint": mf, "members": entries, "notes": NOTES})
    files = dict(members) | {layout.index: index}
    if passed:
        flag = {"bundle_digest_sha256": digest, "manifest_fingerprint": mf}
        files[layout.flag] = canonical_json(flag) + b"\n"
    target, stale = run.bundle_folder, None
    if not _holds(target, files):
        work = _staged(target, files)
        try:
            if target.exists():
                stale = target.rename(target.with_name(f"{target.name}{STALE}{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"))
            work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        sync_tree(target.parent)
    return PublishedBundle(digest, tuple(target / name for name in sorted(files)), stale)


def _holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Whether a folder holds these files, byte by byte, and no others."""
    if not folder.is_dir() or {path.name for path in folder.iterdir()} != set(files):
        return False
    return all((folder / name).read_bytes() == content for name, content in files.items())


def _staged(target: Path, files: Mapping[str, bytes]) -> Path:
    work = target.with_name(f"{STAGING_PREFIX}{target.name}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for name, content in files.items():
        (work / name).write_bytes(content)
    sync_tree(work)
    return work
