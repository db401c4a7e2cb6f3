"""Segment 5B workbench: find a defect in a realised arrival stream, prove its cause, fix it, certify it."""

__version__ = "0.1.0"
