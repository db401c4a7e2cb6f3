"""`segment5b calibrate`: leverage of every knob, reachable bounds, and a candidate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from segment5b_lib.cli.terminal import JsonOption, RunArgument, console, show_json

if TYPE_CHECKING:
    import polars as pl

    from segment5b_lib.calibrate.feasibility import Reachability
    from segment5b_lib.calibrate.proposal import Proposal

_NO_FILE = "FILE"
"""Placeholder for the file of changes in the next commands, without --out."""


def calibrate(
    run: RunArgument = "@last",
    target: Annotated[Literal["b", "bplus"], typer.Option(help="Which thresholds to aim at.")] = "bplus",
    out: Annotated[Path | None, typer.Option(help="Write the candidate's policy changes there, as YAML.")] = None,
    json: JsonOption = False,
) -> None:
    """Predict T6 and T7 for every knob, prove what is reachable, and propose a candidate.

    Example: `segment5b calibrate @candidate --target bplus --out bplus.yaml`. Nothing is run. Exit code 1 if no
    candidate is predicted to reach the target.
    """
    from segment5b_lib.calibrate.predictor import Predictor
    from segment5b_lib.calibrate.proposal import propose
    from segment5b_lib.calibrate.sensitivity import sensitivity
    from segment5b_lib.calibrate.settings import candidate_changes, commands, write_changes
    from segment5b_lib.store.catalogue import find_run

    chosen = find_run(run)
    predictor = Predictor(chosen)
    proposal = propose(chosen, target, predictor=predictor)
    leverage = sensitivity(predictor, chosen.policies, proposal.target)
    if out is not None and proposal.policies is not None:
        write_changes(proposal, out)
    steps = commands(proposal, out or _NO_FILE)
    if json:
        document = {**proposal.document(), "sensitivity": leverage.to_dicts()}
        show_json({**document, "changes": candidate_changes(proposal), "next": [step.text for step in steps]})
    else:
        _show(proposal, leverage)
        for step in steps:
            console.print(f"next: {step.text}", soft_wrap=True)
    raise typer.Exit(0 if proposal.reached else 1)


def _show(proposal: Proposal, leverage: pl.DataFrame) -> None:
    receipt, target = proposal.run.receipt, proposal.target
    console.print(f"run [bold]{proposal.run.run_id[:8]}[/]  {receipt.posture}  seed {receipt.seed}")
    aims = f"T6 at most {target.t6:.1%}, T7 in {target.t7_low:.1%} to {target.t7_high:.1%}"
    console.print(f"aim: {aims} ({target.level})\n")
    _show_leverage(leverage)
    console.print("\n[bold]in this world[/]")
    _show_verdicts(proposal.local)
    if proposal.reopened:
        from segment5b_lib.calibrate.sensitivity import described

        console.print(f"[bold]with {described(proposal.reopened)}[/]")
        _show_verdicts(proposal.verdicts)
    if proposal.policies is not None:
        _show_candidate(proposal)
    if proposal.reason:
        console.print(f"[bold red]not reached[/]: {proposal.reason}")


def _show_leverage(leverage: pl.DataFrame) -> None:
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("owner", no_wrap=True)
    table.add_column("knob", no_wrap=True)
    table.add_column("setting", overflow="fold")
    for name in ("T6", "T7", "ΔT6 pp", "ΔT7 pp"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in leverage.to_dicts():
        knob = row["knob"].split(".")[-1].replace("concentration_", "") + "*" * (row["binding"] == "group_weights")
        figures = [f"{row[name]:.2%}" if row[name] is not None else "–" for name in ("t6", "t7")]
        moved = (row["delta_t6"], row["delta_t7"])
        deltas = ["unreachable" if delta is None else f"{100 * delta:+.2f}" for delta in moved]
        table.add_row(row["owner"], knob, row["setting"].removeprefix(f"{row['owner']} "), *figures, *deltas)
    console.print(table)
    console.print("[dim]* acts under group_weights only, and is compared with it: a sensitivity[/]")


def _show_verdicts(verdicts: tuple[Reachability, Reachability]) -> None:
    for verdict in verdicts:
        style = "green" if verdict.reachable else "red"
        console.print(f"{verdict.gate} [{style}]{verdict.verdict}[/] ({verdict.owner}): {verdict.statement}")


def _show_candidate(proposal: Proposal) -> None:
    solution, policies = proposal.solution, proposal.policies
    assert solution is not None
    assert policies is not None
    hybrid = policies.routing.hybrid_policy.p_virtual_hybrid
    console.print(
        f"\n[bold]candidate[/] p_virtual_hybrid {hybrid:g}; zone mix eta {solution.tilt.eta:.4g} on "
        f"{len(solution.tilt.scores)} zones, {solution.distortion:.4f} nats per arrival, "
        f"duality gap {solution.gap:.1e}"
    )
    for seed, prediction in proposal.predicted.items():
        t6, t7 = prediction.gates["T6"], prediction.gates["T7"]
        console.print(
            f"seed {seed}: T6 {t6.value:.2%} ± {t6.standard_error:.2%}, T7 {t7.value:.2%} ± {t7.standard_error:.2%}"
        )
