"""Structure as evidence: equal counters, equal bytes or equal order-independent column digests, never status words.

Two runs have the same dataset where every file has the same digest in both markers (which were re-hashed before). Where
an older version wrote other bytes, columns decide: per column the sum of the hashes of its values, and over whole rows
the sum of the hashes of the rows, so that neither order nor layout nor number of files matters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from segment5b_lib.contract.datasets import dataset
from segment5b_lib.contract.words import STATES
from segment5b_lib.engine.chain import state_spec
from segment5b_lib.phases.engine.envelope import Node
from segment5b_lib.store.digest import bundle_digest
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.parquet import sql_column
from segment5b_lib.store.query import PARQUET_FILES, connect, q
from segment5b_lib.store.runs import Run

S5_BUNDLE: Final = "validation_bundle_5B"
WRITTEN: Final = (*(name for state in STATES for name in state_spec(state).writes), S5_BUNDLE)
"""Datasets that are compared: everything that a run writes."""
_WHOLE_ROW: Final = "(row)"
_FILES: Final = PARQUET_FILES.format(files="?")
_COLUMNS: Final = f"DESCRIBE SELECT * FROM {_FILES}"
_ROWS: Final = f"(SELECT {{columns}} FROM {_FILES})"
_COLUMN_DIGESTS: Final = f"SELECT sum(hash(COLUMNS(*))::HUGEINT)::VARCHAR FROM {_ROWS}"
_ROW_DIGEST: Final = f"SELECT sum(hash(every)::HUGEINT)::VARCHAR AS digest FROM {_ROWS} every"


Counter = int | float | str


class CounterLine(Node):
    """One counter of a state in both runs; a missing one is null and never equal."""

    state: str
    counter: str
    reference: Counter | None
    candidate: Counter | None
    allowed_difference: float
    equal: bool


class DatasetLine(Node):
    """One dataset in both runs: compared by file digests (`bytes`) or by column digests (`columns`)."""

    dataset_id: str
    compared_by: str
    differs: list[str]
    equal: bool


def counters_of(
    reference: Run | None, candidate: Run, state: str, names: Sequence[str], *, allowed_difference: float = 0.0
) -> list[CounterLine]:
    """Counters of a state's marker, by name; those of a scenario are named `scenario/counter`."""
    if reference is None:
        return []
    sides = [_counters(run, state) for run in (reference, candidate)]
    keys = sorted({key for side in sides for key in side if key.rsplit("/", 1)[-1] in names})
    missing = [name for name in names if not any(key.rsplit("/", 1)[-1] == name for key in keys)]
    return [_counter_line(state, key, sides, allowed_difference) for key in (*keys, *missing)]


def _counter_line(state: str, key: str, sides: Sequence[Mapping[str, Counter]], allowed: float) -> CounterLine:
    before, after = (side.get(key) for side in sides)
    if isinstance(before, (int, float)) and isinstance(after, (int, float)):
        equal = abs(after - before) <= allowed
    else:
        equal = before is not None and before == after
    return CounterLine(
        state=state, counter=key, reference=before, candidate=after, allowed_difference=allowed, equal=equal
    )


def _counters(run: Run, state: str) -> dict[str, Counter]:
    """Counters of a marker: totals by name, those of each scenario by `scenario/name`."""
    counters = run.counters(state)
    flat = {name: value for name, value in counters.items() if isinstance(value, (int, float, str))}
    for scenario, own in counters.get("scenarios", {}).items():
        flat |= {f"{scenario}/{name}": value for name, value in own.items() if isinstance(value, (int, float, str))}
    return flat


def draws_of(reference: Run | None, candidate: Run, states: Sequence[str]) -> list[CounterLine]:
    """Random numbers that some states have used: draws, blocks and events by scenario and family."""
    lines: list[CounterLine] = []
    for state in states if reference else ():
        sides = [_draws(run, state) for run in (reference, candidate) if run]
        lines += [_counter_line(state, key, sides, 0.0) for key in sorted({*sides[0], *sides[1]})]
    return lines


