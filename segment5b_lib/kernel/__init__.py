"""Numeric kernels: arrays, keys and counters in, arrays out; no files, no policies, no clock."""
