"""P5: is it frozen and handed over? The manifest resolves, superseded runs are pruned, the decision stands alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from segment5b_lib.contract.words import Decision, ItemStatus, Verdict
from segment5b_lib.engine.retention import latest_receipt, superseded
from segment5b_lib.phases.engine.attempts import read_artefact
from segment5b_lib.phases.engine.closure import Closure
from segment5b_lib.phases.engine.envelope import DodItem
from segment5b_lib.phases.engine.legacy import Finding, Phase, conduct
from segment5b_lib.phases.engine.page import Section
from segment5b_lib.phases.engine.phase import item
from segment5b_lib.phases.p5_artefacts import (
    Closing,
    DownstreamHandoff,
    FreezeAuthority,
    FreezeDecision,
    FreezeManifest,
    Pointer,
    PruneReceipt,
)
from segment5b_lib.phases.p5_manifest import changed_outputs, decisions, pointers, unresolved
from segment5b_lib.store.digest import sha256_file
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.roots import outputs_folder
from segment5b_lib.store.runs import Run, open_run

PHASE: Final = Phase(
    name="P5",
    question="Is the certified posture frozen, and handed over?",
    after=("P4",),
    hold=Decision.HOLD_P5_REOPEN,
    artefacts=(FreezeAuthority, FreezeDecision, FreezeManifest, PruneReceipt, DownstreamHandoff, Closing),
    pages=("freeze_handoff",),
)
FROZEN: Final = {
    Decision.PASS_BPLUS_ROBUST: Decision.FROZEN_PASS_BPLUS,
    Decision.PASS_B: Decision.FROZEN_PASS_B,
}
"""The certificate that P4 gave, and the word that freezes it."""


def execute(run: Run, *, what_if: bool = False) -> Closure:
    """Freeze what P4 has certified under a run."""
    return conduct(PHASE, run, lambda: examine(run), what_if=what_if)


def examine(run: Run) -> Finding:
    """The certificate, what it rests on, and what has been cleared away."""
    certificate = read_artefact("p4", run.run_id, "p4_closure")
    panel = [run, *(open_run(other["run_id"]) for other in certificate["others"].get("panel", []))]
    chain = decisions("P4", run.run_id)
    manifest = pointers(panel, list(chain))
    receipt = latest_receipt()
    risks, assumptions = _risks(chain, certificate), _assumptions(panel, certificate)
    return Finding(
        items=[
            _certified(certificate),
            item(
                "P5.2",
                "every output of the certified runs is what its state published",
                [f"{path}: changed" for path in changed_outputs(panel)],
                f"{len(panel)} runs re-hashed",
            ),
            item(
                "P5.3", "every pointer of the manifest resolves and re-hashes", unresolved(manifest), f"{len(manifest)}"
            ),
            _pruned(receipt, certificate),
        ],
        opens=FROZEN.get(Decision(certificate["decision"]), PHASE.hold),
        reasons=[f"{certificate['decision']} on seeds {', '.join(str(one.receipt.seed) for one in panel)}", *risks],
        own={
            FreezeAuthority: {
                "certificate": certificate["decision"],
                "closure_sha256": _sha256_of(manifest, "p4_closure"),
                "seeds": [one.receipt.seed for one in panel],
            },
            FreezeManifest: {"pointers": manifest},
            PruneReceipt: _receipt_fields(receipt),
            DownstreamHandoff: {
                "certificate": certificate["decision"],
                "assumptions": assumptions,
                "residual_risks": risks,
            },
        },
        sections=[
            Section(
                "Assumptions", ("what later segments may rely on only under these",), [(one,) for one in assumptions]
            ),
            Section("Residual risks", ("what the certificate does not cover",), [(one,) for one in risks]),
            Section("Pointers", ("kind", "path", "sha256"), [(p.kind, p.path, p.sha256) for p in manifest]),
        ],
    )


def _certified(certificate: Mapping[str, Any]) -> DodItem:
    decision = Decision(certificate["decision"])
    open_points = [] if decision in FROZEN else [f"P4 says {decision.value}"]
    open_points += ["P4's closure is a what-if"] if certificate["what_if"] else []
    return item("P5.1", "a certificate stands, and is what P4 wrote", open_points, decision.value)


def _pruned(receipt: Path | None, certificate: Mapping[str, Any]) -> DodItem:
    """Runs outside the keep-set are gone, and a receipt later than the certificate says so."""
    left = [f"run {one.run.run_id[:8]} is superseded and still there: segment5b prune" for one in superseded()]
    if receipt is None or read_json(receipt)["created_utc"] < certificate["created_utc"]:
        left.append("no prune since the certificate: segment5b prune --yes")
    elif read_json(receipt)["finished_utc"] is None:
        left.append("the latest prune was interrupted: segment5b prune --yes")
    evidence = "" if receipt is None else f"{receipt.name}: {len(read_json(receipt)['removed'])} runs removed"
    return item("P5.4", "superseded runs are pruned under the keep-set rules", left, evidence)


def _receipt_fields(receipt: Path | None) -> dict[str, Any]:
    if receipt is None:
        return {}
    document = read_json(receipt)
    return {
        "receipt": receipt.relative_to(outputs_folder()).as_posix(),
        "receipt_sha256": sha256_file(receipt),
        **{name: document[name] for name in ("removed", "freed_bytes", "keep_set")},
    }


def _sha256_of(manifest: Sequence[Pointer], artefact: str) -> str:
    (digest,) = [one.sha256 for one in manifest if f"segment5b_{artefact}_" in one.path and one.path.endswith(".json")]
    return digest


def _risks(chain: Mapping[tuple[str, str], Mapping[str, Any]], certificate: Mapping[str, Any]) -> list[str]:
    """What was waived, did not apply or could not be decided on the way to the certificate."""
    open_ended = (ItemStatus.WAIVED.value, ItemStatus.NOT_APPLICABLE.value)
    items = [
        f"{entry['id']} {entry['status'].replace('_', ' ')}: {entry['text']} ({entry['evidence']})"
        for document in chain.values()
        for entry in document["definition_of_done"]
        if entry["status"] in open_ended
    ]
    weak = {verdict.value for verdict in Verdict} - {Verdict.PASS_BPLUS.value, Verdict.FAIL.value}
    gates = [
        f"{gate['gate_id']} {gate['verdict'].replace('_', ' ')}: {gate['title']} {gate['reason']}".rstrip()
        for gate in certificate["gates"]
        if gate["verdict"] in weak
    ]
    return [*items, *gates]


def _assumptions(panel: Sequence[Run], certificate: Mapping[str, Any]) -> list[str]:
    run = panel[0]
    reopened = [
        f"segment {link['segment']} reopened with {link['changes']}: {link['reason']}"
        for link in reversed(run.world.document["parents"])
    ]
    return [
        f"certified at scale {certificate['scale']}, on world {run.world.mf}",
        f"policies {run.receipt.parameter_hash}, posture {run.receipt.posture}",
        f"library {certificate['library_version']}, scenarios {', '.join(run.scenarios)}",
        *reopened,
    ]
