"""From answers to figures with their uncertainty. No torch."""

from __future__ import annotations

from bapa.stats.bias import Settings

__all__ = ["Settings"]
