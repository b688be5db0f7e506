"""A small probe, and the reference model's architecture with random weights."""

from tests.measure.conftest import model_path, probe, tiny  # noqa: F401
