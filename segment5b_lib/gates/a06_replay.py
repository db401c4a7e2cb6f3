"""A6: executed again, in another process and with another number of threads, S4 writes the same columns.

Value: columns of the replayed part files that differ in a value, in order or in what is null. Population: columns
compared. It costs a second execution of the parts, so no scorecard holds it; certification asks for it.

Thresholds: validation_policy_5B.yaml, gates.A6.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from segment5b_lib.contract.datasets import dataset
from segment5b_lib.contract.verdicts import GateResult, Measurement, not_measured
from segment5b_lib.gates.gate import ARRIVALS, Gate, Group
from segment5b_lib.store.digest import sha256_file
from segment5b_lib.store.parquet import open_file
from segment5b_lib.store.runs import Run

_LISTED = 20


def replay(run: Run, parts: Mapping[str, Sequence[int]] | None = None) -> GateResult:
    """Execute parts of S4 again and compare; by default one part of each scenario, picked by the policy's seed.

    `parts` are positions of part files by scenario. The run is only read.
    """
    policy = run.policies.validation
    draw = random.Random(policy.sampling.seed)
    chosen = parts or {name: [draw.randrange(len(run.files(ARRIVALS, name)))] for name in run.scenarios}
    return GATES[0].judged(_measure(run, chosen), policy, f"{__name__}.replay")


def other_threads(run: Run) -> int:
    """A number of threads that the run itself did not use."""
    record = run.last_records().get("S4")
    return 1 if record and record.threads != 1 else 2


def _measure(run: Run, parts: Mapping[str, Sequence[int]]) -> Measurement:
    threads = other_threads(run)
    with tempfile.TemporaryDirectory(prefix="segment5b_replay_") as folder:
        words = [f"{scenario}:{part}" for scenario, chosen in parts.items() for part in chosen]
        worker = [sys.executable, "-m", "segment5b_lib.gates.replay_worker"]
        command = [*worker, str(run.root), folder, str(threads), *words]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            return not_measured(f"the replay failed: {ended.stderr.strip().splitlines()[-1:]}", "columns")
        compared: dict[str, dict[str, bool]] = {}
        for scenario, chosen in parts.items():
            files = run.files(ARRIVALS, scenario)
            for part in chosen:
                again = Path(folder) / scenario / files[part].name
                compared[f"{scenario} part {part}"] = _different(files[part], again)
    differing = [f"{part}: {name}" for part, columns in compared.items() for name in columns if columns[name]]
    detail = {"threads": threads, "parts": list(compared), "columns_that_differ": differing[:_LISTED]}
    return Measurement(float(len(differing)), sum(map(len, compared.values())), "columns", detail)


def _different(published: Path, again: Path) -> dict[str, bool]:
    """Whether each column differs; files of equal bytes have equal columns."""
    contract = dataset(ARRIVALS)
    with open_file(published, contract, foreign=True) as left, open_file(again, contract, foreign=True) as right:
        names = left.schema_arrow.names
        if sha256_file(published) == sha256_file(again):
            return dict.fromkeys(names, False)
        return {name: not _column(left, name).equals(_column(right, name)) for name in names}


def _column(file: pq.ParquetFile, name: str) -> pa.ChunkedArray:
    """A column's values; which code a word has is no difference."""
    column = file.read([name]).column(0)
    kind = column.type
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column


GATES: Final = (
    Gate(
        gate_id="A6",
        title="Replay",
        unit="columns",
        formula="columns of part files that a second execution, in another process and with other threads, "
        "writes differently",
        evidence=(ARRIVALS,),
        owner="S4",
        group=Group.AUDIT,
    ),
)
