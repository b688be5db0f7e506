"""Which distance suits which model: the figures of docs/calibration.md."""
