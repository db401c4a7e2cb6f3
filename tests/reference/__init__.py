"""Plain-Python references: no numba, no arrays, nothing from the library."""
