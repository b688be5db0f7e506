"""Every rule before and after the same short tuning: the figures of docs/studies/tuning.md."""
