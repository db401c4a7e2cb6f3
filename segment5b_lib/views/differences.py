"""Settings that differ between runs: policy keys, worlds, seeds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from segment5b_lib.contract.policies import POLICIES
from segment5b_lib.store.runs import Run


def run_label(run: Run) -> str:
    """Label of a run in comparisons: posture, start of the id, seed."""
    return f"{run.receipt.posture} {run.run_id[:8]} seed {run.receipt.seed}"


def policy_differences(runs: Sequence[Run]) -> pl.DataFrame:
    """Every policy key whose value differs between the runs.

    Returns `key` (policy's short name and path, dotted) and one column per run (`run_label`): the value as JSON,
    null if the run lacks the key.

    Example: `views.policy_differences([run.store for run in comparison.runs])`
    """
    documents = {run_label(run): {name: run.policies.document(name) for name in POLICIES} for run in runs}
    return _where_different({label: dict(_leaves(document)) for label, document in documents.items()}, "key")


def world_differences(runs: Sequence[Run]) -> pl.DataFrame:
    """Other differences: `about` (seed, world, scale, reopened segments, scenarios, library) and a column per run.

    Example: `views.world_differences([run.store for run in comparison.runs])`
    """
    return _where_different({run_label(run): _origin(run) for run in runs}, "about")


def _origin(run: Run) -> dict[str, str]:
    reopened = [
        f"{link['segment']}: {', '.join(f'{key}={value}' for key, value in link['changes'].items())} ({link['reason']})"
        for link in run.world.document["parents"]
    ]
    return {
        "seed": str(run.receipt.seed),
        "world": run.world.mf,
        "scale": run.world.scale,
        "reopened segments": "; ".join(reopened) or "none",
        "scenarios": ", ".join(run.scenarios),
        "library": run.receipt.library_version,
    }


def _leaves(node: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value, ensure_ascii=False)


def _where_different(columns: Mapping[str, Mapping[str, str]], name: str) -> pl.DataFrame:
    keys = dict.fromkeys(key for column in columns.values() for key in column)
    by_key = {key: [column.get(key) for column in columns.values()] for key in keys}
    rows = [(key, *values) for key, values in by_key.items() if len(set(values)) > 1]
    return pl.DataFrame(rows, schema=dict.fromkeys((name, *columns), pl.String), orient="row")
