"""The identity card of a run: what a phase is about, for people."""

from __future__ import annotations

from dataclasses import dataclass

from segment5b_lib.html_table import code, html_record
from segment5b_lib.phases.engine.envelope import RunIdentity, identity_of
from segment5b_lib.store.runs import Run


@dataclass(frozen=True)
class IdentityCard:
    """Who a run is: ids, scale, posture, seed, horizon."""

    run: RunIdentity
    scale: str
    scenarios: tuple[str, ...]
    horizon: str

    def rows(self) -> list[tuple[str, str]]:
        """Label and text, in reading order."""
        return [
            ("run", self.run.run_id),
            ("posture", self.run.posture),
            ("seed", str(self.run.seed)),
            ("scale", self.scale),
            ("scenarios", ", ".join(self.scenarios)),
            ("horizon", self.horizon),
            ("world", self.run.manifest_fingerprint),
            ("policies", self.run.parameter_hash),
            ("parent run", self.run.parent_run or "none"),
        ]

    def _repr_html_(self) -> str:
        return html_record((label, code(text)) for label, text in self.rows())


def identity_card(run: Run) -> IdentityCard:
    """Who a run is, from its receipt and its world's manifest."""
    start = min(start for start, _ in run.horizons.values())
    end = max(end for _, end in run.horizons.values())
    return IdentityCard(
        run=identity_of(run),
        scale=run.world.scale,
        scenarios=tuple(run.horizons),
        horizon=f"{start:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ}",
    )
