"""The library's version; `pyproject.toml` and everything that records it read it here."""

__version__ = "0.1.0"
