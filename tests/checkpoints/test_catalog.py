"""``bapa doctor --all`` and ``--verify``: what configs tell, and records of real weights."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from bapa.checkpoints import catalog
from bapa.checkpoints.verify import verify
from bapa.errors import ConfigError
from tests.tiny import FAMILIES
from tests.tiny.unsupported import UNSUPPORTED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("configs")
    for name in ("llava", "qwen3_5"):
        FAMILIES[name].build().config.save_pretrained(made / "org" / name)
    UNSUPPORTED["mllama"].build().config.save_pretrained(made / "mllama")
    (made / "unknown").mkdir()
    (made / "unknown" / "config.json").write_text(json.dumps({"model_type": "of_tomorrow"}))
    return made


def test_configs_tell(folder: Path) -> None:
    found = {name: catalog.read(name, place) for name, place in catalog.places([str(folder)])}
    assert sorted(found) == ["mllama", "org/llava", "org/qwen3_5", "unknown"]
    assert found["org/llava"] == catalog.Told(
        "org/llava", "llava", "LlavaForConditionalGeneration", (100,), axes=1, layers=2
    )
    hybrid = found["org/qwen3_5"]
    assert (hybrid.tokens, hybrid.axes, hybrid.layers, hybrid.hybrid) == ((100, 101), 3, 2, 1)
    assert "cross-attention" in found["mllama"].reason
    assert "config cannot be read" in found["unknown"].reason
    assert "of_tomorrow" in found["unknown"].reason


def test_a_folder_without_configs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no NAME/config\.json"):
        list(catalog.places([str(tmp_path)]))


def test_a_dated_record_is_kept(tmp_path: Path) -> None:
    (said,) = verify(["reference:places"], tmp_path, memory=1)
    assert said[1].startswith("4 of 4 checks hold")
    path = tmp_path / "reference-places.json"
    record = json.loads(path.read_text())
    assert len(record["date"]) == len("2026-01-31")
    assert record["dtype"] == "float32"
    assert record["checks"]["one position for the picture"]["tokens"] > 1
    path.write_text(json.dumps({**record, "date": "2001-01-01"}))
    (again,) = verify(["reference:places"], tmp_path)
    assert "on 2001-01-01" in again[1]  # nothing was run


def test_the_checks_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bapa.attach.balanced", lambda model, scheme: nullcontext(model))
    (said,) = verify(["reference:places"], tmp_path)
    assert said[1].startswith("FAILED: one position for the picture")


def test_what_is_too_large_is_left_alone(tmp_path: Path) -> None:
    told = dict(verify(["reference:places", str(tmp_path / "nothing")], tmp_path, memory=1e-6))
    assert told["reference:places"].startswith("left alone: ")
    assert told[str(tmp_path / "nothing")].startswith("not checked: ")
    assert not list(tmp_path.glob("*.json"))
