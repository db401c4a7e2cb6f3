"""Who a foreign run root says it is: by its receipt, its run records, its log partitions and its data partitions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from segment5b_lib.errors import InputError, MissingInputError, UsageError
from segment5b_lib.store.documents import read_mapping
from segment5b_lib.store.records import record_lines
from segment5b_lib.store.runs import RECEIPT_FILE

_DATA: Final = "data/layer2/5B/{dataset}/seed=*/manifest_fingerprint=*"
_SEEDED: Final = ("arrival_events", "s3_bucket_counts", "s2_realised_intensity")
_LOGS: Final = "logs/layer2/5B/rng/*/seed=*/parameter_hash=*/run_id=*"
_RECORDS: Final = "reports/layer2/segment_state_runs/segment=5B/utc_day=*/segment_state_runs.jsonl"
_SHAPES: Final = {
    "run_id": re.compile("[0-9a-f]{32}"),
    "parameter_hash": re.compile("[0-9a-f]{64}"),
    "manifest_fingerprint": re.compile("[0-9a-f]{64}"),
    "seed": re.compile("0|[1-9][0-9]{0,18}"),
}


@dataclass(frozen=True)
class Claim:
    """What one place in the tree says about the run; None where it says nothing."""

    where: str
    run_id: str | None
    seed: int | None
    parameter_hash: str | None
    manifest_fingerprint: str | None


@dataclass(frozen=True)
class Identity:
    """One run in a tree; `parameter_hash` is None where neither logs nor records nor a receipt say it."""

    run_id: str
    seed: int
    manifest_fingerprint: str
    parameter_hash: str | None


def identity_of_tree(root: Path, run_id: str = "") -> Identity:
    """The run that a tree holds, or of several the one that is asked for; every place must say the same.

    Raises
    ------
    MissingInputError : no data of 5B, or nothing that names a run.
    UsageError : several runs, and none (or one that is not there) was asked for.
    InputError : two places contradict each other.
    """
    data = list(_data_claims(root))
    claims = [*_receipt_claims(root), *_log_claims(root), *_record_claims(root)]
    named = sorted({claim.run_id for claim in claims if claim.run_id} or _by_folder(root))
    chosen = _chosen(root, named, run_id)
    own = [claim for claim in claims if claim.run_id == chosen]
    seed = _one(root, "seed", [*own, *_matching(data, own)])
    mf = _one(root, "manifest_fingerprint", [*own, *(claim for claim in data if claim.seed == seed)])
    if not any((claim.seed, claim.manifest_fingerprint) == (seed, mf) for claim in data):
        raise MissingInputError(
            "5B.ATTACH.NO_DATA",
            "the tree has no data of the run that it names",
            where=str(root),
            expected=f"data/layer2/5B/arrival_events/seed={seed}/manifest_fingerprint={mf}",
            found=", ".join(claim.where for claim in data),
        )
    stated = {claim.parameter_hash for claim in own} - {None}
    ph = str(_one(root, "parameter_hash", own)) if stated else None
    return Identity(chosen, int(seed), str(mf), ph)


def _chosen(root: Path, named: list[str], wanted: str) -> str:
    matches = [name for name in named if name.startswith(wanted)]
    if len(matches) == 1:
        return matches[0]
    if not named:
        raise MissingInputError(
            "5B.ATTACH.NO_IDENTITY",
            "nothing in the tree names a run",
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
        found=wanted,
        next_step=f"segment5b attach PATH --run-id {named[0]}",
    )


def _matching(data: list[Claim], own: list[Claim]) -> list[Claim]:
    """Data partitions that may be the run's: those of a world that it names, or all."""
    worlds = {claim.manifest_fingerprint for claim in own} - {None}
    seeds = {claim.seed for claim in own} - {None}
    return [c for c in data if (not worlds or c.manifest_fingerprint in worlds) and (not seeds or c.seed in seeds)]


def _one(root: Path, field: str, claims: list[Claim]) -> Any:
    """The value on which all places agree."""
    said = {getattr(claim, field): claim.where for claim in claims if getattr(claim, field) is not None}
    if len(said) == 1:
        return next(iter(said))
    raise InputError(
        "5B.ATTACH.IDENTITY_DISAGREES",
        f"the tree says {'more than one' if said else 'no'} {field} of the run",
        where=str(root),
        expected="one value",
        found="; ".join(f"{value} in {where}" for value, where in said.items()) or "none",
        next_step="attach a tree that holds one run of one world, or name one with --run-id",
    )


def _data_claims(root: Path) -> Iterator[Claim]:
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
    for path in folders:
        yield _claim(root, path, _partitions(root, path))


def _log_claims(root: Path) -> Iterator[Claim]:
    for path in sorted(root.glob(_LOGS)):
        yield _claim(root, path, _partitions(root, path))


def _record_claims(root: Path) -> Iterator[Claim]:
    for path in sorted(root.glob(_RECORDS)):
        for row in record_lines(path):
            if row.get("segment", "5B") == "5B" and row.get("run_id"):
                yield _claim(root, path, row)


def _receipt_claims(root: Path) -> Iterator[Claim]:
    path = root / RECEIPT_FILE
    if path.is_file():
        yield _claim(root, path, read_mapping(path))


def _by_folder(root: Path) -> set[str]:
    return {root.name} if _SHAPES["run_id"].fullmatch(root.name) else set()


def _partitions(root: Path, path: Path) -> dict[str, str]:
    parts = path.relative_to(root).parts
    return dict(part.split("=", 1) for part in parts if "=" in part)


def _claim(root: Path, path: Path, said: Mapping[str, Any]) -> Claim:
    """The claim of one place; an id in another form than an id's is refused: ids become names of folders."""
    where = path.relative_to(root).as_posix()
    found = {name: str(said[name]) for name in _SHAPES if said.get(name) is not None}
    for name, value in found.items():
        if not _SHAPES[name].fullmatch(value):
            raise InputError(
                "5B.ATTACH.NOT_AN_ID",
                f"a {name} is not what a {name} looks like",
                where=f"{where} in {root}",
                expected=_SHAPES[name].pattern,
                found=value[:80],
            )
    seed = int(found["seed"]) if "seed" in found else None
    rest = (found.get(name) for name in ("parameter_hash", "manifest_fingerprint"))
    return Claim(where, found.get("run_id"), seed, *rest)
