"""POSIX TZ strings, the rule after a TZif file's last transition: a string in, yearly transitions out.

Grammar of POSIX.1 with the RFC 9636 extension that hours of a change may run from -167 to 167. All three
date forms are read: ``Mm.w.d``, ``Jn`` (29 February never counted) and ``n`` (counted).
"""

from __future__ import annotations

import calendar
import re
from datetime import date
from typing import NamedTuple

from segment5b_lib.contract.units import DAY_S
from segment5b_lib.errors import InputError

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_NAME = r"(?:<[A-Za-z0-9+-]+>|[A-Za-z]{3,})"
_TIME = r"[+-]?\d{1,3}(?::\d{2}(?::\d{2})?)?"
_RULE = re.compile(
    rf"{_NAME}(?P<std>{_TIME})"
    rf"(?:{_NAME}(?P<dst>{_TIME})?"
    rf",(?P<start>[^,/]+)(?:/(?P<start_time>{_TIME}))?"
    rf",(?P<end>[^,/]+)(?:/(?P<end_time>{_TIME}))?)?"
)
_DATE = re.compile(
    r"M(?P<month>1[0-2]|[1-9])\.(?P<week>[1-5])\.(?P<weekday>[0-6])|J(?P<julian>\d{1,3})|(?P<day>\d{1,3})"
)


class Change(NamedTuple):
    """When the clock changes in any year: a date form and seconds after that day's local midnight."""

    date_form: str
    seconds: int


class PosixRule(NamedTuple):
    """Offsets in seconds east of UTC; without daylight saving `dst`, `start` and `end` are None."""

    std: int
    dst: int | None
    start: Change | None
    end: Change | None


def parse_rule(text: str, where: str) -> PosixRule:
    """Read one POSIX TZ string; ``5B.CIVIL_TIME.POSIX_RULE`` if it is not one."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise _refuse(text, where)
    std = -_clock(match["std"])
    if match["start"] is None:
        return PosixRule(std, None, None, None)
    for form in (match["start"], match["end"]):
        if not _DATE.fullmatch(form):
            raise _refuse(form, where)
    return PosixRule(
        std,
        -_clock(match["dst"]) if match["dst"] else std + 3600,
        Change(match["start"], _clock(match["start_time"] or "2")),
        Change(match["end"], _clock(match["end_time"] or "2")),
    )


def transitions_of_year(rule: PosixRule, year: int) -> list[tuple[int, int]]:
    """(epoch second UTC, offset seconds from then on) of one year's changes, in time order."""
    if rule.dst is None or rule.start is None or rule.end is None:
        return []
    begin = _local_second(rule.start, year) - rule.std
    finish = _local_second(rule.end, year) - rule.dst
    return sorted([(begin, rule.dst), (finish, rule.std)])


def _clock(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    hours, minutes, seconds = (*(int(part) for part in text.lstrip("+-").split(":")), 0, 0)[:3]
    return sign * (hours * 3600 + minutes * 60 + seconds)


def _local_second(change: Change, year: int) -> int:
    match = _DATE.fullmatch(change.date_form)
    assert match is not None, "parse_rule checked the form"
    days = _ordinal(match, year) - _EPOCH_ORDINAL
    return days * DAY_S + change.seconds


def _ordinal(match: re.Match[str], year: int) -> int:
    if match["month"]:
        return _nth_weekday(year, int(match["month"]), int(match["week"]), int(match["weekday"]))
    new_year = date(year, 1, 1).toordinal()
    if match["julian"]:
        julian = int(match["julian"])
        return new_year + julian - 1 + int(calendar.isleap(year) and julian >= 60)
    return new_year + int(match["day"])


def _nth_weekday(year: int, month: int, week: int, weekday: int) -> int:
    first = date(year, month, 1)
    ordinal = first.toordinal() + (weekday - first.isoweekday()) % 7 + 7 * (week - 1)
    last = first.toordinal() + calendar.monthrange(year, month)[1] - 1
    return ordinal if ordinal <= last else ordinal - 7


def _refuse(found: str, where: str) -> InputError:
    return InputError(
        "5B.CIVIL_TIME.POSIX_RULE",
        "footer is not a POSIX TZ rule",
        where=where,
        expected="for example CET-1CEST,M3.5.0,M10.5.0/3",
        found=repr(found),
        next_step="reinstall the pinned tzdata package",
    )
