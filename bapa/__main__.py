"""``python -m bapa`` is ``bapa``."""

from bapa.cli import main

main()
