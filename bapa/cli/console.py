"""What every verb prints to: one process of a parallel run reports, the others stay quiet."""

from __future__ import annotations

import os
import sys

from rich.console import Console

__all__ = ["MAIN", "err", "out"]

MAIN = os.environ.get("RANK", "0") == "0"  # set by accelerate launch and torchrun: only one process reports
if not MAIN:
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
for stream in (sys.stdout, sys.stderr):  # a console that lacks a character shows another, and nothing is lost
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")
out = Console(emoji=False, quiet=not MAIN)  # reference:top: is no emoji
err = Console(stderr=True, emoji=False)
