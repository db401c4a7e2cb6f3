"""Commands as data: their text, the way back from it, and what a run adds to a rule's command."""

from __future__ import annotations

import pytest

from segment5b_lib.cli.main import app
from segment5b_lib.contract.commands import GROUPS, Command, RunAddress, addressed, command, parsed
from segment5b_lib.gates.attribution import RULES

OWN = RunAddress("3f2a9c01", "5b6a7c8d", 42, attached=False)
ATTACHED = RunAddress("3f2a9c01", "5b6a7c8d", 42, attached=True)


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (command("calibrate"), "segment5b calibrate"),
        (command("world reopen", "--reason", "P0: T11"), 'segment5b world reopen --reason "P0: T11"'),
        (command("run", "--set", "a.b=c"), "segment5b run --set a.b=c"),
        (command("run", "--set", 'a="b c"'), "segment5b run --set 'a=\"b c\"'"),
        (command("run", "--set", "a=$(b)"), "segment5b run --set 'a=$(b)'"),
        (command("run", "--set", ""), 'segment5b run --set ""'),
    ],
)
def test_a_command_and_its_text_are_one_another_s_inverse(one: Command, text: str) -> None:
    assert one.text == text
    assert parsed(text) == one


@pytest.mark.parametrize("text", ["", "segment5b", "rm -rf run"])
def test_what_is_no_command_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parsed(text)


def test_groups_are_those_of_the_command_line() -> None:
    assert tuple(group.name for group in app.registered_groups) == GROUPS


@pytest.mark.parametrize(
    ("proposal", "address", "text"),
    [
        (
            command("rerun", "--changed", "S4", "--set", "a=b"),
            OWN,
            "segment5b rerun --run 3f2a9c01 --changed S4 --set a=b",
        ),
        (
            command("rerun", "--changed", "S4", "--set", "a=b"),
            ATTACHED,
            "segment5b run --world 5b6a7c8d --seed 42 --set a=b",
        ),
        (command("calibrate"), OWN, "segment5b calibrate 3f2a9c01"),
        (command("calibrate"), ATTACHED, "segment5b calibrate 3f2a9c01"),
        (
            command("world reopen", "--segment", "2A"),
            ATTACHED,
            'segment5b world reopen 5b6a7c8d --segment 2A --reason "the clock stops"',
        ),
    ],
)
def test_a_proposal_is_completed_for_one_run(proposal: Command, address: RunAddress, text: str) -> None:
    assert addressed(proposal, address, "the clock stops").text == text


def test_every_rule_s_command_can_be_written_down_and_read_back() -> None:
    for rule in RULES:
        assert parsed(rule.command.text) == rule.command
