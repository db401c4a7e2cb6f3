"""P5's prune: a receipt that is older than the certificate, or of a prune that was interrupted, is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segment5b_lib.contract.words import ItemStatus
from segment5b_lib.engine.retention import prune
from segment5b_lib.phases import p5

CERTIFICATE = {"created_utc": "2026-01-01T00:00:00.000000Z"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, ""),
        ({"created_utc": "2025-12-31T00:00:00.000000Z"}, "no prune since the certificate"),
        ({"finished_utc": None}, "interrupted"),
    ],
)
def test_only_a_finished_prune_after_the_certificate_counts(
    private_outputs: Path, changes: dict[str, str | None], says: str
) -> None:
    receipt = prune([])
    receipt.write_text(json.dumps({**json.loads(receipt.read_text()), **changes}))
    found = p5.pruned_since(receipt, CERTIFICATE)
    assert found.status is (ItemStatus.RED if says else ItemStatus.GREEN) and says in found.evidence


def test_without_any_prune_it_does_not_freeze(private_outputs: Path) -> None:
    assert p5.pruned_since(None, CERTIFICATE).status is ItemStatus.RED
