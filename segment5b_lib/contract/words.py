"""The vocabulary that code, policies, artefacts and reports share. One spelling each."""

from __future__ import annotations

from enum import StrEnum


class Lane(StrEnum):
    """Where a state's time goes."""

    INPUT_LOAD = "input_load"
    COMPUTE = "compute"
    VALIDATION = "validation"
    WRITE = "write"


class Status(StrEnum):
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
    """Decision words of the phases, as the plan spells them."""

    UNLOCK_P1 = "UNLOCK_P1"
    HOLD_P0_REOPEN = "HOLD_P0_REOPEN"

    @property
    def opens(self) -> bool:
        """Whether the next phase may start."""
        return not self.value.startswith("HOLD_")


class ItemStatus(StrEnum):
    """How an item of a definition of done stands; only red keeps the next phase closed."""

    GREEN = "green"
    RED = "red"
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
