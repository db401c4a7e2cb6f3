"""What policies and records are made of: strict nodes, and numbers with bounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Strict(BaseModel):
    """A policy node: frozen, no unknown keys, no coercion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Recorded(BaseModel):
    """A record on disk: frozen, no coercion; keys that another version has written are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)
