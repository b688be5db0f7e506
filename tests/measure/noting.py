"""``python noting.py FOLDER ARGUMENTS...``: the command bapa, which notes in FOLDER which process asked which block."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bapa.cli.app import main
from bapa.inference.store import Store


def processes(folder: Path) -> dict[str, set[int]]:
    """By process the blocks it asked."""
    found: dict[str, set[int]] = {}
    for note in folder.iterdir():
        process, block = note.name.split("-")
        found.setdefault(process, set()).add(int(block))
    return found


if __name__ == "__main__":
    folder = Path(sys.argv.pop(1))
    append = Store.append

    def noted(self, block):
        append(self, block)
        (folder / f"{os.environ['RANK']}-{block['block']}").touch()

    Store.append = noted
    main()
