"""The freeze manifest: what the certificate is based on, back to the first decision, with digests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from segment5b_lib.contract.words import STATES
from segment5b_lib.errors import MissingInputError
from segment5b_lib.phases.engine.attempts import current, pointer_path, reports_folder, slug
from segment5b_lib.phases.engine.envelope import Node
from segment5b_lib.store.digest import changed_files, sha256_file
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.roots import outputs_folder
from segment5b_lib.store.runs import RECEIPT_FILE, Run
from segment5b_lib.store.worlds import WORLD_FILE


class Pointer(Node):
    """One file that the freeze is based on; `path` is relative to the outputs folder."""

    kind: Literal["world", "run", "policy", "marker", "bundle", "phase"]
    path: str
    sha256: str


def decisions(phase: str, run_id: str) -> dict[tuple[str, str], dict[str, Any]]:
    """A phase's decision about a run and all those that it is based on, by (phase, run id), latest first.

    Each is the first JSON artefact of its attempt: identity, items, decision, and who opened it.
    """
    path, pointer = pointer_path(slug(phase), run_id), current(slug(phase), run_id)
    if pointer is None:
        raise MissingInputError("5B.PHASE.POINTER_MISSING", f"{phase} has left no decision", where=str(path))
    document = read_json(reports_folder(run_id) / pointer.documents[0].file)
    documents = {(phase, run_id): document}
    for opening in document["opened_by"]:
        documents |= decisions(opening["phase"], opening["run_id"])
    return documents


def pointers(panel: Sequence[Run], rests_on: Sequence[tuple[str, str]]) -> list[Pointer]:
    """Pointers to worlds, receipts, policies, markers and bundles of the panel, and to the decisions' artefacts."""
    files = [pointer for run in panel for pointer in _of_run(run)]
    files += [("phase", path) for phase, run_id in rests_on for path in _of_phase(phase, run_id)]
    base = outputs_folder()
    return [
        Pointer(kind=kind, path=path.relative_to(base).as_posix(), sha256=sha256_file(path))
        for kind, path in dict.fromkeys(files)
    ]


def _of_run(run: Run) -> Iterator[tuple[Any, Path]]:
    yield "world", run.world.root / WORLD_FILE
    yield "run", run.home / RECEIPT_FILE
    yield from (("policy", path) for path in sorted((run.home / "policies").glob("*.yaml")))
    yield from (("marker", run.marker_path(state)) for state in STATES)
    yield from (("bundle", path) for path in sorted(run.bundle_folder.iterdir()) if path.is_file())


def _of_phase(phase: str, run_id: str) -> Iterator[Path]:
    pointer = current(slug(phase), run_id)
    yield pointer_path(slug(phase), run_id)
    yield from (reports_folder(run_id) / written.file for written in (pointer.artefacts if pointer else ()))


def unresolved(manifest: Sequence[Pointer]) -> list[str]:
    """Pointers that lead nowhere, or to bytes of another digest than they record."""
    base = outputs_folder()
    changed = changed_files({base / pointer.path: pointer.sha256 for pointer in manifest})
    missing_first = sorted(changed, key=lambda file: file.found is not None)
    return [
        f"{file.path.relative_to(base).as_posix()}: {'missing' if file.found is None else 'changed'}"
        for file in missing_first
    ]


def changed_outputs(panel: Sequence[Run]) -> list[str]:
    """Outputs of the panel's runs that are no longer what their markers say."""
    recorded = {path: digest for run in panel for path, digest in run.digests(*STATES).items()}
    return [str(changed.path) for changed in changed_files(recorded)]
