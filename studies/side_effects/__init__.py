"""What even answers cost: rows, reading order and numbers under every rule, for docs/studies/calibration.md."""
