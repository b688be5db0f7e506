"""Slot bias of a planted size, in every kind of slots: what a run measures of it, and what its report says."""
