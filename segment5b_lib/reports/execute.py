"""Execute an installed notebook for a run, and record how it ended.

papermill marks a killed kernel and a timed-out cell as completed, so the status is determined here: from the
exception and, for a notebook that executes a phase, from its artefacts, which must be new, and their decision.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from segment5b_lib.contract.words import Decision, NotebookStatus
from segment5b_lib.errors import GateRefusal
from segment5b_lib.identity import utc_now
from segment5b_lib.phases.engine.attempts import CurrentAttempt, current, slug
from segment5b_lib.phases.engine.parameters import Parameters, PhaseParameters
from segment5b_lib.reports.html import drop_live_views, write_html
from segment5b_lib.reports.notebooks import Notebook, notebook
from segment5b_lib.reports.record import NotebookRecord, insert_summary
from segment5b_lib.store.catalogue import find_run
from segment5b_lib.store.locks import locked
from segment5b_lib.store.publish import STAGING_PREFIX, write_file
from segment5b_lib.version import __version__

CELL_TIMEOUT_SECONDS: Final = 3600
"""No single cell takes longer, at any shipped scale."""
_KERNEL_START_SECONDS: Final = 120


def execute_notebook(
    name: str, parameters: Mapping[str, object], *, cell_timeout_seconds: int = CELL_TIMEOUT_SECONDS
) -> NotebookRecord:
    """Execute a notebook of the installed set; the run may be named by prefix or role.

    Leaves `outputs/notebooks/<run_id>/<name>.ipynb` (with the error, if there was one), `.html` and
    `.record.json`, in every case. A failing notebook does not raise: use the record's `raise_for_status`.

    Raises
    ------
    UsageError : an unknown notebook, an unknown, missing or wrongly typed parameter, an unknown run.
    ConflictError : the notebook is being executed for this run.
    KeyboardInterrupt : the caller was interrupted; the record says `killed`.
    """
    entry = notebook(name)
    source, checked = entry.source, entry.checked(parameters).resolved()
    with locked(entry.executed(checked.run_id).with_name(f".{name}.lock"), f"execute notebook {name}"):
        return _execute(entry, source, checked, cell_timeout_seconds)


def _execute(entry: Notebook, source: Path, checked: Parameters, cell_timeout_seconds: int) -> NotebookRecord:
    before = _pointer(entry, checked)
    started, clock = utc_now(), time.perf_counter()
    error = _papermill(source, entry.executed(checked.run_id), checked.model_dump(), cell_timeout_seconds)
    after = _pointer(entry, checked)
    pointer = after if after != before else None
    record = NotebookRecord(
        notebook=entry.name,
        run_id=checked.run_id,
        parameters=checked.model_dump(),
        status=_status(entry, error, pointer),
        decision=pointer.decision if pointer else None,
        artefacts=[written.file for written in pointer.artefacts] if pointer else [],
        error=_error_lines(error),
        reasons=list(pointer.reasons) if pointer else [],
        next_steps=list(pointer.next) if pointer else [],
        started_utc=started,
        finished_utc=utc_now(),
        elapsed_seconds=round(time.perf_counter() - clock, 3),
        library_version=__version__,
    )
    write_file(entry.record(checked.run_id), record.model_dump_json(indent=1).encode() + b"\n")
    if record.executed.is_file():
        if entry.phase is not None or error is not None:
            receipt = find_run(checked.run_id).receipt
            label = f"{receipt.posture}, seed {receipt.seed}, world {receipt.manifest_fingerprint[:8]}"
            insert_summary(record.executed, record, entry.phase or entry.name, label)
        write_html(record.executed)
    if isinstance(error, KeyboardInterrupt):
        raise error
    return record


def _pointer(entry: Notebook, checked: Parameters) -> CurrentAttempt | None:
    """The pointer to the phase's latest artefacts; None for a notebook without a phase."""
    if entry.phase is None:
        return None
    return current(
        slug(entry.phase), checked.run_id, what_if=isinstance(checked, PhaseParameters) and checked.as_what_if
    )


def _papermill(
    source: Path, target: Path, parameters: Mapping[str, object], cell_timeout_seconds: int
) -> BaseException | None:
    """Run the notebook in a separate kernel; returns the exception, or None. The notebook is kept in both cases."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for earlier in (target, target.with_suffix(".html")):
        earlier.unlink(missing_ok=True)
    work = target.with_name(f"{STAGING_PREFIX}{target.name}")
    sockets = tempfile.TemporaryDirectory(prefix="segment5b-")
    try:
        papermill.execute_notebook(
            str(source),
            str(work),
            parameters=dict(parameters),
            kernel_name="python3",
            progress_bar=False,
            start_timeout=_KERNEL_START_SECONDS,
            execution_timeout=cell_timeout_seconds,
            # Sockets in a separate folder: by default all kernels that start in one folder share their names there.
            config=Config({"KernelManager": {"transport": "ipc", "ip": str(Path(sockets.name) / "kernel")}}),
            # Nothing is live in an executed notebook: neither its views nor the state of their widgets.
            store_widget_state=False,
            # Ending a kernel interrupts it first, which it would report as an error.
            extra_arguments=["--log-level=CRITICAL"],
        )
    except (Exception, KeyboardInterrupt) as error:  # any exception goes into the record
        return error
    finally:
        sockets.cleanup()
        if work.is_file():
            drop_live_views(work)
            work.replace(target)
    return None


def _status(entry: Notebook, error: BaseException | None, pointer: CurrentAttempt | None) -> NotebookStatus:
    if isinstance(error, CellTimeoutError):
        return NotebookStatus.TIMEOUT
    if isinstance(error, (DeadKernelError, KeyboardInterrupt)):
        return NotebookStatus.KILLED
    if isinstance(error, PapermillExecutionError) and error.ename == GateRefusal.__name__:
        return NotebookStatus.GATE_FAILED
    if error is None and entry.phase is None:
        return NotebookStatus.COMPLETE
    if error is not None or pointer is None:
        return NotebookStatus.FAILED
    return NotebookStatus.COMPLETE if Decision(pointer.decision).opens else NotebookStatus.GATE_FAILED


def _error_lines(error: BaseException | None) -> dict[str, str] | None:
    if error is None:
        return None
    if isinstance(error, PapermillExecutionError):
        return {"kind": str(error.ename), "what": str(error.evalue)[:2000]}
    return {"kind": type(error).__name__, "what": str(error)[:2000]}
