"""The recipe of the reference models: ``python -m studies.reference train`` and ``... data``."""
