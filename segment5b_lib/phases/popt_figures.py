"""A baseline given as figures in a file: seconds that were measured elsewhere, without a run to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, model_validator

from segment5b_lib.errors import UsageError
from segment5b_lib.store.documents import read_yaml, validated
from segment5b_lib.store.roots import parameters_folder

PUBLISHED: Final = "published_run"
"""The file that ships: the plan's own figures."""

Seconds = Annotated[float, Field(gt=0)]
State = Annotated[str, Field(pattern=r"^S[0-5]$")]
LaneName = Annotated[str, Field(pattern="^(input_load|compute|validation|write)$")]
Paired = Annotated[str, Field(pattern=r"^POPT\.[123]$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Snapshot(_Strict):
    """What was measured on one occasion: seconds of wall time by state, and lanes where they were published."""

    seconds: dict[State, Seconds]
    lanes: dict[State, dict[LaneName, Seconds]] = Field(default_factory=dict)


class Reopened(_Strict):
    """Snapshots that a reopened POPT.2 is compared with: the S4 it starts from, and the best S4 before that."""

    start: str = Field(alias="from")
    best: str


class Figures(_Strict):
    """A run as figures. One value each: its own run took `segment_seconds`, long enough for a single run to count."""

    name: str
    run_id: str
    scale: str
    seed: int
    segment_seconds: Seconds
    snapshots: dict[str, Snapshot]
    anchors: dict[Paired, dict[State, str]]
    reopened: Reopened

    @model_validator(mode="after")
    def _known(self) -> Figures:
        named = [(name, state) for states in self.anchors.values() for state, name in states.items()]
        named += [(self.reopened.start, "S4"), (self.reopened.best, "S4")]
        for name, state in named:
            if name not in self.snapshots or state not in self.snapshots[name].seconds:
                raise ValueError(f"snapshot {name} does not give the seconds of {state}")
        return self

    def anchor(self, phase: str, state: str) -> float | None:
        """Seconds that a phase holds a state against; None where none were published."""
        snapshot = self.anchors.get(phase, {}).get(state)
        return self.snapshots[snapshot].seconds[state] if snapshot else None

    def lanes(self, phase: str, state: str) -> dict[LaneName, float]:
        """Seconds of the lanes of a state that a phase is compared with; empty where none were published."""
        snapshot = self.anchors.get(phase, {}).get(state)
        return dict(self.snapshots[snapshot].lanes.get(state, {})) if snapshot else {}

    def published(self, state: str) -> list[float]:
        """Every published figure of a state, in the order of the snapshots."""
        return [snapshot.seconds[state] for snapshot in self.snapshots.values() if state in snapshot.seconds]

    def frame(self) -> pl.DataFrame:
        """One row per snapshot: its seconds by state, null where not published."""
        states = sorted({state for snapshot in self.snapshots.values() for state in snapshot.seconds})
        rows = [
            {"snapshot": name, **{state: snapshot.seconds.get(state) for state in states}}
            for name, snapshot in self.snapshots.items()
        ]
        return pl.DataFrame(rows, schema={"snapshot": pl.String, **dict.fromkeys(states, pl.Float64)})


def load_figures(name: str = PUBLISHED) -> Figures:
    """Figures by the name of a shipped file, or by the path of another."""
    path = Path(name) if name.endswith(".yaml") else parameters_folder() / "figures" / f"{name}.yaml"
    if not path.is_file():
        raise UsageError(
            "5B.POPT.UNKNOWN_FIGURES",
            "there is no such file of figures",
            where=str(path),
            expected=f"{', '.join(shipped())}, or the path of a .yaml file",
            found=name,
        )
    return validated(Figures, read_yaml(path), str(path))


def shipped() -> list[str]:
    """Names of the files with a run's figures that come with the library: `<name>_run.yaml`."""
    return sorted(path.stem for path in (parameters_folder() / "figures").glob("*_run.yaml"))
