"""What cannot be balanced is refused with the reason."""

from __future__ import annotations

import pytest

import bapa
from bapa.errors import UnsupportedModelError
from tests.tiny.unsupported import UNSUPPORTED, Unsupported


@pytest.mark.parametrize("case", UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_refused_with_the_reason(case: Unsupported) -> None:
    model = case.build()
    with pytest.raises(UnsupportedModelError, match=case.reason):
        bapa.balance(model)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
