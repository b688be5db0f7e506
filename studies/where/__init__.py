"""Which pairs, layers and channels carry evenness, and which the sense of place."""
