"""The command line: one thin file per verb. They read options, call the room that does the work, print its result."""

from __future__ import annotations

from bapa.cli.app import main

__all__ = ["main"]
