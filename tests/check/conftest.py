"""Fixtures of the room that measures, used here too; and audits of few canvases, as they take half of a small check."""

from collections.abc import Iterator

import pytest

from bapa.measure import measure
from tests.measure.conftest import model_path, probe, tiny  # noqa: F401


@pytest.fixture(scope="package", autouse=True)
def few_audited() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(measure.__kwdefaults__, "audit", 2)
        yield
