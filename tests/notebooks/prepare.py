"""The outputs folder that the stored notebooks are executed in: runs of the tiny world, and predecessors' decisions.

Every notebook has a copy of its own, so that their order does not matter. Phases are really executed here as far as
the tiny world lets them; the one decision that is planted is P3's (see `_remediation`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from segment5b_lib.contract.words import Decision
from segment5b_lib.engine.chain import finished, panel, repetitions
from segment5b_lib.engine.retention import pin
from segment5b_lib.store.catalogue import find_run, list_runs
from segment5b_lib.store.locks import locked
from segment5b_lib.store.postures import load_posture
from segment5b_lib.store.runs import Run
from segment5b_lib.store.worlds import World
from segment5b_lib.world.build import build_world
from segment5b_lib.world.reopen import reopen_world
from segment5b_lib.world.world_file import load_spec
from tests.decisions import speak
from tests.notebooks.step_records import CURRENT, OLDER, REPETITIONS, plant
from tests.phases.execute import execute
from tests.phases.popt_track import remade

_SEED, _WITNESS = 42, 7
OLDER_VERSION: Final = "0.0.9"
_THREADS: Final = 2
WAIT_SECONDS: Final = 600


@contextmanager
def outputs_at(folder: Path) -> Iterator[None]:
    """Let an outputs folder be the outputs folder, also of kernels that are started meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGMENT5B_OUTPUTS", str(folder))
        yield


def prepared(folder: Path) -> Path:
    """The prepared outputs folder; whichever worker comes first makes it."""
    with locked(folder.with_name(f".{folder.name}.lock"), "prepare the notebooks", wait_seconds=WAIT_SECONDS):
        if not folder.is_dir():
            making = folder.with_name(f"{folder.name}.making")
            with outputs_at(making):
                _prepare(making)
            making.rename(folder)
    return folder


def shared_base(factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers, as in the fixture `outputs`."""
    base = factory.getbasetemp()
    return (base.parent if base.name.startswith("popen-") else base) / "notebooks"


def copy_of(folder: Path, own: Path) -> Path:
    """A copy that a notebook may add to: outputs are replaced and never written into, so files are linked."""
    hidden = shutil.ignore_patterns(".*")
    return shutil.copytree(folder, own, copy_function=os.link, ignore=hidden)


def parameters_of(notebook: str) -> dict[str, Any]:
    """What a notebook is executed on, in a prepared outputs folder. P3 and P5 are refused by the order: what-ifs."""
    if notebook.startswith("popt"):
        baseline = {"baseline": _older().run_id[:8]} if notebook.startswith(("popt1", "popt2", "popt3")) else {}
        return {"run_id": "@baseline", **baseline}
    return {
        "p0_realism_baseline": {"run_id": "@baseline"},
        "p1_civil_time": {"witnesses": ["@witness"]},
        "p2_calibration": {"baseline": "@candidate", "witnesses": ["@witness"]},
        "p3_contract_hardening": {"as_what_if": True},
        "p4_certification": {"panel": [run.run_id[:8] for run in _panel(find_run("@candidate"))]},
        "p5_freeze": {"as_what_if": True},
        "investigate_dst": {"run_id": "@baseline"},
        "compare_runs": {"run_id": "@baseline", "others": ["@candidate"]},
    }[notebook]


def what_ifs() -> None:
    """Execute the phases that are refused by the order, P3 and P5, in the outputs folder that is set."""
    candidate = find_run("@candidate")
    for name in ("P3", "P5"):
        execute(name, candidate, as_what_if=True)


def _older() -> Run:
    return next(run for run in list_runs() if run.receipt.library_version == OLDER_VERSION)


def _panel(candidate: Run) -> list[Run]:
    seeds = candidate.policies.validation.stability.required_seeds
    return [finished_on(candidate, seed) for seed in seeds if seed != candidate.receipt.seed]


def finished_on(run: Run, seed: int) -> Run:
    """The finished run of another seed with a run's world and policies."""
    mine = run.receipt
    (found,) = (
        one
        for one in list_runs()
        if (one.receipt.manifest_fingerprint, one.receipt.parameter_hash, one.receipt.seed)
        == (mine.manifest_fingerprint, mine.parameter_hash, seed)
    )
    return found


def _prepare(folder: Path) -> None:
    world = build_world(load_spec("tiny"), folder).world
    baseline = _performance(world)
    _remediation(world, baseline)


def _performance(world: World) -> Run:
    """Repetitions on two seeds, the same by an older version, and POPT.0 to POPT.5 in the order that POPT.0 ranks."""
    runs = [
        repetitions(
            finished(world, load_posture("published"), "published", seed, threads=_THREADS),
            REPETITIONS,
            threads=_THREADS,
        )
        for seed in (_SEED, _WITNESS)
    ]
    baseline = runs[0][0]
    pin("baseline", baseline)
    older = remade(runs[0], OLDER_VERSION)
    for run in older:
        plant(run, OLDER)
    for run in (run for same in runs for run in same):
        plant(run, CURRENT)
    execute("POPT.0", baseline)
    for name in ("POPT.2", "POPT.1", "POPT.3"):
        execute(name, baseline, baseline=older[0])
    execute("POPT.4", baseline)
    execute("POPT.5", baseline)
    return baseline


def _remediation(world: World, baseline: Run) -> None:
    """P0, the corrected runs of every required seed, P1, P2; then P4, so that P5 finds what it freezes.

    P2 sends the tiny world back to 3B: it has too few zones for the bands. P3's decision is planted, because P4 has to
    have spoken in order; P4 holds, as it must on a world of this size.
    """
    execute("P0", baseline)
    reopened = reopen_world(world, "2A", {"last_transition_year": 2028}, "P1: the cache ends too early").world
    candidate = finished(reopened, load_posture("civil_time"), "civil_time", _SEED, threads=_THREADS)
    pin("candidate", candidate)
    others = panel(candidate, candidate.policies.validation.stability.required_seeds, threads=_THREADS)
    witness = finished_on(candidate, _WITNESS)
    pin("witness", witness)
    for run in (candidate, *others):
        plant(run, CURRENT)
    execute("P1", candidate, witnesses=[witness], baseline=baseline)
    execute("P2", candidate, witnesses=[witness], baseline=candidate)
    speak("P3", candidate, Decision.UNLOCK_P4)
    execute("P4", candidate, panel=others)
