"""`segment5b doctor`: check this machine; one function per check, with its result and the next step."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer
from rich.text import Text

from segment5b_lib.cli.terminal import JsonOption, ThreadsOption, console, show_json
from segment5b_lib.errors import UsageError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from segment5b_lib.engine.preflight import Needs

DISTRIBUTION: Final = "segment5b"
LOCK_FILE: Final = "requirements.lock"
_COLOURS: Final = {"ok": "green", "warn": "yellow", "fail": "bold red"}
Health = Literal["ok", "warn", "fail"]
Detail = dict[str, list[dict[str, object]]]
CheckOutcome = tuple[Health, str] | tuple[Health, str, Detail]


@dataclass(frozen=True)
class DoctorCheck:
    """Result of a check. `next_step` is empty if the status is ok; `detail` is in the JSON output only."""

    name: str
    status: Health
    found: str
    next_step: str = ""
    detail: Detail | None = None


def doctor(
    scale: Annotated[str, typer.Option(help="Scale that disk and memory must be enough for.")] = "small",
    threads: ThreadsOption = 0,
    json: JsonOption = False,
) -> None:
    """Check versions, threads, disk, memory, time zones, charts and write access.

    Example: `segment5b doctor --scale authority`. Exit code 4 if a check fails.
    """
    checks: list[DoctorCheck] = []
    for check in doctor_checks(scale, threads):
        checks.append(check)
        if not json:
            _show(check)
    if json:
        show_json([asdict(check) for check in checks])
    if any(check.status == "fail" for check in checks):
        raise typer.Exit(4)


def _show(check: DoctorCheck) -> None:
    status = (f"{check.status:<5}", _COLOURS[check.status])
    console.print(Text.assemble(status, f"{check.name:<14}", check.found.replace("\n", "\n" + " " * 19)))
    if check.next_step:
        console.print(Text.assemble(" " * 19, ("next ", "dim"), check.next_step))


def doctor_checks(scale: str, threads: int) -> Iterator[DoctorCheck]:
    """Every check in turn, for a world of a scale and one run of it.

    A check that raises any error has failed, except UsageError for an unknown scale, which is raised.
    """
    install, smaller = "make install", "choose a smaller scale"
    yield _attempt("python", python_version, install)
    yield _attempt("libraries", library_versions, install)
    yield _attempt("lock file", locked_versions, install)
    yield _attempt("threads", lambda: cores(threads), "--threads 0: one for each core")
    yield _attempt("disk", lambda: disk(scale, threads), f"segment5b prune; {smaller}")
    yield _attempt("memory", lambda: memory(scale, threads), f"end other programs; use fewer threads; {smaller}")
    yield _attempt("tz database", time_zones, install)
    yield _attempt("tz drift", lambda: tz_drift(scale), f"{install}; raise the tzdata pin if a library is ahead")
    yield _attempt("outputs", outputs, "set SEGMENT5B_OUTPUTS to a folder on a disk with hard links")
    yield _attempt("kernel cache", kernel_cache, "set NUMBA_CACHE_DIR to a folder that may be written")
    yield _attempt("charts", charts, install)
    yield _attempt("offline pages", offline_page, install)


def _attempt(name: str, check: Callable[[], CheckOutcome], next_step: str) -> DoctorCheck:
    """Run a check; any exception becomes a failed check."""
    detail: Detail | None = None
    try:
        status, text, *more = check()
        detail = more[0] if more else None
    except UsageError:
        raise
    except Exception as error:
        status, text = "fail", " ".join([f"{type(error).__name__}:", *str(error).splitlines()[:1]])
    return DoctorCheck(name, status, text, "" if status == "ok" else next_step, detail)


def python_version() -> CheckOutcome:
    """Python's version against the range of the package."""
    from packaging.specifiers import SpecifierSet

    version = ".".join(str(part) for part in sys.version_info[:3])
    required = metadata.metadata(DISTRIBUTION)["Requires-Python"]
    return ("ok", version) if version in SpecifierSet(required) else ("fail", f"{version}, needs {required}")


def library_versions() -> CheckOutcome:
    """Each library against the range of the package; those of an extra do not count."""
    from packaging.requirements import Requirement

    requirements = [item for text in metadata.requires(DISTRIBUTION) or [] if _applies(item := Requirement(text))]
    misfits = [text for item in requirements if (text := _misfit(item))]
    return ("fail", "; ".join(misfits)) if misfits else ("ok", f"{len(requirements)} in their ranges")


