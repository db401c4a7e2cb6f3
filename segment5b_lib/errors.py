"""Typed errors: what failed, where, expected, found, and the next step.

One base class; each error also inherits the builtin a caller would naturally catch. Codes are stable
(`5B.S4.ROUTING_ROW_MISSING`) and are what run records, reports and tests refer to.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final


class Segment5BError(Exception):
    """Base of all errors of the library.

    Parameters
    ----------
    code : stable dotted code, e.g. ``5B.S0.SEALED_INPUT_MISSING``
    what : one sentence, what failed
    where : state, dataset, file, column, key, as far as known
    expected, found : the two sides of the disagreement
    done : what had already been done (and is kept)
    next_step : what to do now
    """

    exit_code: ClassVar[int] = 3

    def __init__(
        self,
        code: str,
        what: str,
        *,
        where: str = "",
        expected: object = "",
        found: object = "",
        done: str = "",
        next_step: str = "",
    ) -> None:
        super().__init__(code, what)
        self.code = code
        self.what = what
        self.where = where
        self.expected = str(expected)
        self.found = str(found)
        self.done = done
        self.next_step = next_step

    def lines(self) -> list[tuple[str, str]]:
        """Label and text of every part that is not empty, in reading order."""
        parts = [
            ("where", self.where),
            ("expected", self.expected),
            ("found", self.found),
            ("done", self.done),
            ("next", self.next_step),
        ]
        return [(label, text) for label, text in parts if text]

    def context(self) -> dict[str, str]:
        """The error as a JSON-ready mapping, for run records and artefacts."""
        return {"code": self.code, "what": self.what, **dict(self.lines())}

    def __str__(self) -> str:
        return "\n".join([f"{self.code}: {self.what}", *(f"  {k:<9}{v}" for k, v in self.lines())])

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.code, self.what, dict(self.__dict__))


_LABELS: Final = ("where", "expected", "found", "done", "next")


def context_of(text: str) -> dict[str, str]:
    """The context of an error from its text: the inverse of `str`, for what has come out of another process.

    A text that is no workbench error's is its own `what`, without a code.
    """
    first, *rest = text.splitlines() or [""]
    code, colon, what = first.partition(": ")
    context = {"code": code, "what": what} if colon and code.startswith("5B.") else {"what": first}
    last = "what"
    for line in rest:
        label = line[2:11].rstrip()
        if line.startswith("  ") and label in _LABELS:
            last, line = label, line[11:]
            context[label] = line
        else:
            context[last] += f"\n{line}"
    return context


def _rebuild(kind: type[Segment5BError], code: str, what: str, state: dict[str, Any]) -> Segment5BError:
    error = kind(code, what)
    error.__dict__.update(state)
    return error


class InputError(Segment5BError, ValueError):
    """Input data differ from their contract."""


class MissingInputError(Segment5BError, FileNotFoundError):
    """A required file, folder or dataset is missing."""


class PolicyError(Segment5BError, ValueError):
    """A policy, posture or world file is invalid."""


class StaleError(Segment5BError, RuntimeError):
    """An output was made from other inputs or policies than the current ones."""


class StateError(Segment5BError, RuntimeError):
    """A state's own validation refused what the state was about to publish."""


class ConflictError(Segment5BError, RuntimeError):
    """Another process holds, or has already published, the files to be written."""


class GateRefusal(Segment5BError, RuntimeError):
    """A gate or a phase refuses."""

    exit_code = 1


class StateRefusal(GateRefusal, StateError):
    """A state that judges outputs has recorded its result, and refuses them."""


class UsageError(Segment5BError, ValueError):
    """The command or call was used wrongly."""

    exit_code = 2


class EnvironmentFault(Segment5BError, OSError):
    """The machine is not sufficient (disk, memory, missing tool)."""

    exit_code = 4
