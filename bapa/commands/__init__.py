"""Verbs of the command line that need more than a few lines, one file each; :mod:`bapa.cli` registers them.

They hold no logic: they read options, call the room that does the work and print what it returns.
"""

from __future__ import annotations

import os

from rich.console import Console

__all__ = ["err", "out"]

_MAIN = os.environ.get("RANK", "0") == "0"  # set by accelerate launch and torchrun: only one process reports
if not _MAIN:
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
out = Console(emoji=False, quiet=not _MAIN)  # reference:top: is no emoji
err = Console(stderr=True, emoji=False)
