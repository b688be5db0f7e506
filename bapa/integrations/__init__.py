"""Balanced models where people already work: thin edges to other tools, each imported only when that tool asks."""
