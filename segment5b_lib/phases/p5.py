"""P5: is it frozen and handed over? The manifest resolves, superseded runs are pruned, the decision stands alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from segment5b_lib.contract.words import STATES, Decision, ItemStatus, Verdict
from segment5b_lib.engine.retention import latest_receipt, read_receipt, superseded
from segment5b_lib.errors import MissingInputError
from segment5b_lib.phases.engine.attempts import current, pointer_path, read_artefact, reports_folder, slug
from segment5b_lib.phases.engine.envelope import Body, DodItem, FrameRows, Node
from segment5b_lib.phases.engine.page import Section
from segment5b_lib.phases.engine.parameters import OnCertificate
from segment5b_lib.phases.engine.phase import Conclusion, Measured, Phase, Subject, item
from segment5b_lib.store.catalogue import find_run
from segment5b_lib.store.digest import changed_files, sha256_file
from segment5b_lib.store.documents import read_json
from segment5b_lib.store.roots import outputs_folder
from segment5b_lib.store.runs import RECEIPT_FILE, Run
from segment5b_lib.store.worlds import WORLD_FILE

FREEZES: Final = {Decision.PASS_BPLUS_ROBUST: Decision.FROZEN_PASS_BPLUS, Decision.PASS_B: Decision.FROZEN_PASS_B}
"""The certificate that P4 gave, and the word that freezes it."""


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


class FreezeAuthority(Body, artefact="p5_freeze_authority"):
    """Which runs carry the frozen posture, and the closure that certifies them."""

    certificate: str
    closure_sha256: str
    seeds: list[int]


class FreezeDecision(Body, artefact="freeze_decision"):
    """The decision alone."""


class FreezeManifest(Body, artefact="freeze_manifest"):
    """Every file that the freeze is based on; each resolves and re-hashes."""

    pointers: list[Pointer]


class PruneReceipt(Body, artefact="p5_prune_receipt"):
    """The latest prune: what went, what stayed, how much it freed; nothing to do is recorded as well."""

    receipt: str
    receipt_sha256: str
    removed: FrameRows
    freed_bytes: int | None
    keep_set: dict[str, list[str]]


class DownstreamHandoff(Body, artefact="p5_downstream_handoff"):
    """What the owners of later segments may rely on: class, assumptions, residual risks."""

    certificate: str
    assumptions: list[str]
    residual_risks: list[str]


class P5Closure(Body, artefact="p5_closure"):
    """P5's closure."""


@dataclass(frozen=True, kw_only=True)
class P5Measured(Measured):
    """The certificate, what it is based on, and what has been pruned.

    Attributes
    ----------
    certificate : P4's closure
    decisions : every decision that it is based on, by phase and run
    changed : outputs of the panel that are no longer what their states published
    unresolved : pointers that lead nowhere, or to other bytes
    pruned, receipt : the latest prune, as an item of the definition of done and as P5 records it
    """

    panel: tuple[Run, ...]
    certificate: Mapping[str, Any]
    decisions: Mapping[tuple[str, str], Mapping[str, Any]]
    pointers: tuple[Pointer, ...]
    changed: tuple[str, ...]
    unresolved: tuple[str, ...]
    pruned: DodItem
    receipt: PruneReceipt

    @cached_property
    def assumptions(self) -> list[str]:
        """What later segments may rely on only under these."""
        run, certificate = self.panel[0], self.certificate
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

    @cached_property
    def residual_risks(self) -> list[str]:
        """What was waived, did not apply or could not be decided on the way to the certificate."""
        open_ended = (ItemStatus.WAIVED.value, ItemStatus.NOT_APPLICABLE.value)
        items = [
            f"{entry['id']} {entry['status'].replace('_', ' ')}: {entry['text']} ({entry['evidence']})"
            for document in self.decisions.values()
            for entry in document["definition_of_done"]
            if entry["status"] in open_ended
        ]
        weak = {verdict.value for verdict in Verdict} - {Verdict.PASS_BPLUS.value, Verdict.FAIL.value}
        gates = [
            f"{gate['gate_id']} {gate['verdict'].replace('_', ' ')}: {gate['title']} {gate['reason']}".rstrip()
            for gate in self.certificate["gates"]
            if gate["verdict"] in weak
        ]
        return [*items, *gates]


def measure(subject: Subject[OnCertificate]) -> P5Measured:
    """Read the certificate, follow and re-hash everything that it is based on, read the latest prune."""
    run, receipt = subject.run, latest_receipt()
    certificate = read_artefact("p4", run.run_id, "p4_closure")
    panel = [run, *(find_run(other["run_id"]) for other in certificate["others"].get("panel", []))]
    chain = decisions("P4", run.run_id)
    manifest = pointers(panel, list(chain))
    recorded = {path: digest for run in panel for path, digest in run.digests(*STATES).items()}
    return P5Measured(
        panel=tuple(panel),
        certificate=certificate,
        decisions=chain,
        pointers=tuple(manifest),
        changed=tuple(str(output.path) for output in changed_files(recorded)),
        unresolved=tuple(unresolved(manifest)),
        pruned=pruned_since(receipt, certificate),
        receipt=prune_body(receipt),
    )


