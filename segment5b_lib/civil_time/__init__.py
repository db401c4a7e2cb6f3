"""Civil time: the pinned IANA database, the engine's transition cache, its coverage of a horizon, and the oracle."""
