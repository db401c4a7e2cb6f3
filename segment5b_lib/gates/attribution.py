"""Who owns a failed gate, and the smallest rerun that can fix it: rules as data, the first that applies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from segment5b_lib.contract.commands import Command, command
from segment5b_lib.contract.verdicts import GateResult
from segment5b_lib.contract.words import STATES, Verdict
from segment5b_lib.gates.gate import Gate
from segment5b_lib.gates.scorecard import Attribution
from segment5b_lib.gates.table import CROSS_RUN_GATES, GATES

CLOCK_GATES: Final = ("T1", "T1.settlement", "T1.operational", "T2", "T3")


@dataclass(frozen=True)
class Facts:
    """What the rules look at: the gates that failed, and three properties of the run."""

    failed: frozenset[str]
    bound_to_row: bool
    hybrid_merchants: int
    calibrated: bool


Condition = Callable[[Facts], bool]


@dataclass(frozen=True)
class Rule:
    """Gates, a condition, and what follows: owner, the first state to rerun, the command that does it, the cause.

    `axis` is the plan's word for what is wrong; `upstream` the segment to reopen, empty if none. The command names
    neither run nor world (see `contract.commands.addressed`).
    """

    gates: tuple[str, ...]
    when: Condition
    owner: str
    axis: str
    first_state: str
    command: Command
    cause: str
    upstream: str = ""


def _failed(*gates: str) -> Condition:
    return lambda facts: not facts.failed.isdisjoint(gates)


def _always(_: Facts) -> bool:
    return True


_clock_failed = _failed(*CLOCK_GATES)


def _not_bound_to_the_row(facts: Facts) -> bool:
    return not facts.bound_to_row


def _rerun(state: str, *settings: str) -> Command:
    return command("rerun", "--changed", state, *(word for setting in settings for word in ("--set", setting)))


def _reopen(segment: str, setting: str) -> Command:
    return command("world reopen", "--segment", segment, "--set", setting)


def _usual(gate: Gate) -> Rule:
    state = gate.owner.split()[0]
    return Rule((gate.gate_id,), _always, gate.owner, gate.group.value, state, _rerun(state), gate.cause)


_CALIBRATE: Final = command("calibrate")
_REOPEN_2A: Final = _reopen("2A", "last_transition_year=2028")
_REOPEN_3B: Final = _reopen("3B", "rules.card_not_present.mode=HYBRID")
_WALL_CLOCK: Final = _rerun("S4", "placement.local_time_encoding=wall_clock")
_ROW_ZONE: Final = _rerun("S4", "routing.zone_binding=row_zone")
_S2, _S3, _S4 = (_rerun(state) for state in ("S2", "S3", "S4"))

# fmt: off
RULES: Final[tuple[Rule, ...]] = (
    Rule((*CLOCK_GATES, "T8"), lambda facts: "T11" in facts.failed and _clock_failed(facts), "2A", "DST", "S0",
         _REOPEN_2A, "the transition cache ends before the scenario does", "2A"),
    Rule(CLOCK_GATES, _failed("T12"), "S4", "DST", "S4", _WALL_CLOCK,
         "local times are written, or read, as if they were UTC"),
    Rule(CLOCK_GATES, _always, "S4", "DST", "S4", _S4,
         "the cache is right and the encoding too: the look-up in S4 is wrong"),
    Rule(("T11",), _always, "2A", "DST", "S0", _REOPEN_2A,
         "the transition cache does not reach far enough", "2A"),
    Rule(("T12",), _always, "S4", "DST", "S4", _WALL_CLOCK,
         "local columns carry a UTC marker that is not true"),
    Rule(("T6",), lambda facts: facts.bound_to_row, "S2 zone mix", "concentration", "S2", _CALIBRATE,
         "the intensities themselves concentrate on a few zones"),
    Rule(("T6",), _always, "S4 routing", "concentration", "S4", _ROW_ZONE,
         "routing by group weights concentrates on a few zones"),
    Rule(("T7",), lambda facts: facts.hybrid_merchants == 0, "3B", "virtual share", "S0", _REOPEN_3B,
         "no merchant is eligible for hybrid trade, so no local knob moves the share", "3B"),
    Rule(("T7",), _always, "S4 routing", "virtual share", "S4", _CALIBRATE,
         "the hybrid coin sets the share"),
    Rule(("T8",), _clock_failed, "S4", "DST", "S4", _S4,
         "local dates follow the clock, which is wrong"),
    Rule(("T8",), _not_bound_to_the_row, "S4 routing", "concentration", "S4", _ROW_ZONE,
         "arrivals live in another zone than the intensity they come from"),
    Rule(("T9",), lambda facts: facts.calibrated, "S2 zone mix", "concentration", "S2", _CALIBRATE,
         "calibration over-corrects: it has changed how counts scatter"),
    Rule(("T8", "T9"), _always, "S3", "conservation", "S3", _S3,
         "counts do not follow their intensities as the law says"),
    Rule(("A1", "A1.duplicates", "A1.offsets"), _always, "S4 streams", "randomness", "S4", _S4,
         "random blocks are used for more than one draw, or not as their streams define"),
    Rule(("A2", "A2.profile"), _not_bound_to_the_row, "S4 routing", "zone binding", "S4", _ROW_ZONE,
         "zones are drawn regardless of the row whose intensity made the arrival"),
    Rule(("A2.profile",), lambda facts: "A2" not in facts.failed, "S3", "zone binding", "S3", _S3,
         "counts do not follow their own intensity through the day"),
    Rule(("A2", "A2.profile"), _always, "S4 routing", "zone binding", "S4", _S4,
         "sites are picked in another zone than that of the row, which the policy binds them to"),
    Rule(("A3",), _always, "S3", "count law", "S3", _S3,
         "counts follow another law than the policy's"),
    Rule(("A4",), _always, "S4 routing", "routing law", "S4", _S4,
         "sites or edges are not picked by their weights"),
    Rule(("A5", "A5.window", "A5.order", "A6"), _always, "S4", "placement and order", "S4", _S4,
         "arrivals are not placed, ordered or written as the law of S4 says"),
    *(_usual(entry) for entry in (*GATES, *CROSS_RUN_GATES) if entry.cause),
)
# fmt: on


def attribute(
    results: Sequence[GateResult], hybrid_merchants: int, *, bound_to_row: bool, calibrated: bool = False
) -> tuple[Attribution, ...]:
    """Exactly one attribution for every gate that failed, in the order of the results.

    `bound_to_row` says that the binding of zones is `row_zone`, `calibrated` that the run's zone mix is not `none`.
    """
    failed = frozenset(result.gate_id for result in results if result.verdict is Verdict.FAIL)
    facts = Facts(failed, bound_to_row, hybrid_merchants, calibrated)
    return tuple(_first(result.gate_id, facts) for result in results if result.gate_id in failed)


def _first(gate_id: str, facts: Facts) -> Attribution:
    rule = next(rule for rule in RULES if gate_id in rule.gates and rule.when(facts))
    states = STATES[STATES.index(rule.first_state) :]
    return Attribution(gate_id, rule.owner, rule.axis, rule.cause, rule.upstream, states, rule.command)
