"""Writes run records, the run log, and the RNG audit and trace (contracts §2, §5)."""

from __future__ import annotations

import json
import os
import platform
import resource
from pathlib import Path

import numba
import numpy as np

from segment5b_lib.contract.words import StateStatus
from segment5b_lib.errors import Segment5BError
from segment5b_lib.identity import utc_now
from segment5b_lib.states.context import Context
from segment5b_lib.store.records import Counters, Durations, StateRecord
from segment5b_lib.store.runs import Run
from segment5b_lib.version import __version__


def state_record(
    context: Context, *, started: str, wall_ms: float, cpu_ms: float, counters: Counters, error: BaseException | None
) -> StateRecord:
    receipt = context.run.receipt
    summary = {name: value for name, value in counters.items() if name not in ("rows_in", "rows_out", "shards")}
    return StateRecord(
        layer="layer2",
        segment="5B",
        state=context.spec.name,
        state_id=f"5B.{context.spec.name}",
        manifest_fingerprint=receipt.manifest_fingerprint,
        parameter_hash=receipt.parameter_hash,
        seed=receipt.seed,
        run_id=receipt.run_id,
        scenario_set=tuple(counters.get("scenarios", {})),
        status=StateStatus.PASS if error is None else StateStatus.FAIL,
        error_code=_error_code(error),
        error_context=error.context() if isinstance(error, Segment5BError) else None,
        started_at_utc=started,
        finished_at_utc=utc_now(),
        durations=Durations(wall_ms=round(wall_ms, 3), cpu_ms=round(cpu_ms, 3)),
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        steps=context.steps.records(),
        rows_in=counters.get("rows_in", 0),
        rows_out=counters.get("rows_out", 0),
        counters=summary,
        threads=context.threads,
        machine={"system": platform.system(), "architecture": platform.machine(), "cpus": os.cpu_count()},
    )


def _error_code(error: BaseException | None) -> str | None:
    if error is None:
        return None
    if isinstance(error, Segment5BError):
        return error.code
    return "5B.INTERRUPTED" if isinstance(error, KeyboardInterrupt) else f"5B.UNEXPECTED.{type(error).__name__}"


def append_record(run: Run, record: StateRecord) -> None:
    """Append a state record, its log lines, and (after a pass) its RNG totals."""
    day = str(record.started_at_utc)[:10]
    _append(run.records_root / f"utc_day={day}" / "segment_state_runs.jsonl", [json.dumps(record.document())])
    _append(run.log, _log_lines(record))
    if record.passed:
        totals = record.counters.get("rng", [])
        rows = [json.dumps({"state": record.state, **total}, sort_keys=True) for total in totals]
        _append(run.rng_log("trace"), rows)


def write_rng_audit(run: Run) -> None:
    """Audit row of a run: generator, build and key."""
    policy = run.policies.rng
    row = {
        "algorithm": policy.algorithm,
        "key_version": policy.key_version,
        "families": list(policy.families),
        "rng_root": run.receipt.rng_root,
        "seed": run.receipt.seed,
        "library_version": __version__,
        "build": {"numba": numba.__version__, "numpy": np.__version__, "python": platform.python_version()},
    }
    path = run.rng_log("audit")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(row, sort_keys=True) + "\n", encoding="utf-8")


def _log_lines(record: StateRecord) -> list[str]:
    state, end = record.state, record.finished_at_utc
    lines = [f"{record.started_at_utc} {state} started"]
    for step in record.steps:
        rate = f", {step.rows} rows" if step.rows else ""
        lines.append(f"{end} {state} {step.lane}: {step.name}, {step.wall_ms:.0f} ms{rate}")
    code = f" {record.error_code}" if record.error_code else ""
    return [*lines, f"{end} {state} {record.status}{code} after {record.durations.wall_ms:.0f} ms"]


def _append(path: Path, lines: list[str]) -> None:
    if lines:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write("\n".join(lines) + "\n")
