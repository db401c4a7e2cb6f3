"""The pure laws of the segment: frames and arrays in and out, no run, no file. States and calibration both use them."""
