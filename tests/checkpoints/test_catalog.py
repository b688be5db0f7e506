"""``bapa doctor --all`` and ``--verify``: what configs tell, and records of real weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from peft import LoraConfig, get_peft_model
from typer.testing import CliRunner

from bapa import reference
from bapa.checkpoints import Loaded, catalog, load
from bapa.checkpoints.adapter import Base, save_adapter
from bapa.checkpoints.examine import shown
from bapa.checkpoints.options import LoadOptions
from bapa.checkpoints.verify import verify
from bapa.checkpoints.weights import of_checkpoint
from bapa.cli.app import app
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


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ImportError("\nTimmWrapperModel requires the timm library but\nit was not found."), "the timm library"),
        (KeyError("rope_type"), "KeyError 'rope_type'"),
        (RuntimeError(""), "RuntimeError"),
    ],
)
def test_a_class_that_cannot_be_built_is_a_row(
    folder: Path, error: Exception, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(config: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr("transformers.AutoModelForImageTextToText.from_config", fails)
        told = catalog.read("org/llava", str(folder / "org" / "llava"))
    assert (told.family, told.model) == ("llava", "")
    assert told.reason.startswith("its class cannot be built: ")
    assert says in told.reason
    assert "\n" not in told.reason
    with monkeypatch.context() as patched:
        patched.setattr("transformers.AutoModelForImageTextToText.from_config", fails)
        printed = CliRunner().invoke(app, ["doctor", str(folder), "--all"])
    assert printed.exit_code == 0, printed.output
    assert "org/qwen3_5" in printed.output


def test_a_tower_that_tells_no_layers_is_a_row(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    told = {"model_type": "timm_wrapper", "architecture": "resnet18", "do_pooling": True, "num_classes": 2}
    (tmp_path / "config.json").write_text(json.dumps(told))
    found = catalog.read("tower", str(tmp_path))
    assert (found.model, found.layers) == ("TimmWrapperModel", 0)
    assert found.reason
    del told["num_classes"]
    (tmp_path / "config.json").write_text(json.dumps(told))
    assert "config cannot be read" in catalog.read("tower", str(tmp_path)).reason


def only(folder: Path) -> Path:
    (path,) = folder.glob("*.json")
    return path


def saved(folder: Path) -> str:
    """A model of one's own whose weights can be changed."""
    return str(shutil.copytree(reference.path("places"), folder))


def retrain(folder: str) -> None:
    path = Path(folder) / "model.safetensors"
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1  # the sign or the exponent of one weight, whose size stays small
    path.write_bytes(bytes(whole))


def test_a_dated_record_is_kept(tmp_path: Path) -> None:
    (said,) = verify(["reference:places"], tmp_path, memory=1)
    assert said[1].startswith("4 of 4 checks hold")
    path = only(tmp_path)
    record = json.loads(path.read_text())
    assert path.name.startswith("reference-places-")
    assert len(record["date"]) == len("2026-01-31")
    assert record["dtype"] == "float32"
    assert record["asked"] == {"dtype": "float32"}
    assert record["checks"]["one position for the picture"]["tokens"] > 1
    path.write_text(json.dumps({**record, "date": "2001-01-01"}))
    for dtype in (None, "fp32"):
        (again,) = verify(["reference:places"], tmp_path, loading={"dtype": dtype})
        assert "on 2001-01-01" in again[1]  # nothing was run


@pytest.mark.parametrize(
    "loading",
    [{"dtype": "bfloat16"}, {"dtype": "float64"}, {"options": LoadOptions(attention="eager")}],
    ids=["bfloat16", "float64", "eager"],
)
def test_a_record_is_of_one_dtype_and_one_way_to_load(tmp_path: Path, loading: dict[str, Any]) -> None:
    list(verify(["reference:places"], tmp_path))
    first = only(tmp_path)
    before = first.read_bytes()
    (said,) = verify(["reference:places"], tmp_path, loading=loading)
    assert " (on " not in said[1]
    assert first.read_bytes() == before
    assert len(list(tmp_path.glob("*.json"))) == 2
    (said,) = verify(["reference:places"], tmp_path, loading=loading)
    assert " (on " in said[1]


def test_new_weights_in_the_same_folder_are_checked(tmp_path: Path) -> None:
    name = saved(tmp_path / "model")
    list(verify([name], tmp_path / "records"))
    (said,) = verify([name], tmp_path / "records")
    assert " (on " in said[1]
    retrain(name)
    (said,) = verify([name], tmp_path / "records")
    assert " (on " not in said[1]
    assert len(list((tmp_path / "records").glob("*.json"))) == 2


