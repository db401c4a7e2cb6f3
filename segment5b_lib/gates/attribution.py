"""Who owns a failed gate, and the smallest rerun that can fix it: rules as data, the first that applies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from segment5b_lib.contract.words import STATES, Verdict
from segment5b_lib.gates.results import GateResult

LANE_GATES: Final = ("R-candidate", "R-witness", "R-certification")
CLOCK_GATES: Final = ("T1", "T1.settlement", "T1.operational", "T2", "T3")


@dataclass(frozen=True)
class Facts:
    """What the rules look at: the gates that failed, and three properties of the run."""

    failed: frozenset[str]
    zone_binding: str
    hybrid_merchants: int
    calibrated: bool


@dataclass(frozen=True)
class Rule:
    """Gates, a condition, and what follows: owner, cause, the first state to rerun, the command that does it.

    `axis` is the plan's word for what is wrong; `upstream` the segment to reopen, empty if none.
    """

    gates: tuple[str, ...]
    when: Callable[[Facts], bool]
    owner: str
    axis: str
    cause: str
    first_state: str
    upstream: str
    command: str


@dataclass(frozen=True)
class Attribution:
    """One failed gate's primary owner and smallest rerun."""

    gate_id: str
    owner: str
    axis: str
    cause: str
    upstream: str
    rerun: tuple[str, ...]
    command: str


def _always(facts: Facts) -> bool:
    return True


def _failed(*gates: str) -> Callable[[Facts], bool]:
    return lambda facts: any(gate in facts.failed for gate in gates)


