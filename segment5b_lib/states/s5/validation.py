"""S5 validation: check what was written, and seal the verdict with its evidence in a bundle."""

from __future__ import annotations

from collections import Counter
from typing import Final

from segment5b_lib.contract.verdicts import number_bound
from segment5b_lib.contract.words import Lane
from segment5b_lib.errors import StateRefusal
from segment5b_lib.states.context import Context, StateSpec
from segment5b_lib.states.s5.check import Check, CheckStatus, check_bounds
from segment5b_lib.states.s5.check_arrivals import arrival_checks
from segment5b_lib.states.s5.check_clock import clock_checks
from segment5b_lib.states.s5.check_counts import count_checks
from segment5b_lib.states.s5.check_draws import draw_checks, rng_totals
from segment5b_lib.states.s5.check_receipts import receipt_checks
from segment5b_lib.states.s5.check_sentinels import sentinel_checks
from segment5b_lib.states.s5.inputs import CheckInputs, gather
from segment5b_lib.states.s5.places import READS
from segment5b_lib.states.s5.report import PublishedBundle, bundle_members, first_failed, publish_bundle
from segment5b_lib.store.digest import sha256_file
from segment5b_lib.store.records import Counters, OutputLine

SPEC: Final = StateSpec(
    name="S5",
    title="Validation bundle",
    policies=("time_grid", "lgcp", "count", "placement", "validation", "bundle_layout"),
    reads_world=("scenario_manifest_5A", "tz_timetable_cache", *READS),
    reads_states=("S0", "S1", "S2", "S3", "S4"),
    writes=(),
)


def run(context: Context) -> None:
    """Execute the state.

    Raises
    ------
    StaleError : an input differs from what was sealed or published.
    StateRefusal : ``5B.S5.<CHECK>``, the first failed check; report, issue table and index are still published,
        without a flag.
    """
    inputs = gather(context)
    checks = all_checks(inputs)
    _write(inputs, checks)


def all_checks(inputs: CheckInputs) -> list[Check]:
    """All checks, in the order in which the first failure gives the refusal its code. Nothing is written."""
    with inputs.context.step("judge", Lane.VALIDATION):
        checks = [
            *receipt_checks(inputs),
            *count_checks(inputs),
            *arrival_checks(inputs),
            *clock_checks(inputs),
            *draw_checks(inputs),
            *sentinel_checks(inputs),
        ]
        return [*checks, _warnings(inputs, checks)]


def _warnings(inputs: CheckInputs, checks: list[Check]) -> Check:
    """Warnings are tolerated up to a number; advisories do not count."""
    most = inputs.policies.validation.failure_policy.max_warnings
    warned = [check.check_id for check in checks if check.status is CheckStatus.WARN]
    return check_bounds(
        "WARNINGS",
        len(warned),
        "checks that warn",
        [number_bound("validation", "failure_policy.max_warnings", max=most)],
        (len(checks), "checks"),
        f"warnings: {', '.join(warned)}" if warned else "no check warns",
    )


def _write(inputs: CheckInputs, checks: list[Check]) -> None:
    context, failed = inputs.context, first_failed(checks)
    with context.step("publish bundle", Lane.WRITE) as step:
        members = bundle_members(inputs, checks, rng_totals(inputs))
        context.withdraw_marker()
        layout = context.run.policies.bundle_layout
        published = publish_bundle(context.run, layout, members, passed=failed is None)
        step.bytes = sum(path.stat().st_size for path in published.files)
        if failed is None:
            context.write_marker(_outputs(context, published), _counters(inputs, checks, published))
    if failed is not None:
        raise _refusal(context, failed)


def _outputs(context: Context, published: PublishedBundle) -> list[OutputLine]:
    return [
        OutputLine(
            dataset_id="validation_bundle_5B",
            path=path.relative_to(context.run.root).as_posix(),
            sha256=sha256_file(path),
            bytes=path.stat().st_size,
        )
        for path in published.files
    ]


def _counters(inputs: CheckInputs, checks: list[Check], published: PublishedBundle) -> Counters:
    counted = Counter(check.status for check in checks)
    rows = sum(scenario.ledger.rows for scenario in inputs.scenarios)
    return {
        "scenarios": {scenario.scenario_id: {"arrivals": scenario.rows} for scenario in inputs.scenarios},
        "rows_in": rows + inputs.arrivals,
        "rows_out": sum(len(check.issues) for check in checks),
        "bundle_digest": published.digest,
        "moved_aside": published.stale.name if published.stale else None,
        "checks_by_status": {status.value: counted[status] for status in CheckStatus},
    }


def _refusal(context: Context, failed: Check) -> StateRefusal:
    folder = context.run.bundle_folder.relative_to(context.run.root)
    first = failed.issues[0] if failed.issues else None
    bounds = ", ".join(map(str, failed.bounds))
    return StateRefusal(
        failed.code,
        failed.message,
        where=first.where if first else f"run {context.run.run_id[:8]}",
        expected=f"{failed.unit}: {bounds}" + (f"; there {first.expected}" if first else ""),
        found=f"{failed.value}" + (f"; there {first.found}" if first else ""),
        done=f"report, issue table and index are in {folder.as_posix()}, without a flag",
        next_step=f"read {context.run.policies.bundle_layout.report}; rerun the state that owns what it names",
    )
