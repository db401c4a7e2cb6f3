"""A command of `segment5b` as data: what a rule or a phase proposes, rendered as text where a person reads it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import Annotated, Final

from pydantic import PlainSerializer, PlainValidator

PROGRAM: Final = "segment5b"
GROUPS: Final = ("world",)
"""Words that name a group of commands: the verb has a second word."""
_SPECIAL_IN_DOUBLE_QUOTES: Final = frozenset('"\\$`!')


@dataclass(frozen=True)
class Command:
    """One command: the words of its verb, e.g. `("world", "reopen")`, and its arguments, not quoted.

    Examples
    --------
    >>> command("rerun", "--changed", "S4").first("--run", "3f2a").text
    'segment5b rerun --run 3f2a --changed S4'
    """

    verb: tuple[str, ...]
    arguments: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The command as a shell takes it; the inverse of `parsed`."""
        return " ".join([PROGRAM, *self.verb, *(_quoted(word) for word in self.arguments)])

    def first(self, *arguments: str) -> Command:
        return replace(self, arguments=(*arguments, *self.arguments))

    def then(self, *arguments: str) -> Command:
        return replace(self, arguments=(*self.arguments, *arguments))

    def without(self, option: str) -> Command:
        at = self.arguments.index(option)
        return replace(self, arguments=self.arguments[:at] + self.arguments[at + 2 :])


@dataclass(frozen=True)
class RunAddress:
    """The run that a command is for: short ids of run and world, its seed, and whether it is attached (only read)."""

    run: str
    world: str
    seed: int
    attached: bool


def command(verb: str, *arguments: str) -> Command:
    """A command from the words of its verb, e.g. `world reopen`, and its arguments."""
    return Command(tuple(verb.split()), arguments)


def parsed(text: str) -> Command:
    """A command from its text.

    Raises
    ------
    ValueError : where the text is no command of `segment5b`
    """
    program, *words = shlex.split(text) or [""]
    if program != PROGRAM or not words:
        raise ValueError(f"not a command of {PROGRAM}: {text}")
    verb = 2 if words[0] in GROUPS else 1
    return Command(tuple(words[:verb]), tuple(words[verb:]))


def addressed(proposal: Command, to: RunAddress, reason: str) -> Command:
    """A proposal that names neither run nor world, completed for one run.

    The run, or the world to reopen, comes first; reopening gives its `reason`. An attached run cannot be rerun: what
    changes is run on the same world with the same seed.
    """
    if proposal.verb == ("world", "reopen"):
        return proposal.first(to.world).then("--reason", reason)
    if proposal.verb != ("rerun",):
        return proposal.first(to.run)
    if to.attached:
        again = command("run", "--world", to.world, "--seed", str(to.seed))
        return again.then(*proposal.without("--changed").arguments)
    return proposal.first("--run", to.run)


def _quoted(word: str) -> str:
    """A word as a shell reads it: in double quotes where that needs no escape."""
    if shlex.quote(word) == word:
        return word
    return shlex.quote(word) if _SPECIAL_IN_DOUBLE_QUOTES & set(word) else f'"{word}"'


def _read(value: object) -> Command:
    if isinstance(value, Command):
        return value
    if isinstance(value, str):
        return parsed(value)
    raise ValueError("a command is a text")


CommandText = Annotated[
    Command,
    PlainValidator(_read, json_schema_input_type=str),
    PlainSerializer(lambda value: value.text, return_type=str),
]
"""A field of a document that holds a command as its text."""
