"""P0's gateboard as Markdown: for people who read the artefact and not the notebook."""

from __future__ import annotations

from collections.abc import Sequence

from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.phases.p0_artefacts import OwnerStateMatrix, RealismGateboard, context_rows


def gateboard_markdown(board: RealismGateboard, matrix: OwnerStateMatrix, scorecard: Scorecard | None) -> str:
    """The gateboard as one Markdown page; without a scorecard it shows why there is none."""
    parts = [
        f"# P0 realism gateboard: {board.run.run_id}",
        f"**{board.decision.value}** · attempt {board.attempt} · {board.created_utc}",
        *(f"- {reason}" for reason in board.reasons),
        "",
        *_table(
            ("run", "posture", "seed", "scale", "parameter_hash", "manifest_fingerprint", "library"),
            [
                (
                    board.run.run_id,
                    board.run.posture,
                    str(board.run.seed),
                    board.scale,
                    board.run.parameter_hash,
                    board.run.manifest_fingerprint,
                    board.library_version,
                )
            ],
        ),
        "## Definition of done",
        *_table(
            ("item", "status", "text", "evidence"),
            [(item.id, item.status.value, item.text, item.evidence) for item in board.definition_of_done],
        ),
    ]
    if board.error is not None:
        parts += ["## Error", "```", *(f"{name}: {text}" for name, text in board.error.items()), "```"]
    if scorecard is not None:
        parts += _gates(board, matrix, scorecard)
    return "\n".join(parts) + "\n"


def _gates(board: RealismGateboard, matrix: OwnerStateMatrix, scorecard: Scorecard) -> list[str]:
    columns = (
        "gate",
        "title",
        "severity",
        "verdict",
        "value",
        "b",
        "bplus",
        "distance",
        "population",
        "owner",
    )
    rows = [[str(row[name]) for name in columns] for row in scorecard.frame().to_dicts()]
    context = context_rows(board.context)
    axes = [(line.axis, line.stands, ", ".join(line.gates), ", ".join(line.owners)) for line in matrix.axes]
    owners = [
        (line.gate_id, line.owner, line.cause, " ".join(line.rerun), f"`{line.command}`") for line in matrix.owners
    ]
    return [
        "## Gates",
        *_table(columns, rows),
        "## Earlier figures, for context only",
        *_table(tuple(context[0]), [tuple(row.values()) for row in context]),
        "## Axes",
        *_table(("axis", "stands", "gates", "owners"), axes),
        "## Owners of what fails",
        *_table(("gate", "owner", "cause", "smallest rerun", "command"), owners),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return ["none", ""]
    lines = [head, ["---"] * len(head), *rows]
    return [*(f"| {' | '.join(text.replace('|', chr(92) + '|') for text in line)} |" for line in lines), ""]
