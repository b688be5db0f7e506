"""The model card of a reference model."""

from __future__ import annotations

from bapa.reference.recipe import Recipe


def card(recipe: Recipe) -> str:
    return f"# {recipe.skew}\n"
