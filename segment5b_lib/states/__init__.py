"""The six states. Each module: load, compute, validate, write."""
