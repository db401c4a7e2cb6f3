"""Calibration: what a run will measure before it is run, and which policy brings the gates into their bands."""
