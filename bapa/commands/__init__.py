"""Verbs of the command line that need more than a few lines, one file each; :mod:`bapa.cli` registers them.

They hold no logic: they read options, call the room that does the work and print what it returns.
"""

from __future__ import annotations

from rich.console import Console

__all__ = ["err", "out"]

out = Console(emoji=False)  # reference:top: is no emoji
err = Console(stderr=True, emoji=False)
