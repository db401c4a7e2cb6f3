"""Runs states: the chain, the rerun matrix, run records, retention."""
