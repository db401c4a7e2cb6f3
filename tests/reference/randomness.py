"""The random number law of the segment in plain Python integers (states §RNG law)."""

import hashlib
import math

MASK = 2**64 - 1


def philox2x64(low, high, key):
    """Philox2x64-10 on Python's unbounded integers."""
    for _ in range(10):
        product = 0xD2B74407B1CE6E93 * low
        low, high = (product >> 64) ^ key ^ high, product & MASK
        key = (key + 0x9E3779B97F4A7C15) & MASK
    return low, high


def uniform(word):
    """Strictly inside (0, 1): 52 bits, half a step from either end."""
    return ((word >> 12) + 0.5) * 2.0**-52


def stream_key(family, rng_root, seed, scenario_id, *domain):
    """First 8 bytes of SHA-256 over length-prefixed fields."""
    fields = [
        b"5B.rng.v2",
        family.encode(),
        rng_root.encode(),
        seed.to_bytes(8, "little"),
        scenario_id.encode(),
    ]
    fields += [str(part).encode() for part in domain]
    text = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")


def normal(key, bucket):
    """Box-Muller on both lanes of block (bucket, 0)."""
    u0, u1 = (uniform(word) for word in philox2x64(bucket, 0, key))
    return math.sqrt(-2 * math.log(u0)) * math.cos(2 * math.pi * u1)
