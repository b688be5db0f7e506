"""Balanced models in tools that people already use; each needs its tool installed, and imports it when used."""
