"""The vocabulary that code, policies, artefacts and reports share. One spelling each."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Lane(StrEnum):
    """Where a state's time goes."""

    INPUT_LOAD = "input_load"
    COMPUTE = "compute"
    VALIDATION = "validation"
    WRITE = "write"


class StateStatus(StrEnum):
    """How a state attempt ended."""

    PASS = "PASS"
    FAIL = "FAIL"


class Verdict(StrEnum):
    """What a gate says. Only the first two are a pass."""

    PASS_BPLUS = "pass_bplus"
    PASS_B = "pass_b"
    FAIL = "fail"
    INSUFFICIENT_POWER = "insufficient_power"
    NOT_APPLICABLE = "not_applicable"
    NOT_MEASURED = "not_measured"


class ScenarioBand(StrEnum):
    """Which of the two scenario kinds a horizon belongs to; exactly one applies."""

    BASELINE = "baseline"
    STRESS = "stress"


class VirtualMode(StrEnum):
    """How segment 3B classifies a merchant."""

    NON_VIRTUAL = "NON_VIRTUAL"
    HYBRID = "HYBRID"
    VIRTUAL_ONLY = "VIRTUAL_ONLY"


class Decision(StrEnum):
    """Decision words of the phases. Written as here; the plan's other spellings (`_ALIASES`) are read only."""

    GO_POPT_1 = "GO_POPT.1"
    HOLD_POPT_0 = "HOLD_POPT.0"
    UNLOCK_POPT2_CONTINUE = "UNLOCK_POPT2_CONTINUE"
    UNLOCK_POPT3 = "UNLOCK_POPT3"
    HOLD_POPT1_REOPEN = "HOLD_POPT1_REOPEN"
    UNLOCK_POPT3_CONTINUE = "UNLOCK_POPT3_CONTINUE"
    HOLD_POPT2_REOPEN = "HOLD_POPT2_REOPEN"
    HOLD_POPT2R_REOPEN = "HOLD_POPT2R_REOPEN"
    UNLOCK_POPT4_CONTINUE = "UNLOCK_POPT4_CONTINUE"
    UNLOCK_POPT4_CONTINUE_WITH_WAIVER = "UNLOCK_POPT4_CONTINUE_WITH_WAIVER"
    HOLD_POPT3_REOPEN = "HOLD_POPT3_REOPEN"
    UNLOCK_POPT5_CONTINUE = "UNLOCK_POPT5_CONTINUE"
    HOLD_POPT4_REOPEN = "HOLD_POPT4_REOPEN"
    GO_P0 = "GO_P0"
    HOLD_POPT5_REOPEN = "HOLD_POPT5_REOPEN"
    UNLOCK_P1 = "UNLOCK_P1"
    HOLD_P0_REOPEN = "HOLD_P0_REOPEN"
    UNLOCK_P2 = "UNLOCK_P2"
    UNLOCK_P1_UPSTREAM_2A_REOPEN = "UNLOCK_P1_UPSTREAM_2A_REOPEN"
    HOLD_P1_REOPEN = "HOLD_P1_REOPEN"
    UNLOCK_P3 = "UNLOCK_P3"
    UNLOCK_P2_UPSTREAM_REOPEN = "UNLOCK_P2_UPSTREAM_REOPEN"
    HOLD_P2_REOPEN = "HOLD_P2_REOPEN"
    UNLOCK_P4 = "UNLOCK_P4"
    HOLD_P3_REMEDIATE = "HOLD_P3_REMEDIATE"
    PASS_BPLUS_ROBUST = "PASS_BPLUS_ROBUST"
    PASS_B = "PASS_B"
    HOLD_REMEDIATE = "HOLD_REMEDIATE"
    FROZEN_PASS_BPLUS = "FROZEN_PASS_BPLUS"
    FROZEN_PASS_B = "FROZEN_PASS_B"
    HOLD_P5_REOPEN = "HOLD_P5_REOPEN"

    @property
    def opens(self) -> bool:
        """Whether the next phase may start: no hold, and no word that sends an upstream segment back to work."""
        return not self.value.startswith("HOLD_") and "UPSTREAM" not in self.value

    @classmethod
    def _missing_(cls, value: object) -> Decision | None:
        return cls(_ALIASES[value]) if isinstance(value, str) and value in _ALIASES else None


_ALIASES: Final = {
    "HOLD_POPT.1_REOPEN": "HOLD_POPT1_REOPEN",
    "HOLD_POPT.2_REOPEN": "HOLD_POPT2_REOPEN",
    "HOLD_POPT.2R_REOPEN": "HOLD_POPT2R_REOPEN",
    "HOLD_POPT.3_REOPEN": "HOLD_POPT3_REOPEN",
    "GO_POPT1": "GO_POPT.1",
    "HOLD_POPT0": "HOLD_POPT.0",
}
"""Other spellings that stand in the plan and in artefacts of its first execution."""


class ItemStatus(StrEnum):
    """How an item of a definition of done stands; only red keeps the next phase closed."""

    GREEN = "green"
    RED = "red"
    WAIVED = "waived"
    NOT_APPLICABLE = "not_applicable"


class NotebookStatus(StrEnum):
    """How the execution of a notebook ended, from our own record and never from the notebook's metadata."""

    COMPLETE = "complete"
    GATE_FAILED = "gate_failed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    KILLED = "killed"


STATES = ("S0", "S1", "S2", "S3", "S4", "S5")
"""The states in the order in which they run."""
