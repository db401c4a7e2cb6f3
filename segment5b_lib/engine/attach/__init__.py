"""Attach a run root that the data engine or an older version wrote, and read it like a run of ours."""
