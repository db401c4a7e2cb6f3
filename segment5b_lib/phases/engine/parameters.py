"""Parameters of notebooks and phases, declared once: name, type, default, and what each means.

The parameters cell of a notebook (`parameters_cell`), the options of `segment5b phase` and the check before a kernel
starts are derived from these models. papermill warns about an unknown parameter and goes on, and YAML turns `12:30`
into 750; so parameters are checked here, by name and type.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Self, TypeVar

from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo

from segment5b_lib.contract.strict import Strict
from segment5b_lib.errors import UsageError
from segment5b_lib.store.catalogue import find_run
from segment5b_lib.store.runs import Run

AnyParameters = TypeVar("AnyParameters", bound="Parameters")

ANY_RUN: Final = "the run to look at: an id, the start of one, or a role such as @baseline"


@dataclass(frozen=True)
class Resolves:
    """Marks a parameter that names runs: how one name becomes an id."""

    name: Callable[[str], str]


def run_id_of(name: str) -> str:
    """The id of a run by id, prefix or role."""
    return find_run(name).run_id


RunName = Annotated[str, Resolves(run_id_of)]
"""A run, by an id, the start of one, or a role such as `@last`."""
RunNames = Annotated[list[str], Resolves(run_id_of)]
"""Several runs."""


class Parameters(Strict):
    """Parameters of a notebook: known names only, exact types."""

    run_id: RunName = Field("@last", description=ANY_RUN)
    """Not `run`: IPython takes a line that begins with `run:` for a magic."""

    def resolved(self) -> Self:
        """The same with run ids for names, so that a record says what was looked at and not what it was called."""
        changes = {
            name: mark.name(value) if isinstance(value, str) else [mark.name(run) for run in value]
            for name, field in type(self).model_fields.items()
            for mark in field.metadata
            if isinstance(mark, Resolves)
            for value in [getattr(self, name)]
        }
        return self.model_copy(update=changes)


class PhaseParameters(Parameters):
    """Parameters that every phase has."""

    as_what_if: bool = Field(False, description="go ahead out of order; the result is not evidence")


class OnCandidate(PhaseParameters):
    """Of a phase that judges a candidate."""

    run_id: RunName = Field("@candidate", description="the candidate: an id, the start of one, or a role")


class OnCertificate(OnCandidate):
    """Of a phase about the certificate of a candidate."""

    run_id: RunName = Field("@candidate", description="the run that the certificate is kept under")


class OnWitnessedCandidate(OnCandidate):
    """Of a phase that judges a candidate with its witnesses, against an earlier run."""

    baseline: RunName = Field("@baseline", description="the run that P0 was about")
    witnesses: RunNames = Field(
        [], title="witness", description="runs of other seeds, made from the same world and policies"
    )

    def others(self) -> dict[str, list[Run]]:
        """The other runs by role."""
        return {"witness": [find_run(name) for name in self.witnesses], "baseline": [find_run(self.baseline)]}


def checked(
    model: type[AnyParameters],
    values: Mapping[str, object],
    *,
    code: str,
    where: str,
    next_step: str,
    needed: Collection[str] = (),
) -> AnyParameters:
    """Parameters by name and type, or an error that names the offender; those `needed` may not be left to a default.

    Raises
    ------
    UsageError : an unknown, missing or wrongly typed parameter.
    """
    expected = ", ".join(f"{field} ({type_name(info)})" for field, info in model.model_fields.items())
    for name in needed:
        if name not in values:
            where, given = f"{where}, parameter {name}", repr(dict(values))[:200]
            raise UsageError(
                code, f"Field required: {name}", where=where, expected=expected, found=given, next_step=next_step
            )
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            code,
            f"there is no parameter {name}" if first["type"] == "extra_forbidden" else f"{first['msg']}: {name}",
            where=f"{where}, parameter {name}",
            expected=expected,
            found=repr(first.get("input"))[:200],
            next_step=next_step,
        ) from error


def option_name(name: str, field: FieldInfo) -> str:
    """The command line's option for a parameter; a list is repeated, so that its title is the singular."""
    return (field.title or name).replace("_", "-")


def type_name(field: FieldInfo) -> str:
    """The type of a parameter as Python spells it, e.g. `list[str]`."""
    return field.annotation.__name__ if isinstance(field.annotation, type) else str(field.annotation)


def parameters_cell(model: type[Parameters]) -> str:
    """The source of a notebook's parameters cell: one line per parameter, with its meaning as a comment."""
    return "\n".join(_line(name, field) for name, field in model.model_fields.items())


def _line(name: str, field: FieldInfo) -> str:
    default = json.dumps(field.default) if isinstance(field.default, (str, list)) else repr(field.default)
    kind = type_name(field).partition("[")[0]
    return f"{name}: {kind} = {default}  # {field.description}"
