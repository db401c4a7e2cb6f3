"""Phases: evidence in, a computed definition of done, one decision, artefacts that are never overwritten."""