def test_an_adapter_goes_with_its_base(tmp_path: Path) -> None:
    base = load(saved(tmp_path / "base"))
    folder = tmp_path / "adapter"
    tuned = get_peft_model(base.model, LoraConfig(r=2, target_modules=["q_proj"]))
    save_adapter(tuned, folder, base=Base(base.name, of_checkpoint(base.fingerprint)))
    assert len(list(verify([str(folder)], tmp_path))) == 1
    (said,) = verify([str(folder)], tmp_path)
    assert " (on " in said[1]
    retrain(base.name)
    (said,) = verify([str(folder)], tmp_path)
    assert "another model than" in said[1]


def test_names_that_read_alike_have_records_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("a/b-c", "a-b/c", f"a/{'b' * 200}/{'c' * 200}")  # the last is too long for the name of a file
    for name in names:
        saved(Path(name))
        (said,) = verify([name], Path("records"))
        assert " (on " not in said[1]
    assert {json.loads(path.read_text())["model"] for path in Path("records").iterdir()} == set(names)


@pytest.mark.parametrize(
    ("change", "kept"),
    [({}, True), ({"model": "reference/places"}, False), ({"dtype": "bfloat16"}, False), ({"fingerprint": "0"}, False)],
)
def test_records_of_earlier_releases_are_found(tmp_path: Path, change: dict[str, str], kept: bool) -> None:
    list(verify(["reference:places"], tmp_path))
    record = json.loads(only(tmp_path).read_text())
    only(tmp_path).unlink()
    record = {**record, "date": "2001-01-01", **change}
    del record["asked"]
    (tmp_path / "reference-places.json").write_text(json.dumps(record))
    (said,) = verify(["reference:places"], tmp_path)
    assert ("on 2001-01-01" in said[1]) is kept
    (said,) = verify(["reference:places"], tmp_path, loading={"options": LoadOptions(attention="eager")})
    assert " (on " not in said[1]  # they do not tell how a model was loaded


def test_what_is_no_record_does_not_end_the_others(tmp_path: Path) -> None:
    (tmp_path / "reference-places.json").write_text("[]")
    first, second = verify(["reference:places", "reference:bottom"], tmp_path)
    assert "not a JSON object; move it away" in first[1]
    assert "checks hold" in second[1]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda logits: logits.fill_(float("nan")), "logits overflow; another --dtype"),
        (lambda logits: logits.fill_(float("inf")), "logits overflow; another --dtype"),
        (lambda logits: logits.fill_(1.0), "all logits are the same"),
    ],
    ids=["nan", "inf", "alike"],
)
def test_logits_that_tell_nothing_fail_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[torch.Tensor], torch.Tensor], says: str
) -> None:
    """The record is written, the models behind it are checked, and the exit code tells."""

    def spoiled(loaded: Loaded) -> Any:
        if loaded.name == "reference:places":
            head = cast("Any", loaded.model).get_output_embeddings()
            head.register_forward_hook(lambda module, given, made: spoil(made.clone()))
        return shown(loaded)

    monkeypatch.setattr("bapa.checkpoints.examine.shown", spoiled)
    first, second = verify(["reference:places", "reference:bottom"], tmp_path)
    assert first[1].startswith(f"FAILED: cached equals recomputed ({says}")
    assert "restored" not in first[1]
    assert "4 of 4 checks hold" in second[1]
    (path,) = tmp_path.glob("reference-places*.json")
    found = json.loads(path.read_text())["checks"]["cached equals recomputed"]
    assert (found["held"], found["apart"]) == (False, None)
    ended = CliRunner().invoke(app, ["doctor", "reference:places", "--verify", str(tmp_path)])
    assert ended.exit_code == 1
    assert says in ended.output


def test_the_checks_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bapa.attach.balanced", lambda model, scheme: nullcontext(model))
    (said,) = verify(["reference:places"], tmp_path)
    assert said[1].startswith("FAILED: one position for the picture")


def test_what_is_too_large_is_left_alone(tmp_path: Path) -> None:
    told = dict(verify(["reference:places", str(tmp_path / "nothing")], tmp_path, memory=1e-6))
    assert told["reference:places"].startswith("left alone: ")
    assert told[str(tmp_path / "nothing")].startswith("not checked: ")
    assert not list(tmp_path.glob("*.json"))
