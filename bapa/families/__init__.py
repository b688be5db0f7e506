"""Facts per model family, found by structure: rotary modules, image tokens, what one image is, tiles, alignment."""
