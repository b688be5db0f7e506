"""Which distance suits which model: the figures of docs/studies/calibration.md."""
