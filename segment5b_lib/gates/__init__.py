"""Gates: what is measured about a run, by full scan, and what the measurement means."""
