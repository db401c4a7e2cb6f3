"""What 2B writes: site weights, their alias tables, and the zone weights of every day."""

from __future__ import annotations

import numpy as np

from segment5b_lib.identity import canonical_json, sha256_hex
from segment5b_lib.kernel.alias import build_alias_slices
from segment5b_lib.store.alias_blob import ALIGNMENT, PROBABILITY_BITS, encode_slices
from segment5b_lib.world.plan import Plan
from segment5b_lib.world.sites import QUANTISED_BITS
from segment5b_lib.world.stage import Stage, named, site_key


def write_2b(plan: Plan, stage: Stage) -> None:
    """2B: site weights, their alias tables, and the zone weights of every day."""
    weights, merchants, knob = plan.site_weights, plan.merchants, plan.spec.upstream.s2B
    stage.table(
        "s1_site_weights",
        {
            **site_key(plan),
            "p_weight": weights.weight,
            "weight_source": np.full(len(weights.weight), "cell_demand"),
            "quantised_bits": np.full(len(weights.weight), QUANTISED_BITS),
            "floor_applied": weights.floored,
        },
    )
    prob_q, alias = build_alias_slices(weights.weight, weights.starts)
    blob, slices = encode_slices(prob_q, alias, weights.starts)
    stage.file("s2_alias_blob").write_bytes(blob)
    index = {
        "layout": "alias-slices-v1",
        "endianness": "little",
        "alignment_bytes": ALIGNMENT,
        "prob_bits": PROBABILITY_BITS,
        "quantised_bits": QUANTISED_BITS,
        "blob_sha256": sha256_hex(blob),
        "blob_size_bytes": len(blob),
        "merchants": [
            {"merchant_id": int(m), "offset": s.offset, "length": s.length, "sites": s.rows, "checksum": s.checksum}
            for m, s in zip(merchants.ids, slices, strict=True)
        ],
    }
    stage.file("s2_alias_index").write_bytes(canonical_json(index) + b"\n")
    _write_group_weights(plan, stage)
    stage.config("2B", knob.model_dump(mode="json"))
    stage.member("2B", "summary.json", {"sites": len(weights.weight), "floored": int(weights.floored.sum())})


def _write_group_weights(plan: Plan, stage: Stage) -> None:
    """Rows by (merchant, day, zone), from arrays by (merchant, zone, day)."""
    groups, days = plan.group_weights, plan.spec.horizon.utc_days
    rows, day = np.divmod(np.arange(groups.p_group.size), len(days))
    order = np.lexsort((rows, day, groups.merchant[rows]))
    rows, day = rows[order], day[order]
    stage.table(
        "s4_group_weights",
        {
            "merchant_id": plan.merchants.ids[groups.merchant[rows]],
            "utc_day": named(tuple(days), day),
            "tz_group_id": named(groups.tzid, rows),
            "p_group": groups.p_group[rows, day],
            "base_share": groups.base_share[rows],
            "gamma": groups.gamma[rows, day],
        },
    )
