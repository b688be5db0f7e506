"""Attaching a scheme to a Hugging Face model and taking it off again."""

from __future__ import annotations

from bapa.models.api import balance, balanced, from_pretrained, positions, restore, scheme_of
from bapa.models.load import Loaded, load

__all__ = ["Loaded", "balance", "balanced", "from_pretrained", "load", "positions", "restore", "scheme_of"]
