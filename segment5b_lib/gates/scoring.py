"""Every gate of one run, measured by full scan and judged by the run's own policy; the same bytes only once.

Scorecards are kept under a digest over every file of the run and of its world as they lie on the disk now, and over
the code and the libraries that measure. Whatever changes, the kept scorecard is not served any more.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from segment5b_lib.contract.datasets import OUTPUTS
from segment5b_lib.contract.verdicts import GateResult, not_measured
from segment5b_lib.contract.words import STATES, VirtualMode
from segment5b_lib.errors import InputError, MissingInputError, StaleError
from segment5b_lib.gates.attribution import attribute
from segment5b_lib.gates.evidence.run_tables import Evidence
from segment5b_lib.gates.gate import Gate
from segment5b_lib.gates.scorecard import Attribution, Origin, Scorecard
from segment5b_lib.gates.table import GATES
from segment5b_lib.identity import canonical_json, sha256_hex, utc_now
from segment5b_lib.store.digest import sha256_files
from segment5b_lib.store.publish import write_file
from segment5b_lib.store.roots import PACKAGE, outputs_folder
from segment5b_lib.store.runs import Run

_MEASURING: Final = ("duckdb", "numba", "numpy", "polars", "pyarrow", "scipy", "tzdata")
"""Libraries whose release may change a measured figure."""


class ScorecardDocument(BaseModel):
    """A scorecard as JSON: what `segment5b score --json` prints, and what is kept.

    `content_digest` names the files, the code and the libraries; `cached` says that it was read and not measured.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    seed: int
    parameter_hash: str
    manifest_fingerprint: str
    posture: str
    scale: str
    gates: tuple[GateResult, ...]
    attributions: tuple[Attribution, ...]
    measured_utc: str
    content_digest: str
    cached: bool


def score(run: Run) -> Scorecard:
    """Measure every gate of a run by full scan. Reads the run and its world, writes nothing.

    A gate whose data are not there, are foreign, damaged or empty is `not_measured` and says why.
    """
    evidence, policies, receipt = Evidence(run), run.policies, run.receipt
    results = tuple(_result(entry, evidence) for entry in GATES)
    identity = {
        "run_id": run.run_id,
        "seed": receipt.seed,
        "parameter_hash": receipt.parameter_hash,
        "manifest_fingerprint": receipt.manifest_fingerprint,
        "posture": receipt.posture,
        "scale": run.world.scale,
    }
    # What T7 could not count owns no failure either.
    modes = next(entry.detail for entry in results if entry.gate_id == "T7").get("merchants_by_mode", {})
    attributions = attribute(
        results,
        modes.get(VirtualMode.HYBRID, 0),
        bound_to_row=policies.routing.bound_to_row,
        calibrated=policies.lgcp.zone_mix.mode != "none",
    )
    return Scorecard(identity, results, attributions, evidence)


def _result(gate: Gate, evidence: Evidence) -> GateResult:
    measure = gate.measure
    assert measure is not None, gate.gate_id
    try:
        measurement = measure(evidence)
    except (InputError, MissingInputError) as error:
        measurement = not_measured(f"{error.what}: needs {', '.join(gate.evidence)}")
    return gate.judged(measurement, evidence.policy, f"{measure.__module__}.{measure.__qualname__}")


def scorecard_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a scorecard.

    Example: `s5.scorecard_schema()`
    """
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**dialect, **ScorecardDocument.model_json_schema(mode="serialization")}


def scorecard(run: Run, *, fresh: bool = False) -> Scorecard:
    """The scorecard of a run: the kept one if nothing that was measured has changed, else a new one, which is kept.

    `fresh` measures in any case. The evidence of a kept scorecard is taken when it is asked for.
    """
    digest = content_digest(run)
    kept = None if fresh else _kept(run, digest)
    if kept is not None:
        return kept
    card = replace(score(run), origin=Origin(utc_now(), digest, cached=False))
    write_file(saved_file(run), canonical_json(card.document()) + b"\n")
    return card


def saved_file(run: Run) -> Path:
    """Where the latest scorecard of a run is kept."""
    return outputs_folder() / "reports" / "scorecards" / f"{run.run_id}.json"


def content_digest(run: Run) -> str:
    """SHA-256 over names and digests of all files of the run and its world, and over what measures them."""
    attached = _attached(run) if run.attached else {}
    names = {path: name for path, (name, _) in attached.items()} or {
        path: name for kind, root in (("run", run.root), ("world", run.world.root)) for path, name in _files(kind, root)
    }
    digests = sha256_files(names)
    for path, (_, digest) in attached.items():
        _require_unchanged(path, digest, digests[path])
    lines = sorted([name, digests[path]] for path, name in names.items())
    return sha256_hex(canonical_json({"files": lines, "library": library_digest()}))


def _attached(run: Run) -> dict[Path, tuple[str, str]]:
    """What was found when the run was attached: path to name and digest. Nothing may have come to it since."""
    recorded = {run.root / output.path: (f"run/{output.path}", output.sha256) for output in run.outputs(*STATES)}
    for contract in OUTPUTS:
        for scenario in run.scenarios if contract.per_scenario else (None,):
            for path in run.folder(contract.dataset_id, scenario).glob("*.parquet"):
                if path not in recorded:
                    _require_unchanged(path, "no such file", path.name)
    for files in run.sealed().values():
        recorded |= {run.world.root / path: (f"world/{path}", digest) for path, digest in files.items()}
    roots = (run.root.resolve(), run.world.root.resolve())
    for path in recorded:
        if not any((real := path.resolve()).is_relative_to(root) for root in roots):
            _require_unchanged(path, "a file in the tree itself", f"a link to {real}")
    return recorded


def _require_unchanged(path: Path, attached: str, found: str) -> None:
    if found != attached:
        raise StaleError(
            "5B.ATTACH.CHANGED",
            "an attached run is not what it was when it was attached",
            where=str(path),
            expected=attached,
            found=found,
            next_step="restore the file; or forget the attachment (its folder below outputs/attached) and attach again",
        )


def _files(kind: str, root: Path) -> list[tuple[Path, str]]:
    """Files below a root with their names; locks and what is still being written begin with a point."""
    paths = [(path, path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    return [
        (path, f"{kind}/{name.as_posix()}") for path, name in paths if not any(p.startswith(".") for p in name.parts)
    ]


@lru_cache(maxsize=1)
def library_digest() -> str:
    """SHA-256 over the library's own code and the releases of the libraries that it measures with."""
    code = {path: path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    digests = sha256_files(code)
    lines = sorted([name, digests[path]] for path, name in code.items())
    return sha256_hex(
        canonical_json({"code": lines, "releases": {name: metadata.version(name) for name in _MEASURING}})
    )


def _kept(run: Run, digest: str) -> Scorecard | None:
    """The scorecard on disk; None if there is none, or if it is about other content or in another shape."""
    path = saved_file(run)
    try:
        document = ScorecardDocument.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    if document.run_id != run.run_id or document.content_digest != digest:
        return None
    identity = document.model_dump(exclude={"gates", "attributions", "measured_utc", "content_digest", "cached"})
    origin = Origin(document.measured_utc, digest, cached=True)
    return Scorecard(identity, document.gates, document.attributions, Evidence(run), origin)
