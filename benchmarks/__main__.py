"""`python -m benchmarks run`, `compare`, `certificate` and `shape`; see `make help`."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import result
from benchmarks.machine import machine, versions
from benchmarks.session import Session
from benchmarks.tasks import LADDER, TASKS
from segment5b_lib.errors import Segment5BError
from segment5b_lib.store.catalogue import find_run
from segment5b_lib.store.roots import outputs_folder


def main(arguments: list[str] | None = None) -> int:
    """Measure or compare; the exit code."""
    chosen = _parser().parse_args(arguments)
    return int(chosen.command(chosen))


def _run(chosen: argparse.Namespace) -> int:
    results = outputs_folder() / "benchmarks"
    started = datetime.now(UTC)
    session = Session(
        chosen.scale,
        chosen.repetitions,
        chosen.threads,
        posture="published",
        seed=42,
        folder=results / f"work-{uuid.uuid4().hex}",
    )
    about, on = _about(session, started, chosen.only), machine()
    session.folder.mkdir(parents=True)
    try:
        measures = measured(session, chosen.only or list(TASKS))
    finally:
        shutil.rmtree(session.folder)
    document = {
        "schema": result.SCHEMA,
        "about": about,
        "machine": on,
        "versions": versions(),
        "sizes": session.sizes(),
        "measures": measures,
    }
    path = chosen.out or results / f"{session.scale}-{started:%Y%m%dT%H%M%SZ}.json"
    result.write(path, document)
    _show(document, path)
    return 0


def measured(session: Session, names: list[str]) -> dict[str, Any]:
    """Every task `repetitions` times, after one warm-up."""
    measures: dict[str, Any] = {}
    for name in names:
        TASKS[name](session)
        repetitions = []
        for number in range(session.repetitions):
            session.say(f"{name} {number + 1}/{session.repetitions}")
            repetitions.append(TASKS[name](session))
        for key in repetitions[0]:
            measures[key] = result.measure(key, [values[key] for values in repetitions])
    return measures


def _about(session: Session, started: datetime, only: list[str] | None) -> dict[str, Any]:
    command = f"make bench SCALE={session.scale} N={session.repetitions} THREADS={session.threads}"
    return {
        "command": f'{command} ONLY="{" ".join(only)}"' if only else command,
        "scale": session.scale,
        "posture": session.posture,
        "seed": session.seed,
        "repetitions": session.repetitions,
        "threads": session.threads,
        "started_utc": f"{started:%Y-%m-%dT%H:%M:%SZ}",
    }


def _show(document: dict[str, Any], path: Path) -> None:
    # Imported here: the measuring process must stay small (see `process`).
    from benchmarks.report import show, wide_console

    console = wide_console()
    show(document, console)
    console.print(f"result {path}", soft_wrap=True)


def _compare(chosen: argparse.Namespace) -> int:
    from benchmarks.compare import show
    from benchmarks.report import wide_console

    try:
        base = result.read(chosen.base)
        new = chosen.new or result.newest(outputs_folder() / "benchmarks", base["about"]["scale"])
        show(base, result.read(new), wide_console())
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _certificate(chosen: argparse.Namespace) -> int:
    from benchmarks.certificate import certificate

    try:
        document = certificate(find_run(chosen.run))
    except Segment5BError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    result.write(chosen.out, document)
    print(f"{document['closure_class']}, earned at the {document['earned_at']} scale; {document['decision']}")
    return 0


def _shape(chosen: argparse.Namespace) -> int:
    from benchmarks.shape import shape, table

    figures = shape(chosen.root)
    print(json.dumps(figures, indent=2) if chosen.json else table(figures))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="measure a scale")
    run.add_argument("--scale", choices=list(LADDER), default="small")
    run.add_argument("--repetitions", type=int, default=3)
    run.add_argument("--threads", type=int, default=2)
    run.add_argument("--only", nargs="+", choices=list(TASKS), help="some tasks instead of all")
    run.add_argument("--out", type=Path, help="where the JSON goes instead of outputs/benchmarks")
    run.set_defaults(command=_run)
    compare = commands.add_parser("compare", help="set two results side by side")
    compare.add_argument("base", type=Path)
    compare.add_argument("new", type=Path, nargs="?", help="by default the newest of the same scale")
    compare.set_defaults(command=_compare)
    summary = commands.add_parser("certificate", help="a certified run's verdicts and decisions, as one document")
    summary.add_argument("run", nargs="?", default="@candidate")
    summary.add_argument("--out", type=Path, required=True)
    summary.set_defaults(command=_certificate)
    size = commands.add_parser("shape", help="size of the checkout, import cycles, upward imports, repeated names")
    size.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1], help="another checkout")
    size.add_argument("--json", action="store_true", help="every figure with what it counts")
    size.set_defaults(command=_shape)
    return parser


if __name__ == "__main__":
    sys.exit(main())
