"""P0's artefacts: the realism gateboard and the owner-state matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import polars as pl

from segment5b_lib.contract.verdicts import GateResult
from segment5b_lib.contract.words import Verdict
from segment5b_lib.gates.gate import Group
from segment5b_lib.gates.scorecard import Scorecard
from segment5b_lib.gates.table import gates_of
from segment5b_lib.gates.wording import value_text
from segment5b_lib.phases.engine.envelope import Body, Node
from segment5b_lib.phases.engine.repair import runnable

AXES: Final[dict[str, tuple[str, ...]]] = {"DST": gates_of(Group.LOCAL_TIME, Group.CLOCK)} | {
    group.value: gates_of(group)
    for group in (Group.CONCENTRATION, Group.VIRTUAL_SHARE, Group.CONSERVATION, Group.RHYTHM, Group.AUDIT)
}
"""The plan's four axes and the gates that decide each; T8 and T9 come from the remediation report."""

EARLIER_BOUNDS: Final = (("T1", "b", 0.0020), ("T1", "bplus", 0.0005), ("T3", "bplus", 0.8))
"""Upper bounds that stood in the remediation report before the plan; context, never a verdict."""


class ContextLine(Node):
    """A figure that the reader may know from elsewhere, next to the measured one."""

    gate_id: str
    level: Literal["b", "bplus"]
    max: float
    value: float | None
    unit: str
    within: bool | None
    source: str


class AxisLine(Node):
    """One axis of realism: does it hold, and who owns what does not."""

    axis: str
    stands: Literal["holds", "fails", "undecided"]
    gates: dict[str, Verdict]
    owners: list[str]


class OwnerLine(Node):
    """One failed gate: its only primary owner, and the smallest rerun that can fix it."""

    gate_id: str
    axis: str
    owner: str
    cause: str
    upstream: str
    rerun: list[str]
    command: str


class RealismGateboard(Body, artefact="p0_realism_gateboard"):
    """Every gate of the baseline, with the earlier figures as context."""

    context: list[ContextLine]


class OwnerStateMatrix(Body, artefact="p0_owner_state_matrix"):
    """What is wrong, on which axis, and who owns it."""

    axes: list[AxisLine]
    owners: list[OwnerLine]


def context_lines(scorecard: Scorecard) -> list[ContextLine]:
    """The earlier, tighter bounds, each with what was measured now."""
    return [
        ContextLine(
            gate_id=gate_id,
            level="b" if level == "b" else "bplus",
            max=bound,
            value=result.value,
            unit=result.unit,
            within=None if result.value is None else result.value <= bound,
            source="remediation report, before the plan",
        )
        for gate_id, level, bound in EARLIER_BOUNDS
        for result in [scorecard.result(gate_id)]
    ]


def context_frame(lines: Sequence[ContextLine]) -> pl.DataFrame:
    """Context lines as texts: `gate`, `level`, `bound`, `value`, `stands`, `source`."""
    stands = {True: "within", False: "outside", None: "not measured"}
    return pl.DataFrame(
        [
            {
                "gate": line.gate_id,
                "level": line.level,
                "bound": f"≤ {value_text(line.max, line.unit)}",
                "value": value_text(line.value, line.unit),
                "stands": stands[line.within],
                "source": line.source,
            }
            for line in lines
        ]
    )


def axis_lines(scorecard: Scorecard) -> list[AxisLine]:
    """How each axis stands."""
    return [
        _axis(axis, [result for result in scorecard.results if result.gate_id in gates], scorecard)
        for axis, gates in AXES.items()
    ]


def _axis(axis: str, results: Sequence[GateResult], scorecard: Scorecard) -> AxisLine:
    owners = {attribution.owner for result in results if (attribution := scorecard.owner(result.gate_id))}
    failed = any(result.verdict is Verdict.FAIL for result in results)
    decided = bool(results) and all(result.passed or result.verdict is Verdict.NOT_APPLICABLE for result in results)
    return AxisLine(
        axis=axis,
        stands="fails" if failed else "holds" if decided else "undecided",
        gates={result.gate_id: result.verdict for result in results},
        owners=sorted(owners),
    )


def owner_lines(scorecard: Scorecard) -> list[OwnerLine]:
    """Every failed gate with its owner."""
    return [
        OwnerLine(
            gate_id=attribution.gate_id,
            axis=attribution.axis,
            owner=attribution.owner,
            cause=attribution.cause,
            upstream=attribution.upstream,
            rerun=list(attribution.rerun),
            command=runnable(attribution, scorecard).text,
        )
        for attribution in scorecard.attributions
    ]
