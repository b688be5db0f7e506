"""Models on disk and on the hub: loading, adapters, export."""

from __future__ import annotations

from bapa.checkpoints.load import Loaded, from_pretrained, load

__all__ = ["Loaded", "from_pretrained", "load"]
