"""A property that is made once, also where making it fails: bad evidence is not read again for the next gate."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Generic, TypeVar, overload

from segment5b_lib.errors import InputError, MissingInputError

Made = TypeVar("Made")


class once(Generic[Made]):  # noqa: N801  # a decorator, named like `cached_property`
    """`cached_property` that also keeps the `InputError` or `MissingInputError` that stopped it."""

    def __init__(self, make: Callable[[Any], Made]) -> None:
        self._property = cached_property(make)
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._property.__set_name__(owner, name)
        self._refusal = f"_refusal_of_{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> once[Made]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Made: ...
    def __get__(self, instance: object, owner: type) -> once[Made] | Made:
        if instance is None:
            return self
        if refusal := vars(instance).get(self._refusal):
            raise refusal
        try:
            return self._property.__get__(instance, owner)
        except (InputError, MissingInputError) as refusal:
            vars(instance)[self._refusal] = refusal
            raise
