"""Models that read places from their image tokens, asked under a shared position."""
