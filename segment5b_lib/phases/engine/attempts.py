"""Artefacts on disk: nothing is overwritten; every execution of a phase is a numbered attempt.

The first attempt has the plan's file names, `segment5b_<artefact>_<run_id>.<ext>`; later ones add `.attempt-<n>`
before the extension. `segment5b_<phase>_current_<run_id>.json` points at the attempt that counts, with the digest
of each of its files. A what-if has a pointer of its own, `segment5b_<phase>_what_if_<run_id>.json`, so that it never
stands where evidence is looked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segment5b_lib.contract.strict import Recorded
from segment5b_lib.errors import MissingInputError
from segment5b_lib.identity import sha256_hex
from segment5b_lib.store.digest import require_unchanged
from segment5b_lib.store.documents import read_json, validated
from segment5b_lib.store.locks import locked
from segment5b_lib.store.publish import write_file
from segment5b_lib.store.roots import outputs_folder


def slug(phase: str) -> str:
    """A phase's name as files spell it: `popt1` for `POPT.1`."""
    return phase.lower().replace(".", "")


def reports_folder(run_id: str) -> Path:
    """Folder of a run's phase artefacts."""
    return outputs_folder() / "reports" / run_id


class ArtefactFile(Recorded):
    """One file of an attempt, in the run's folder of reports."""

    artefact: str
    file: str
    sha256: str


class Outcome(Recorded):
    """What an attempt has come to: decision, status of every item, why, and the commands to run next."""

    decision: str
    created_utc: str
    items: dict[str, str]
    reasons: tuple[str, ...] = ()
    next: tuple[str, ...] = ()


class CurrentAttempt(Outcome):
    """The pointer to the attempt that counts (or the latest what-if)."""

    phase: str
    run_id: str
    attempt: int
    what_if: bool
    artefacts: tuple[ArtefactFile, ...]

    @property
    def documents(self) -> tuple[ArtefactFile, ...]:
        """Its JSON artefacts."""
        return tuple(written for written in self.artefacts if written.file.endswith(".json"))


@dataclass(frozen=True)
class Attempt:
    """One execution of a phase on a run, while its artefacts are being written."""

    phase: str
    run_id: str
    number: int
    what_if: bool = False

    def path(self, artefact: str, extension: str) -> Path:
        """Where this attempt's artefact lies, e.g. `path("p0_realism_gateboard", "md")`."""
        suffix = "" if self.number == 1 else f".attempt-{self.number}"
        name = f"segment5b_{artefact}_{self.run_id}{suffix}.{extension}"
        return reports_folder(self.run_id) / name

    def publish(self, files: Mapping[tuple[str, str], bytes], outcome: Outcome) -> list[Path]:
        """Write the artefacts, then point at them. Keys are (artefact, extension)."""
        written = []
        for (artefact, extension), content in files.items():
            path = self.path(artefact, extension)
            write_file(path, content)
            written.append(ArtefactFile(artefact=artefact, file=path.name, sha256=sha256_hex(content)))
        pointer = CurrentAttempt(
            phase=self.phase,
            run_id=self.run_id,
            attempt=self.number,
            what_if=self.what_if,
            artefacts=tuple(written),
            **outcome.model_dump(),
        )
        text = json.dumps(pointer.model_dump(), indent=1, sort_keys=True) + "\n"
        write_file(pointer_path(self.phase, self.run_id, what_if=self.what_if), text.encode())
        return [self.path(artefact, extension) for artefact, extension in files]


@contextmanager
def next_attempt(phase: str, run_id: str, *, what_if: bool = False) -> Iterator[Attempt]:
    """Hold the phase's lock on this run, and the number that the next attempt has."""
    folder = reports_folder(run_id)
    with locked(folder / f".{phase}.lock", f"write the artefacts of {phase}", wait_seconds=60):
        yield Attempt(phase, run_id, 1 + max(_attempts(folder, phase, run_id), default=0), what_if)


def pointer_path(phase: str, run_id: str, *, what_if: bool = False) -> Path:
    """The file that names a phase's current attempt, or its latest what-if."""
    kind = "what_if" if what_if else "current"
    return reports_folder(run_id) / f"segment5b_{phase}_{kind}_{run_id}.json"


def current(phase: str, run_id: str, *, what_if: bool = False) -> CurrentAttempt | None:
    """The pointer to a phase's current attempt (or latest what-if), or None where there is none."""
    path = pointer_path(phase, run_id, what_if=what_if)
    return validated(CurrentAttempt, read_json(path), str(path)) if path.is_file() else None


def read_artefact(phase: str, run_id: str, artefact: str) -> Any:
    """The current JSON artefact of a phase; its bytes must have the digest that the pointer records."""
    pointer = current(phase, run_id)
    files = {written.artefact: written for written in pointer.documents} if pointer else {}
    if artefact not in files:
        raise MissingInputError(
            "5B.PHASE.ARTEFACT_MISSING",
            f"there is no artefact {artefact!r} of {phase} for run {run_id[:8]}",
            where=str(reports_folder(run_id)),
            expected=", ".join(files) or f"{phase} to have been executed",
            next_step=f"segment5b phase {phase.upper()} {run_id[:8]}",
        )
    path = reports_folder(run_id) / files[artefact].file
    require_unchanged(
        {path: files[artefact].sha256},
        "5B.PHASE.ARTEFACT_CHANGED",
        "an artefact is not what its phase wrote",
        next_step=f"segment5b phase {phase.upper()} {run_id[:8]}",
    )
    return read_json(path)


def _attempts(folder: Path, phase: str, run_id: str) -> Iterator[int]:
    """Numbers of all attempts that have left a file, pointed at or not."""
    pattern = re.compile(rf"segment5b_{phase}_(?!current_|what_if_)\w+_{run_id}(?:\.attempt-(\d+))?\.\w+")
    for path in folder.glob(f"segment5b_{phase}_*"):
        match = pattern.fullmatch(path.name)
        if match:
            yield int(match[1] or 1)
