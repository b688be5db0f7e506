"""The explorer: place a picture, ask, and watch native and balanced answers side by side (``bapa explore``)."""
