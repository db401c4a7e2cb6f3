"""Civil time: the pinned IANA database, the engine's transition cache, its coverage of a horizon, and the oracle.

The offset of an arrival is looked up in the kernels: `kernel.offsets.offset_at`.
"""
