"""Names and places in one light tuning, natively and under a shared position."""
