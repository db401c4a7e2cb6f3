"""What is replaced before an output is digested: clocks, memory, threads, machine, versions, and what is measured live.

Each pattern spells out the form of what it replaces, so that it can take nothing else away. A mask that no output needs
fails a test.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Final

_NUMBER: Final = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_INSTANT: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
_VERSION: Final = r"\d+\.\d+\.\d+"
_PERCENT: Final = r"[+-]\d+\.\d+%"
_OVERHEAD: Final = (
    rf"{_PERCENT}, 95 % interval {_PERCENT} to {_PERCENT}, \d+ pairs"
    r"(?:; budgets are pinned to the authority scale, and this world is tiny)?"
)
_STATUS: Final = "(?:green|not_applicable)"
_PLAIN, _QUOTED = "MASKED", '"MASKED"'
_LIVE: Final = "POPT.4 measures what reporting costs live, until its interval decides"


@dataclass(frozen=True)
class Mask:
    """Files by name, as `digests` spells it; a pattern that replaces what lies between its groups; the reason."""

    files: tuple[str, ...]
    pattern: str
    reason: str

    def applied(self, text: str) -> tuple[str, int]:
        """The text without what this mask replaces, and how often it replaced something."""
        return re.subn(self.pattern, _kept_around, text)


def _kept_around(match: re.Match[str]) -> str:
    """What a value of a JSON document is replaced by is one too."""
    before, *others = match.groups()
    return before + "".join((_QUOTED if before.rstrip(" ").endswith('":') else _PLAIN) + other for other in others)


_RECEIPT, _RECORDS, _LOG, _AUDIT = "runs/*/run_receipt.json", "runs/*.jsonl", "runs/*.log", "runs/*/rng_audit.jsonl"
_REPORTS, _PRINTED, _POPT4 = "reports/*", "printed/*", "reports/*popt4_*"

MASKS: Final = (
    Mask((_RECEIPT, _REPORTS, _PRINTED), rf'("created_utc": ?"){_INSTANT}(")', "when a run or an artefact was made"),
    Mask((_REPORTS, _PRINTED), rf'("measured_utc": ?"){_INSTANT}(")', "when a scorecard was measured"),
    Mask((_RECORDS,), rf'("(?:started|finished)_at_utc": "){_INSTANT}(")', "when a state ran"),
    Mask((_LOG,), rf"(?m)(^){_INSTANT}( )", "when a state ran"),
    Mask((_REPORTS,), rf"(?m)^(\*\*\w[\w.]*\*\* · attempt \d+ · ){_INSTANT}($)", "when a page was written"),
    Mask((_REPORTS, _RECORDS), r"(utc_day=)\d{4}-\d\d-\d\d()", "the day of the run records that were read"),
    Mask((_RECORDS,), rf'("(?:wall|cpu)_ms": ){_NUMBER}()', "how long states and steps took"),
    Mask((_LOG,), r"( )\d+( ms)", "how long states and steps took"),
    Mask((_PRINTED,), r"(?m)^(S\d \w+ (?:[\w.]+ )?)\d+\.\d+( s, )", "how long states took"),
    Mask((_RECORDS,), r'("peak_rss_bytes": )\d+()', "memory"),
    Mask((_RECORDS, _REPORTS, _PRINTED), r'("threads": ?)\d+()', "threads, also those of A6's replay"),
    Mask((_REPORTS,), r"(\| threads \| )\d+( \|)", "threads"),
    Mask((_RECORDS,), r'("machine": )\{"system": "\w+", "architecture": "\w+", "cpus": \d+\}()', "the machine"),
    Mask((_RECEIPT, _REPORTS, _PRINTED, "worlds/*/world.json"), rf'("library_version": ?"){_VERSION}(")', "version"),
    Mask((_AUDIT,), rf'("library_version": "){_VERSION}(")', "version"),
    Mask((_AUDIT,), r'("build": )\{"numba": "[\w.]+", "numpy": "[\w.]+", "python": "[\w.]+"\}()', "versions"),
    Mask((_REPORTS,), rf"(\blibrary (?:\| )?){_VERSION}\b()", "version"),
    Mask((_REPORTS, _PRINTED), r'("content_digest": ?")[0-9a-f]{64}(")', "digest of clocks, code and versions"),
    Mask(
        (_POPT4,),
        rf'("overhead":)\{{"high":{_NUMBER},"limit":0\.02,"low":{_NUMBER},"mean":{_NUMBER},"pairs":\d+,'
        r'"verdict":"(?:below|above|undecided)"\}()',
        _LIVE,
    ),
    Mask((_POPT4,), r'("pairs":)\[[^\]]*\]()', _LIVE),
    Mask((_POPT4,), rf'("name":"overhead(?:, low|, high)?","population":)\d+(,[^{{}}]*"value":){_NUMBER}()', _LIVE),
    Mask((_POPT4,), rf'("evidence":"){_OVERHEAD}(","id":"POPT\.4\.2","status":"){_STATUS}(")', _LIVE),
    Mask((_POPT4,), rf"(\| POPT\.4\.2 \| ){_STATUS}( \| [^|]* \| ){_OVERHEAD}( \|)", _LIVE),
    Mask((_POPT4,), rf'("POPT\.4\.2": "){_STATUS}(")', _LIVE),
    Mask((_POPT4,), r'("replays":|S5 2 times, S4 |complete in )\d+(,"| times| replays)', _LIVE),
    Mask(
        (_POPT4,),
        r"(\| pair \| quiet \| reporting \| overhead \|\n\| --- \| --- \| --- \| --- \|\n)(?:\|.*\n)+()",
        _LIVE,
    ),
)
"""In the order in which they are applied. Times in phase artefacts stay: they come from planted step records."""


def masked(name: str, text: str, counts: dict[Mask, int]) -> str:
    """An output's text without what the masks replace; counts how often each mask did."""
    for mask in MASKS:
        if any(fnmatch(name, files) for files in mask.files):
            text, times = mask.applied(text)
            counts[mask] = counts.get(mask, 0) + times
    return text


def in_order(name: str, text: str) -> str:
    """Run records and logs with their steps in alphabetical order: steps that run side by side end in any order."""
    if name.endswith("/segment_state_runs.jsonl"):
        rows = [json.loads(line) for line in text.splitlines()]
        steps = [sorted(row["steps"], key=lambda step: str(step["name"])) for row in rows]
        return "".join(json.dumps({**row, "steps": found}) + "\n" for row, found in zip(rows, steps, strict=True))
    return "".join(sorted(text.splitlines(keepends=True))) if name.endswith(".log") else text