def items(measured: P5Measured) -> list[DodItem]:
    """A certificate stands on what it says, and superseded runs are gone."""
    untouched, count = "every output of the certified runs is what its state published", f"{len(measured.pointers)}"
    return [
        _certified(measured.certificate),
        item(
            "P5.2",
            untouched,
            [f"{path}: changed" for path in measured.changed],
            f"{len(measured.panel)} runs re-hashed",
        ),
        item("P5.3", "every pointer of the manifest resolves and re-hashes", measured.unresolved, count),
        measured.pruned,
    ]


def conclude(measured: P5Measured, items: Sequence[DodItem]) -> Conclusion:
    """The word that freezes the certificate."""
    word = measured.certificate["decision"]
    seeds = ", ".join(str(run.receipt.seed) for run in measured.panel)
    opens = FREEZES.get(Decision(word), Decision.HOLD_P5_REOPEN)
    return Conclusion(opens, [f"{word} on seeds {seeds}", *measured.residual_risks])


def bodies(measured: P5Measured) -> list[Body]:
    """Authority, decision, manifest, prune, handoff."""
    word = measured.certificate["decision"]
    return [
        FreezeAuthority(
            certificate=word,
            closure_sha256=_sha256_of(measured.pointers, "p4_closure"),
            seeds=[run.receipt.seed for run in measured.panel],
        ),
        FreezeDecision(),
        FreezeManifest(pointers=list(measured.pointers)),
        measured.receipt,
        DownstreamHandoff(certificate=word, assumptions=measured.assumptions, residual_risks=measured.residual_risks),
        P5Closure(),
    ]


def sections(measured: P5Measured) -> list[Section]:
    """The handoff: assumptions, risks, pointers."""
    assumptions = [(text,) for text in measured.assumptions]
    risks = [(text,) for text in measured.residual_risks]
    return [
        Section("Assumptions", ("what later segments may rely on only under these",), assumptions),
        Section("Residual risks", ("what the certificate does not cover",), risks),
        Section("Pointers", ("kind", "path", "sha256"), [(p.kind, p.path, p.sha256) for p in measured.pointers]),
    ]


def _certified(certificate: Mapping[str, Any]) -> DodItem:
    decision = Decision(certificate["decision"])
    problems = [] if decision in FREEZES else [f"P4 says {decision.value}"]
    problems += ["P4's closure is a what-if"] if certificate["what_if"] else []
    return item("P5.1", "a certificate stands, and is what P4 wrote", problems, decision.value)


def pruned_since(receipt: Path | None, certificate: Mapping[str, Any]) -> DodItem:
    """Runs outside the keep-set are gone, and a receipt later than the certificate says so."""
    left = [f"run {line.run.run_id[:8]} is superseded and still there: segment5b prune" for line in superseded()]
    if receipt is None or read_json(receipt)["created_utc"] < certificate["created_utc"]:
        left.append("no prune since the certificate: segment5b prune --yes")
    elif read_receipt(receipt).finished_utc is None:
        left.append("the latest prune was interrupted: segment5b prune --yes")
    evidence = "" if receipt is None else f"{receipt.name}: {len(read_receipt(receipt).removed)} runs removed"
    return item("P5.4", "superseded runs are pruned under the keep-set rules", left, evidence)


def prune_body(receipt: Path | None) -> PruneReceipt:
    """The latest prune as P5 records it."""
    if receipt is None:
        return PruneReceipt(receipt="", receipt_sha256="", removed=[], freed_bytes=None, keep_set={})
    document = read_receipt(receipt).model_dump()
    return PruneReceipt(
        receipt=receipt.relative_to(outputs_folder()).as_posix(),
        receipt_sha256=sha256_file(receipt),
        **{name: document[name] for name in ("removed", "freed_bytes", "keep_set")},
    )


def _sha256_of(manifest: Sequence[Pointer], artefact: str) -> str:
    documents = [pointer for pointer in manifest if pointer.path.endswith(".json")]
    (digest,) = [pointer.sha256 for pointer in documents if f"segment5b_{artefact}_" in pointer.path]
    return digest


PHASE: Final = Phase(
    name="P5",
    question="Is the certified posture frozen, and handed over?",
    notebook="p5_freeze",
    after=("P4",),
    hold=Decision.HOLD_P5_REOPEN,
    parameters=OnCertificate,
    artefacts=(FreezeAuthority, FreezeDecision, FreezeManifest, PruneReceipt, DownstreamHandoff, P5Closure),
    pages=("freeze_handoff",),
    measure=measure,
    items=items,
    conclude=conclude,
    bodies=bodies,
    sections=sections,
)
