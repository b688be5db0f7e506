"""Putting a scheme's effects on a running model and taking them off again."""

from __future__ import annotations

from bapa.attach.api import balance, balanced, positions, restore, scheme_of

__all__ = ["balance", "balanced", "positions", "restore", "scheme_of"]