_REOPEN_2A = "segment5b world reopen --segment 2A --set last_transition_year=2028"
_WALL_CLOCK = "segment5b rerun --changed S4 --set placement.local_time_encoding=wall_clock"
_ROW_ZONE = "segment5b rerun --changed S4 --set routing.zone_binding=row_zone"

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        (*CLOCK_GATES, "T8"),
        lambda facts: "T11" in facts.failed and any(gate in facts.failed for gate in CLOCK_GATES),
        "2A",
        "DST",
        "the transition cache ends before the scenario does",
        "S0",
        "2A",
        _REOPEN_2A,
    ),
    Rule(
        CLOCK_GATES,
        _failed("T12"),
        "S4",
        "DST",
        "local times are written, or read, as if they were UTC",
        "S4",
        "",
        _WALL_CLOCK,
    ),
    Rule(
        CLOCK_GATES,
        _always,
        "S4",
        "DST",
        "the cache is right and the encoding too: the look-up in S4 is wrong",
        "S4",
        "",
        "segment5b rerun --changed S4",
    ),
    Rule(
        ("T11",),
        _always,
        "2A",
        "DST",
        "the transition cache does not reach far enough",
        "S0",
        "2A",
        _REOPEN_2A,
    ),
    Rule(
        ("T12",),
        _always,
        "S4",
        "DST",
        "local columns carry a UTC marker that is not true",
        "S4",
        "",
        _WALL_CLOCK,
    ),
    Rule(
        ("T4",),
        _always,
        "S4",
        "conservation",
        "the expansion does not deliver what S3 drew",
        "S4",
        "",
        "segment5b rerun --changed S4",
    ),
    Rule(
        ("T5",),
        _always,
        "S4",
        "conservation",
        "routing fills the wrong one of site and edge",
        "S4",
        "",
        "segment5b rerun --changed S4",
    ),
    Rule(
        ("T6",),
        lambda facts: facts.zone_binding == "row_zone",
        "S2 zone mix",
        "concentration",
        "the intensities themselves concentrate on a few zones",
        "S2",
        "",
        "segment5b calibrate",
    ),
    Rule(
        ("T6",),
        _always,
        "S4 routing",
        "concentration",
        "routing by group weights concentrates on a few zones",
        "S4",
        "",
        _ROW_ZONE,
    ),
    Rule(
        ("T7",),
        lambda facts: facts.hybrid_merchants == 0,
        "3B",
        "virtual share",
        "no merchant is eligible for hybrid trade, so no local knob moves the share",
        "S0",
        "3B",
        "segment5b world reopen --segment 3B --set rules.card_not_present.mode=HYBRID",
    ),
    Rule(
        ("T7",),
        _always,
        "S4 routing",
        "virtual share",
        "the hybrid coin sets the share",
        "S4",
        "",
        "segment5b calibrate",
    ),
    Rule(
        ("T8",),
        _failed(*CLOCK_GATES),
        "S4",
        "DST",
        "local dates follow the clock, which is wrong",
        "S4",
        "",
        "segment5b rerun --changed S4",
    ),
    Rule(
        ("T8",),
        lambda facts: facts.zone_binding != "row_zone",
        "S4 routing",
        "concentration",
        "arrivals live in another zone than the intensity they come from",
        "S4",
        "",
        _ROW_ZONE,
    ),
    Rule(
        ("T9",),
        lambda facts: facts.calibrated,
        "S2 zone mix",
        "concentration",
        "calibration over-corrects: it has changed how counts scatter",
        "S2",
        "",
        "segment5b calibrate",
    ),
    Rule(
        ("T8", "T9"),
        _always,
        "S3",
        "conservation",
        "counts do not follow their intensities as the law says",
        "S3",
        "",
        "segment5b rerun --changed S3",
    ),
    Rule(
        ("A1", "A1.duplicates", "A1.offsets"),
        _always,
        "S4 streams",
        "randomness",
        "random blocks are used for more than one draw, or not as their streams define",
        "S4",
        "",
        "segment5b rerun --changed S4",
    ),
    Rule(
        ("A2", "A2.profile"),
        lambda facts: facts.zone_binding != "row_zone",
        "S4 routing",
        "zone binding",
        "zones are drawn regardless of the row whose intensity made the arrival",
        "S4",
        "",
        _ROW_ZONE,
    ),
    Rule(
        ("A2.profile",),
        lambda facts: "A2" not in facts.failed,
        "S3",
        "zone binding",
        "counts do not follow their own intensity through the day",
        "S3",
        "",
        "segment5b rerun --changed S3",
    ),
    Rule(
        ("A2", "A2.profile"),
        _always,
        "S4 routing",
        "zone binding",
        "sites are picked in another zone than that of the row, which the policy binds them to",
        "S4",
        "",
        "segment5b rerun --changed S4",
    ),
    Rule(
        ("A3",),
        _always,
        "S3",
        "count law",
        "counts follow another law than the policy's",
        "S3",
        "",
        "segment5b rerun --changed S3",
    ),
    Rule(
        ("A4",),
        _always,
        "S4 routing",
        "routing law",
        "sites or edges are not picked by their weights",
        "S4",
        "",
        "segment5b rerun --changed S4",
    ),
    Rule(
        ("A5", "A5.window", "A5.order", "A6"),
        _always,
        "S4",
        "placement and order",
        "arrivals are not placed, ordered or written as the law of S4 says",
        "S4",
        "",
        "segment5b rerun --changed S4",
    ),
    Rule(
        ("T10",),
        _always,
        "S2",
        "stability",
        "a key metric moves with the seed, whose largest effect is on the latent field",
        "S2",
        "",
        "segment5b rerun --changed S2",
    ),
    *(
        Rule(
            gates,
            _always,
            state,
            "runtime",
            cause,
            state,
            "",
            f"segment5b rerun --changed {state}",
        )
        for gates, state, cause in (
            *(((f"R-{state}",), state, "the state takes longer than its budget") for state in STATES[1:]),
            (LANE_GATES, "S4", "the lane takes longer than its budget, and S4 is its largest part"),
        )
    ),
)


def attribute(
    results: Sequence[GateResult], zone_binding: str, hybrid_merchants: int, *, calibrated: bool = False
) -> tuple[Attribution, ...]:
    """Exactly one attribution for every gate that failed, in the order of the results.

    `calibrated` says that the run's zone mix is not `none`.
    """
    failed = frozenset(result.gate_id for result in results if result.verdict is Verdict.FAIL)
    facts = Facts(failed, zone_binding, hybrid_merchants, calibrated)
    return tuple(_first(result.gate_id, facts) for result in results if result.gate_id in failed)


def _first(gate_id: str, facts: Facts) -> Attribution:
    rule = next(rule for rule in RULES if gate_id in rule.gates and rule.when(facts))
    states = STATES[STATES.index(rule.first_state) :]
    return Attribution(gate_id, rule.owner, rule.axis, rule.cause, rule.upstream, states, rule.command)
