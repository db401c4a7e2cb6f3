"""Tasks of a session: each is one repetition, which returns values by measure name (see `result.KINDS`)."""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Callable

from benchmarks.floor import FLOORS
from benchmarks.process import Finished, run, work
from benchmarks.session import Session

Values = dict[str, float]
CHAIN = ("S1", "S2", "S3", "S4", "S5")
LADDER = {"tiny": ("tiny",), "small": ("tiny", "small"), "medium": ("small", "medium")}
LADDER["authority"] = (*LADDER["medium"], "authority")
"""Scales that growth is measured over, up to the scale of the session."""
COMMANDS = {
    "segment5b --help": ("from segment5b_lib.cli.main import main; main()", "--help"),
    "import segment5b_lib": ("import segment5b_lib",),
}


def state(name: str) -> Callable[[Session], Values]:
    """A state over the finished run, and then the floor of its input and output, if it has one."""

    def repetition(session: Session) -> Values:
        subject = session.subject(session.scale)
        values = _values(name, done := session.states(session.scale, [name], session.threads))
        if name in FLOORS:
            floor = subject.work("floor", state=name, threads=session.threads).answer["wall_s"]
            values |= {f"{name}.floor_s": floor, f"{name}.floor_ratio": done.answer["wall_s"] / floor}
        return values

    return repetition


def threads(session: Session) -> Values:
    """Speedup of S4 with the session's threads over one thread."""
    single, several = (session.states(session.scale, ["S4"], count).answer["wall_s"] for count in (1, session.threads))
    return {f"S4 {session.threads} threads.speedup": single / several}


def chain(session: Session) -> Values:
    """S1 to S5 in one process, at every scale of the ladder: the target's own figures, and growth."""
    values: Values = {}
    done = {scale: session.states(scale, CHAIN, session.threads) for scale in LADDER[session.scale]}
    for small, large in itertools.pairwise(LADDER[session.scale]):
        per_arrival = [done[scale].answer["wall_s"] / session.subject(scale).arrivals for scale in (small, large)]
        values[f"{small} to {large}.time_per_arrival"] = per_arrival[1] / per_arrival[0]
        values[f"{small} to {large}.memory"] = done[large].peak_bytes / done[small].peak_bytes
    return {**_values("S1..S5", done[session.scale]), **values}


def scorecard(session: Session) -> Values:
    """Every gate by full scan."""
    return _values("scorecard", session.subject(session.scale).work("score"))


def world(session: Session) -> Values:
    """The world, built in an empty folder."""
    outputs = session.folder / "world"
    done = work("world", outputs, scale=session.scale, threads=session.threads)
    shutil.rmtree(outputs)
    return {**_values("world build", done), "world build.bytes": done.answer["bytes"]}


def disk(session: Session) -> Values:
    """Bytes on disk per arrival: of the arrivals, and of all published outputs."""
    subject = session.subject(session.scale)
    return {
        "arrivals on disk.bytes_per_arrival": subject.bytes["arrival_events_5B"] / subject.arrivals,
        "run on disk.bytes_per_arrival": sum(subject.bytes.values()) / subject.arrivals,
    }


def startup(session: Session) -> Values:
    """A process that only prints the help, and one that only imports the library."""
    return {
        f"{name}.wall_s": run([sys.executable, "-c", *code], {"SEGMENT5B_OUTPUTS": str(session.folder)}).wall_s
        for name, code in COMMANDS.items()
    }


def kernels(session: Session) -> Values:
    """Compiling every kernel: S1 to S5 of the tiny run with an empty kernel cache, minus the same with a full one.

    Also the load time with a full cache: kernels, and the libraries that they need.
    """
    cache = session.folder / "kernels"
    shutil.rmtree(cache, ignore_errors=True)
    environment = {"NUMBA_CACHE_DIR": str(cache)}
    cold, warm = (session.states("tiny", CHAIN, session.threads, environment=environment) for _ in range(2))
    return {"cold kernels.compile_s": cold.wall_s - warm.wall_s, "cached kernels.load_s": warm.answer["load_s"]}


def _values(subject: str, done: Finished) -> Values:
    """Wall and processor time of the work itself, and the peak memory of its whole process."""
    answer = done.answer
    return {
        f"{subject}.wall_s": answer["wall_s"],
        f"{subject}.cpu_s": answer["cpu_s"],
        f"{subject}.peak_bytes": done.peak_bytes,
        f"{subject}.rows_per_s": answer["rows"] / answer["wall_s"],
    }


TASKS: dict[str, Callable[[Session], Values]] = {
    "world": world,
    **{name: state(name) for name in ("S0", *CHAIN)},
    "threads": threads,
    "chain": chain,
    "scorecard": scorecard,
    "disk": disk,
    "startup": startup,
    "kernels": kernels,
}
"""Tasks by name, in the order in which they are done."""
