"""The library's version; read by `pyproject.toml` and by all records."""

__version__ = "0.1.0"
