"""Calibration: `file` reads and writes it, `calibrate` fits it to people's labels, `fitting` is the arithmetic."""
