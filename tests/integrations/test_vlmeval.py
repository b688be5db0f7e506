"""The registrar, against a stand-in of VLMEvalKit's documented shape: the real one is not on the package index."""

from __future__ import annotations

import sys
from functools import partial
from types import ModuleType
from typing import Any

import pytest

import bapa
from bapa.errors import ConfigError, IntegrationError, NotBalancedError
from bapa.integrations.vlmeval import register
from tests.attach.checks import TWO_IMAGES, logits, same
from tests.tiny import FAMILIES
from tests.tiny.unsupported import UNSUPPORTED


class Wrapper:
    """As VLMEvalKit writes them: the model and what goes with it are attributes."""

    def __init__(self, build: Any, **kwargs: Any) -> None:
        self.model = build()
        self.kwargs = kwargs

    def generate_inner(self, message: Any, dataset: str | None = None) -> Any:
        return logits(self.model, message)


@pytest.fixture
def supported(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    config = ModuleType("vlmeval.config")
    config.supported_VLM = {  # type: ignore[attr-defined]
        "llava": partial(Wrapper, FAMILIES["llava"].build, max_new_tokens=4),
        "mllama": partial(Wrapper, UNSUPPORTED["mllama"].build),
        "api": partial(Wrapper, dict),
    }
    monkeypatch.setitem(sys.modules, "vlmeval", ModuleType("vlmeval"))
    monkeypatch.setitem(sys.modules, "vlmeval.config", config)
    return config.supported_VLM


def test_a_balanced_model_stands_beside_its_native_one(supported: dict[str, Any]) -> None:
    assert register("bapa:distance=native", ["llava"]) == ["llava-bapa-distance-native"]
    native, balanced = supported["llava"](), supported["llava-bapa-distance-native"]()
    inputs = FAMILIES["llava"].inputs(TWO_IMAGES)
    wanted = logits(bapa.balance(FAMILIES["llava"].build(), "bapa", distance="native"), inputs)
    same(balanced.generate_inner(inputs), wanted)
    assert not wanted.equal(native.generate_inner(inputs))
    assert balanced.kwargs == {"max_new_tokens": 4}
    assert supported["llava-bapa-distance-native"](verbose=True).kwargs["verbose"]


def test_what_cannot_be_balanced_says_so(supported: dict[str, Any]) -> None:
    assert register() == ["llava-bapa", "mllama-bapa", "api-bapa"]
    with pytest.raises(NotBalancedError, match="cross-attention"):
        supported["mllama-bapa"]()
    with pytest.raises(NotBalancedError, match="no torch module"):
        supported["api-bapa"]()
    with pytest.raises(ConfigError, match="lava"):
        register("bapa", ["lava"])


def test_without_vlmevalkit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vlmeval.config", None)
    with pytest.raises(IntegrationError, match="not installed"):
        register()
