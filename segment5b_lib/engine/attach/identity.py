"""Declared identity of an external run root: in its receipt, run records, log partitions and data partitions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from segment5b_lib.errors import InputError, MissingInputError, UsageError
from segment5b_lib.store.documents import read_mapping
from segment5b_lib.store.records import record_lines
from segment5b_lib.store.runs import RECEIPT_FILE, Run

_DATA: Final = "data/layer2/5B/{dataset}/seed=*/manifest_fingerprint=*"
_SEEDED: Final = ("arrival_events", "s3_bucket_counts", "s2_realised_intensity")
_LOGS: Final = "logs/layer2/5B/rng/*/seed=*/parameter_hash=*/run_id=*"
_SHAPES: Final = {
    "run_id": re.compile("[0-9a-f]{32}"),
    "parameter_hash": re.compile("[0-9a-f]{64}"),
    "manifest_fingerprint": re.compile("[0-9a-f]{64}"),
    "seed": re.compile("0|[1-9][0-9]{0,18}"),
}


@dataclass(frozen=True)
class DeclaredIdentity:
    """The run's identity as declared in one place of the tree; None for what it does not declare."""

    where: str
    run_id: str | None
    seed: int | None
    parameter_hash: str | None
    manifest_fingerprint: str | None


@dataclass(frozen=True)
class Identity:
    """One run in a tree; `parameter_hash` is None if no log, record or receipt declares it."""

    run_id: str
    seed: int
    manifest_fingerprint: str
    parameter_hash: str | None


def identity_of_tree(root: Path, run_id: str = "") -> Identity:
    """The run that a tree holds, or the requested one of several; all places must agree."""
    data = [_declared(root, path, _partitions(root, path)) for path in _data_folders(root)]
    declarations = list(_declarations(root))
    by_folder = {root.name} if _SHAPES["run_id"].fullmatch(root.name) else set()
    named = sorted({item.run_id for item in declarations if item.run_id} or by_folder)
    chosen = _chosen(root, named, run_id)
    of_run = [item for item in declarations if item.run_id == chosen]
    seed = _agreed(root, "seed", [*of_run, *_matching(data, of_run)])
    mf = _agreed(root, "manifest_fingerprint", [*of_run, *(item for item in data if item.seed == seed)])
    if not any((item.seed, item.manifest_fingerprint) == (seed, mf) for item in data):
        raise MissingInputError(
            "5B.ATTACH.NO_DATA",
            "the tree has no data of the run that it names",
            where=str(root),
            expected=f"data/layer2/5B/arrival_events/seed={seed}/manifest_fingerprint={mf}",
            found=", ".join(item.where for item in data),
        )
    stated = {item.parameter_hash for item in of_run} - {None}
    ph = str(_agreed(root, "parameter_hash", of_run)) if stated else None
    return Identity(chosen, int(seed), str(mf), ph)


def _chosen(root: Path, named: list[str], prefix: str) -> str:
    matches = [name for name in named if name.startswith(prefix)]
    if len(matches) == 1:
        return matches[0]
    if not named:
        raise MissingInputError(
            "5B.ATTACH.NO_IDENTITY",
            "nothing in the tree states a run id",
            where=str(root),
            expected=f"a run_id in {_LOGS}, in run records, in {RECEIPT_FILE}, or as the folder's name (32 hex digits)",
            found=root.name,
            next_step="attach the run root itself, the folder that holds data/",
        )
    raise UsageError(
        "5B.ATTACH.WHICH_RUN",
        "the tree holds several runs, so one must be named" if matches else "the tree holds no such run",
        where=str(root),
        expected=f"one of: {', '.join(named)}",
        found=prefix,
        next_step=f"segment5b attach PATH --run-id {named[0]}",
    )


def _matching(data: list[DeclaredIdentity], of_run: list[DeclaredIdentity]) -> list[DeclaredIdentity]:
    """Data partitions that may be the run's: those of its world and seed, or all."""
    worlds = {item.manifest_fingerprint for item in of_run} - {None}
    seeds = {item.seed for item in of_run} - {None}
    return [c for c in data if (not worlds or c.manifest_fingerprint in worlds) and (not seeds or c.seed in seeds)]


def _agreed(root: Path, field: str, declarations: list[DeclaredIdentity]) -> Any:
    """The value that all places declare."""
    values = {getattr(item, field): item.where for item in declarations if getattr(item, field) is not None}
    if len(values) == 1:
        return next(iter(values))
    raise InputError(
        "5B.ATTACH.IDENTITY_DISAGREES",
        f"the tree states {'more than one' if values else 'no'} {field} of the run",
        where=str(root),
        expected="one value",
        found="; ".join(f"{value} in {where}" for value, where in values.items()) or "none",
        next_step="attach a tree that holds one run of one world, or name one with --run-id",
    )


def _data_folders(root: Path) -> list[Path]:
    folders = [path for name in _SEEDED for path in sorted(root.glob(_DATA.format(dataset=name))) if path.is_dir()]
    if not folders:
        raise MissingInputError(
            "5B.ATTACH.NO_DATA",
            "the folder holds no data of segment 5B",
            where=str(root),
            expected=_DATA.format(dataset=_SEEDED[0]),
            found=", ".join(sorted(path.name for path in root.iterdir())[:10]) or "an empty folder",
            next_step="attach the run root itself, the folder that holds data/",
        )
    return folders


def _declarations(root: Path) -> Iterator[DeclaredIdentity]:
    """The receipt, then log partitions, then run records."""
    if (receipt := root / RECEIPT_FILE).is_file():
        yield _declared(root, receipt, read_mapping(receipt))
    for path in sorted(root.glob(_LOGS)):
        yield _declared(root, path, _partitions(root, path))
    for path in Run(root).record_files:
        for row in record_lines(path):
            if row.get("segment", "5B") == "5B" and row.get("run_id"):
                yield _declared(root, path, row)


def _partitions(root: Path, path: Path) -> dict[str, str]:
    return dict(part.split("=", 1) for part in path.relative_to(root).parts if "=" in part)


def _declared(root: Path, path: Path, fields: Mapping[str, Any]) -> DeclaredIdentity:
    """Declaration of one place; malformed ids are refused, because ids become names of folders."""
    where = path.relative_to(root).as_posix()
    ids = {name: str(fields[name]) for name in _SHAPES if fields.get(name) is not None}
    for name, value in ids.items():
        if not _SHAPES[name].fullmatch(value):
            raise InputError(
                "5B.ATTACH.NOT_AN_ID",
                f"a {name} is malformed",
                where=f"{where} in {root}",
                expected=_SHAPES[name].pattern,
                found=value[:80],
            )
    seed = int(ids["seed"]) if "seed" in ids else None
    rest = (ids.get(name) for name in ("parameter_hash", "manifest_fingerprint"))
    return DeclaredIdentity(where, ids.get("run_id"), seed, *rest)
