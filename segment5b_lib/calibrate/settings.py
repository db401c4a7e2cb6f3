"""A candidate as a file of changes and the commands that make it a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from segment5b_lib.calibrate.proposal import Proposal
from segment5b_lib.calibrate.sensitivity import settings_of
from segment5b_lib.contract.commands import Command, command
from segment5b_lib.contract.policies import POLICIES, Policies
from segment5b_lib.store.postures import load_posture
from segment5b_lib.store.publish import write_file


def policy_changes(start: Policies, wanted: Policies) -> dict[str, object]:
    """The keys in which two sets of policies differ, dotted key to wanted value: what `--set` takes.

    A mapping whose own keys differ, such as a tilt's scores, is one value.
    """
    return {
        key: value
        for name in POLICIES
        for key, value in _differences(name, start.document(name), wanted.document(name)).items()
    }


def _differences(key: str, start: object, wanted: object) -> dict[str, object]:
    if start == wanted:
        return {}
    if isinstance(start, Mapping) and isinstance(wanted, Mapping) and set(start) == set(wanted):
        inner = [_differences(f"{key}.{name}", start[name], wanted[name]) for name in wanted]
        return {name: value for changes in inner for name, value in changes.items()}
    return {key: wanted}


def candidate_changes(proposal: Proposal) -> dict[str, object]:
    """The candidate's policies as changes to the posture that its run has; empty where there is no candidate."""
    if proposal.policies is None:
        return {}
    return policy_changes(load_posture(proposal.run.receipt.posture), proposal.policies)


def write_changes(proposal: Proposal, path: Path) -> None:
    """Write the candidate's changes as a file that `--set @FILE` and a posture's folder take."""
    receipt, lines = proposal.run.receipt, [f"# Solved by segment5b calibrate for run {proposal.run.run_id}."]
    lines.append(f"# World {receipt.manifest_fingerprint}, posture {receipt.posture}, level {proposal.target.level}.")
    lines += [f"# With segment {segment} reopened: {dict(own)}." for segment, own in proposal.reopened.items()]
    text = yaml.safe_dump({"changes": candidate_changes(proposal)}, sort_keys=False, allow_unicode=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, ("\n".join(lines) + "\n" + text).encode())


def commands(proposal: Proposal, path: Path | str) -> tuple[Command, ...]:
    """What to type to make the candidate, its changes being in a file; nothing where there is no candidate.

    In the run's own world it is a rerun from S2 on. Where a segment is reopened the child world comes first, whose
    fingerprint is known once it is built.
    """
    if proposal.policies is None:
        return ()
    receipt = proposal.run.receipt
    if not proposal.reopened:
        return (command("rerun", "--run", proposal.run.run_id[:8], "--changed", "S2", "--set", f"@{path}"),)
    blocked = " and ".join(verdict.gate for verdict in proposal.local if not verdict.reachable)
    world, steps = receipt.manifest_fingerprint[:12], []
    for segment, own in proposal.reopened.items():
        settings = [word for setting in settings_of(own) for word in ("--set", setting)]
        reason = f"P2: {blocked} locally blocked"
        steps.append(command("world reopen", world, "--segment", segment, *settings, "--reason", reason))
        world = "CHILD"
    identity = ("--world", world, "--posture", receipt.posture, "--seed", str(receipt.seed))
    return (*steps, command("run", *identity, "--set", f"@{path}"))
