"""Passes over a run's data that gates measure from: one module per pass, each evaluated once per scorecard."""
