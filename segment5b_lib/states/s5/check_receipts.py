"""Checks of S5 on its inputs: upstream bundles, sealed inputs, state markers, the time grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from segment5b_lib.contract.datasets import UPSTREAM_SEGMENTS
from segment5b_lib.contract.units import SECOND_US
from segment5b_lib.errors import Segment5BError
from segment5b_lib.identity import canonical_json, sha256_hex
from segment5b_lib.states.s5.check import Check, Issue, check_invariant
from segment5b_lib.states.s5.inputs import CheckInputs, ScenarioInputs
from segment5b_lib.store.bundles import read_bundle
from segment5b_lib.store.runs import policies_digest


def receipt_checks(inputs: CheckInputs) -> list[Check]:
    return [_upstream_bundles(inputs), _sealed_inputs(inputs), _state_markers(inputs), _time_grid(inputs)]


def _upstream_bundles(inputs: CheckInputs) -> Check:
    received = inputs.receipt["upstream_segments"]
    issues = []
    for segment in UPSTREAM_SEGMENTS:
        entry = received.get(segment, {})
        actual = _bundle_digest(inputs, segment)
        if entry.get("status") != "PASS" or entry.get("bundle_digest") != actual:
            issues.append(Issue(f"segment {segment}", f"PASS, {entry.get('bundle_digest')}", actual))
    invariant = "every upstream segment's bundle verifies and is the one in S0's receipt"
    return check_invariant("UPSTREAM_BUNDLES", len(issues), (len(UPSTREAM_SEGMENTS), "segments"), invariant, issues)


def _bundle_digest(inputs: CheckInputs, segment: str) -> str:
    world = inputs.context.run.world
    try:
        return read_bundle(segment, world.bundle_folder(segment), world.root, world.mf)
    except Segment5BError as error:
        return f"{error.what}: {error.where.replace(str(world.root), 'world')}"


def _sealed_inputs(inputs: CheckInputs) -> Check:
    receipt, sealed = inputs.receipt, inputs.sealed
    expected: dict[str, Any] = {
        "sealed_inputs_digest": sha256_hex(canonical_json(sealed)),
        "row_count": len(sealed),
        "manifest_fingerprint": inputs.context.run.world.mf,
        "scenario_set": sorted(inputs.manifest),
    }
    issues = [
        Issue(f"s0_gate_receipt_5B, {name}", str(value), str(receipt.get(name)))
        for name, value in expected.items()
        if receipt.get(name) != value
    ]
    issues += [
        Issue(f"sealed_inputs_5B, {row['artifact_id']}", sha256_hex(canonical_json(row["files"])), row["sha256_hex"])
        for row in sealed
        if row["sha256_hex"] != sha256_hex(canonical_json(row["files"]))
    ]
    invariant = "the sealed inputs are those of S0's receipt"
    return check_invariant("SEALED_INPUTS", len(issues), (len(sealed), "inputs"), invariant, issues)


def _state_markers(inputs: CheckInputs) -> Check:
    digests = {path: digest for row in inputs.sealed for path, digest in row["files"].items()}
    issues: list[Issue] = []
    compared = 0
    for state, marker in inputs.markers.items():
        recorded = marker.inputs | {f"policy {name}": digest for name, digest in marker.policies.items()}
        expected = digests | {
            f"policy {name}": digest for name, digest in policies_digest(inputs.policies, list(marker.policies)).items()
        }
        compared += len(recorded)
        issues += [
            Issue(f"marker of {state}, {name}", str(expected.get(name)), digest)
            for name, digest in recorded.items()
            if expected.get(name) != digest
        ]
        digests |= {output.path: output.sha256 for output in marker.outputs}
    invariant = "every state was made from today's policies and from the inputs that were sealed or published before it"
    return check_invariant("STATE_MARKERS", len(issues), (compared, "recorded digests"), invariant, issues)


def _time_grid(inputs: CheckInputs) -> Check:
    issues = [issue for scenario in inputs.scenarios for issue in _grid_issues(inputs, scenario)]
    buckets = sum(scenario.horizon.buckets for scenario in inputs.scenarios)
    invariant = "buckets number from 0, touch each other, and fill the horizon exactly"
    return check_invariant("TIME_GRID", len(issues), (buckets, "buckets"), invariant, issues)


def _grid_issues(inputs: CheckInputs, scenario: ScenarioInputs) -> list[Issue]:
    width = inputs.policies.time_grid.bucket_seconds
    horizon = inputs.manifest[scenario.scenario_id]
    first, last = (int(horizon[name].timestamp()) * SECOND_US for name in ("horizon_start_utc", "horizon_end_utc"))
    numbers = np.arange(scenario.grid.num_rows)
    expected = {
        "bucket_index": numbers,
        "bucket_start_utc": first + numbers * width * SECOND_US,
        "bucket_end_utc": first + (numbers + 1) * width * SECOND_US,
        "bucket_duration_seconds": np.full(numbers.size, width),
    }
    issues = []
    for name, right in expected.items():
        actual = scenario.grid[name].cast(pa.int64()).to_numpy()
        for bucket in np.flatnonzero(actual != right).tolist():
            place = f"s1_time_grid_5B, scenario {scenario.scenario_id}, row {bucket}, {name}"
            issues.append(Issue(place, str(right[bucket]), str(actual[bucket])))
    if first + numbers.size * width * SECOND_US != last:
        place = f"s1_time_grid_5B, scenario {scenario.scenario_id}"
        issues.append(Issue(place, f"buckets to {last}", f"{numbers.size} buckets of {width} s from {first}"))
    return issues
