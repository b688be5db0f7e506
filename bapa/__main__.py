"""``python -m bapa`` is ``bapa``."""

from bapa.cli.app import main

main()
