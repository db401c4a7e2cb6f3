"""Pins: the roles that keep a run from being pruned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, Literal, get_args

from pydantic import ConfigDict, RootModel

from segment5b_lib.store.documents import read_json, validated
from segment5b_lib.store.roots import runs_folder

Role = Literal["baseline", "candidate", "last_good", "witness", "certification"]
PIN_ROLES: Final[tuple[Role, ...]] = get_args(Role)
SHARED_PINS: Final[tuple[Role, ...]] = ("witness", "certification")
"""Roles that several runs hold together; the others have one run."""
_FILE: Final = "pins.json"


class Pins(RootModel[dict[Role, list[str]]]):
    """Run ids by role, the latest last; a role without a run is left out."""

    model_config = ConfigDict(frozen=True, strict=True)

    def of(self, role: str) -> list[str]:
        """The runs of a role; empty for a role that nobody has."""
        return next((runs for name, runs in self.root.items() if name == role), [])

    def roles_of(self, run_id: str) -> list[str]:
        return [role for role, runs in self.root.items() if run_id in runs]

    @property
    def kept(self) -> set[str]:
        return {run_id for runs in self.root.values() for run_id in runs}

    def with_run(self, role: Role, run_id: str) -> Pins:
        """The pins after a run has been given a role."""
        others = [other for other in self.of(role) if role in SHARED_PINS and other != run_id]
        return Pins({**self.root, role: [*others, run_id]})

    def content(self) -> bytes:
        return (json.dumps(self.root, indent=1, sort_keys=True) + "\n").encode()


def pins_path() -> Path:
    """The file of all pins, in the place of runs."""
    return runs_folder() / _FILE


def read_pins() -> Pins:
    """The pins of now; none where there is no file yet."""
    path = pins_path()
    return validated(Pins, read_json(path), str(path)) if path.is_file() else Pins({})
