"""The builder's random numbers: one generator per part and thing, so that nothing depends on order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from segment5b_lib.arrays import F64, I64, U64
from segment5b_lib.identity import canonical_json, sha256_hex

Ids = U64


class Randomness:
    """Source of the builder's generators: SHA-256 of (world seed, part, domain) is the key of a Philox."""

    def __init__(self, world_seed: int) -> None:
        self.world_seed = world_seed

    def generator(self, part: str, *domain: int | str) -> np.random.Generator:
        """Generator of one part of the world, e.g. ``generator("edges", merchant_id)``."""
        name = canonical_json(["5B.world.v1", self.world_seed, part, *domain])
        return np.random.Generator(np.random.Philox(key=int(sha256_hex(name)[:32], 16)))

    def uniforms(self, part: str, ids: Ids, counts: I64) -> F64:
        """`counts[i]` uniforms of [0, 1) for each thing `ids[i]`, one after the other."""
        return self._drawn(part, ids, counts, lambda generator, n: generator.random(n))

    def normals(self, part: str, ids: Ids, counts: I64) -> F64:
        """`counts[i]` standard normals for each thing `ids[i]`, one after the other."""
        return self._drawn(part, ids, counts, lambda generator, n: generator.standard_normal(n))

    def _drawn(self, part: str, ids: Ids, counts: I64, draw: Callable[[np.random.Generator, int], F64]) -> F64:
        drawn = [draw(self.generator(part, i), n) for i, n in zip(ids.tolist(), counts.tolist(), strict=True)]
        return np.concatenate([np.empty(0), *drawn])