def locked_versions() -> CheckOutcome:
    """Each installed library against the checkout's lock file, the versions that CI tested."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    from segment5b_lib.store.roots import project_root

    lock = project_root() / LOCK_FILE
    if not lock.is_file():
        return "ok", "none here: installed without a checkout"
    pins = [pin for line in lock.read_text(encoding="utf-8").splitlines() if _applies(pin := Requirement(line))]
    installed = {canonicalize_name(distribution.name) for distribution in metadata.distributions()}
    installed_pins = [pin for pin in pins if canonicalize_name(pin.name) in installed]
    misfits = [text for pin in installed_pins if (text := _misfit(pin))]
    return ("warn", f"not as tested: {'; '.join(misfits)}") if misfits else ("ok", f"{len(installed_pins)} as tested")


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _misfit(requirement: Requirement) -> str:
    """Why a library does not meet its requirement; empty if it does."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is missing"
    fits = requirement.specifier.contains(version, prereleases=True)
    return "" if fits else f"{requirement.name} {version}, needs {requirement.specifier}"


def cores(threads: int) -> CheckOutcome:
    """Threads against the cores that this process may use."""
    available = len(os.sched_getaffinity(0))
    if threads > available:
        return "warn", f"{threads} on {available} core(s): more threads than cores only take memory"
    return "ok", f"{threads} on {available} core(s)"


def disk(scale: str, threads: int) -> CheckOutcome:
    """Free disk against the needs of a world of the scale and one run of it."""
    from segment5b_lib.engine.preflight import DISK_RESERVE, free_disk
    from segment5b_lib.store.roots import outputs_folder

    return _enough(free_disk(outputs_folder()), _needs(scale, threads).disk + DISK_RESERVE, scale)


def memory(scale: str, threads: int) -> CheckOutcome:
    """Free memory against the needs of a world of the scale and one run of it."""
    from segment5b_lib.engine.preflight import free_memory

    return _enough(free_memory(), _needs(scale, threads).memory, scale)


def _needs(scale: str, threads: int) -> Needs:
    from segment5b_lib.engine.preflight import scale_needs
    from segment5b_lib.world.world_file import load_spec

    return scale_needs(load_spec(scale), threads, runs=1)


def _enough(free: float, needed: float, scale: str) -> CheckOutcome:
    return "ok" if free >= needed else "fail", f"{free / 1e9:.2f} GB free, {scale} needs {needed / 1e9:.2f} GB"


def time_zones() -> CheckOutcome:
    """Release of the pinned tz database, the only one that computes local times."""
    from segment5b_lib.civil_time.tzif import IANA_RELEASE

    return "ok", f"{IANA_RELEASE} pinned"


def tz_drift(scale: str) -> CheckOutcome:
    """The machine's other tz databases against the pinned one over the horizon of a scale's world.

    They compute nothing, so a difference is not a fault, unless no release of the database explains it.
    """
    from segment5b_lib.civil_time.drift import difference_lines, drift_line, machine_drift, places, sentence
    from segment5b_lib.world.world_file import load_spec

    horizon = load_spec(scale).horizon
    drifts = machine_drift(horizon.end_second)
    lines = [drift_line(drift, places(), horizon.start_second, horizon.end_second) for drift in drifts]
    differences = [row for drift in drifts for row in difference_lines(drift, horizon.start_second)]
    detail = {"databases": [line._asdict() for line in lines], "differences": [row._asdict() for row in differences]}
    status: Health = "fail" if any(line.unexplained for line in lines) else "ok"
    title = "zones (those of places) that differ in the horizon; later"
    return status, "\n".join([title, *map(sentence, lines)]), detail


def outputs() -> CheckOutcome:
    """Write a file, link it as reruns do, and remove both."""
    from segment5b_lib.store.publish import write_file
    from segment5b_lib.store.roots import outputs_folder

    probe, link = (outputs_folder() / f".doctor-{os.getpid()}{suffix}" for suffix in ("", "-link"))
    try:
        write_file(probe, b"probe")
        link.hardlink_to(probe)
    finally:
        probe.unlink(missing_ok=True)
        link.unlink(missing_ok=True)
    return "ok", f"{outputs_folder()} can be written and linked in"


def kernel_cache() -> CheckOutcome:
    """The folder that numba has chosen; if it finds none, declaring a kernel fails."""
    from segment5b_lib.kernel.philox import philox2x64

    stats: Any = getattr(philox2x64, "stats")  # noqa: B009 - typed as the function before compiling
    folder = Path(stats.cache_path)
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".doctor-{os.getpid()}"
    probe.touch()
    probe.unlink()
    return "ok", f"{folder} can be written"


def charts() -> CheckOutcome:
    """Draw a small chart with the renderer of the pages."""
    from segment5b_lib.charts.renderer import VEGALITE_VERSION, render

    render({"data": {"values": [{}]}, "mark": "point"})
    return "ok", f"drawn with Vega-Lite {VEGALITE_VERSION}"


def offline_page() -> CheckOutcome:
    """Make an empty page with everything that a browser needs."""
    import nbformat

    from segment5b_lib.reports.html import offline_html

    page = offline_html(nbformat.v4.new_notebook())  # type: ignore[no-untyped-call]  # nbformat has no types
    return "ok", f"{len(page) / 1e6:.1f} MB of assets in each page"
