"""Fixtures of the room that measures, used here too."""

from tests.measure.conftest import model_path, probe, tiny  # noqa: F401