def _draws(run: Run, state: str) -> dict[str, Counter]:
    totals = run.counters(state).get("rng", [])
    return {
        f"{total['scenario_id']}/{total['family']} {amount}": total[amount]
        for total in totals
        for amount in ("draws", "blocks", "events")
    }


def datasets_of(reference: Run | None, candidate: Run, states: Sequence[str]) -> list[DatasetLine]:
    """Every dataset that some states write, in both runs; S5's is its bundle."""
    if reference is None:
        return []
    names = [name for state in states for name in (state_spec(state).writes or (S5_BUNDLE,))]
    # A dataset that is written on request only may be in neither.
    written = [name for name in names if _files(reference, name) or _files(candidate, name)]
    return [_dataset_line(name, reference, candidate) for name in written]


def _dataset_line(name: str, reference: Run, candidate: Run) -> DatasetLine:
    before, after = _files(reference, name), _files(candidate, name)
    if before == after:
        return DatasetLine(dataset_id=name, compared_by="bytes", differs=[], equal=True)
    if name == S5_BUNDLE or dataset(name).schema is None or not (before and after):
        differs = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
        return DatasetLine(dataset_id=name, compared_by="bytes", differs=differs, equal=False)
    old, new = column_digests(reference, name, before), column_digests(candidate, name, after)
    differs = sorted(column for column in {*old, *new} if old.get(column) != new.get(column))
    return DatasetLine(dataset_id=name, compared_by="columns", differs=differs, equal=not differs)


def _files(run: Run, name: str) -> dict[str, str]:
    """Files of a dataset with their digests, by path below the run root; equal identities have equal paths."""
    return {output.path: output.sha256 for output in run.outputs(*STATES) if output.dataset_id == name}


def column_digests(run: Run, name: str, files: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Per column of a dataset the sum of the hashes of its values, and of whole rows; independent of order and layout.

    The columns are those of the contract that are there, with times as times, however a file codes them.
    """
    paths, contract = [str(run.root / path) for path in files], dataset(name).schema
    assert contract is not None, name
    with connect([run.root]) as connection:
        present = q(connection, _COLUMNS, [paths])["column_name"].to_list()
        projection = ", ".join(sql_column(field, present) for field in contract if field.name in present)
        columns = q(connection, _COLUMN_DIGESTS.format(columns=projection), [paths]).row(0, named=True)
        rows = q(connection, _ROW_DIGEST.format(columns=projection), [paths])["digest"][0]
    return {**columns, _WHOLE_ROW: rows}


def differences(lines: Sequence[CounterLine | DatasetLine]) -> list[str]:
    """What is not equal, in words."""
    return [_difference(line) for line in lines if not line.equal]


def _difference(line: CounterLine | DatasetLine) -> str:
    if isinstance(line, DatasetLine):
        return f"{line.dataset_id}: {', '.join(line.differs)} differ ({line.compared_by})"
    before, now = ("not recorded" if value is None else value for value in (line.reference, line.candidate))
    return f"{line.state} {line.counter}: {before} before, {now} now"


def bundle_faults(run: Run) -> list[str]:
    """What is wrong with a run's S5 bundle: members re-hashed, digest recomputed, flag compared. Empty: intact."""
    marker, layout = run.marker("S5"), run.policies.bundle_layout
    if marker is None:
        return ["S5 has not published"]
    folder = run.bundle_folder
    flag = folder / layout.flag
    if not flag.is_file():
        return [f"no {layout.flag}"]
    entries = read_json(folder / layout.index)["members"]
    lost = [entry["path"] for entry in entries if not (folder / entry["path"]).is_file()]
    if lost:
        return [f"{name} is missing" for name in lost]
    digest = bundle_digest((entry["path"], (folder / entry["path"]).read_bytes()) for entry in entries)
    claims = {layout.flag: read_json(flag)["bundle_digest_sha256"], "marker": marker.counters["bundle_digest"]}
    return [f"{name} claims another digest" for name, claimed in claims.items() if claimed != digest]
