"""Tuning tiny models: what is trained, under which scheme, and that it can be kept, resumed and shipped."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForImageTextToText

import bapa
from bapa.checkpoints import Loaded, load
from bapa.checkpoints.export import export
from bapa.errors import ConfigError, ModelError, RunError, SchemeError
from bapa.probe import Design, Probe, build
from bapa.report import tuning as report
from bapa.tune import Data, Settings, tune
from bapa.tune.collator import Collator
from bapa.tune.data import FEATURES
from bapa.tune.evaluate import Marker
from bapa.tune.folder import Folder
from tests.tune.processors import NAMES, picture, row, saved

ROWS = [
    row("image", f"w{10 + number}", answer="yes" if number % 3 else "no")
    if number % 4
    else row("w20", "image", f"w{30 + number}", "image", "w22", answer="no")
    for number in range(24)
]
DATA = Data("rows", datasets.Dataset.from_list(ROWS, features=FEATURES), lambda reference: picture(int(reference)))
QUICK = Settings(rate=5e-3, batch=4, save_every=0)


def batch(model: Loaded) -> dict[str, Tensor]:
    collated = Collator(model.processor, DATA.open)([ROWS[0], ROWS[1], row("w40", "w41")])
    return {name: value for name, value in collated.items() if name != "labels"}


@torch.no_grad()
def logits(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    found = model(**inputs).logits
    return found[inputs["attention_mask"].bool()]


@pytest.mark.parametrize("scheme", ["bapa", "calibrated:distance=5,delta=0.3"])
@pytest.mark.parametrize("name", NAMES)
def test_saved_reloaded_merged_and_exported_are_one_model(name: str, scheme: str, tmp_path: Path) -> None:
    model = saved(name, tmp_path / "base")
    inputs = batch(model)
    before = logits(bapa.balance(model.model, scheme), inputs)
    bapa.restore(model.model)
    out = tune(model, DATA, tmp_path / "out", scheme=scheme, settings=QUICK)
    live = logits(model.model.eval(), inputs)
    assert (live - before).abs().max() > 1e-3, "it has learned something"

    reloaded = load(str(out))
    assert bapa.scheme_of(reloaded.model).label == scheme
    export(load(str(out)), tmp_path / "merged")
    export(load(str(out)), tmp_path / "alone", self_contained=True)
    merged = load(str(tmp_path / "merged"))
    assert merged.model.config.bapa["scheme"] == scheme.partition(":")[0]
    alone = AutoModelForImageTextToText.from_pretrained(tmp_path / "alone", trust_remote_code=True).eval()
    for step in (reloaded.model, merged.model, alone):
        torch.testing.assert_close(logits(step, inputs), live, atol=1e-5, rtol=0)


def test_nobody_is_told_of_a_name_that_only_peft_can_change(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    out = tune(saved("llava", tmp_path / "base"), DATA, tmp_path / "out", settings=Settings(steps=1, batch=4))
    load(str(out))
    assert [str(one.message) for one in recwarn if one.category is FutureWarning] == []


def test_only_linear_layers_of_the_language_model_are_adapted(tmp_path: Path) -> None:
    model = saved("llava", tmp_path / "base")
    frozen = {name: weight.clone() for name, weight in model.model.named_parameters()}
    tune(model, DATA, tmp_path / "out", settings=Settings(steps=1, batch=4, save_every=0))
    adapted = {name.partition(".lora_")[0] for name, _ in model.model.named_parameters() if ".lora_" in name}
    linear = {
        name
        for name, part in load(str(tmp_path / "base")).model.named_modules()
        if isinstance(part, torch.nn.Linear) and ".language_model." in f".{name}."
    }
    assert adapted == linear
    for name, weight in model.model.named_parameters():
        if ".lora_" not in name:
            assert torch.equal(weight, frozen[name.replace(".base_layer", "")]), name


def test_full_tuning_leaves_the_encoder(tmp_path: Path) -> None:
    model = saved("llava", tmp_path / "base")
    before = {name: weight.clone() for name, weight in model.model.named_parameters()}
    out = tune(model, DATA, tmp_path / "out", settings=Settings(full=True, steps=2, batch=4, save_every=0))
    moved = {name for name, weight in load(str(out)).model.named_parameters() if not torch.equal(weight, before[name])}
    assert "lm_head.weight" in moved
    assert all("language_model" in name or name == "lm_head.weight" for name in moved)
    assert load(str(out)).model.config.bapa["scheme"] == "bapa"


def test_the_scheme_decides_what_is_learned(tmp_path: Path) -> None:
    losses = {}
    for scheme in ("native", "bapa"):
        out = tune(saved("llava", tmp_path / f"base-{scheme}"), DATA, tmp_path / scheme, scheme=scheme, settings=QUICK)
        losses[scheme] = [entry["loss"] for entry in json.loads((out / "tune.json").read_text())["loss"]]
        assert bapa.scheme_of(load(str(out)).model) == (None if scheme == "native" else bapa.schemes.parse(scheme))
    assert len(losses["bapa"]) == 6
    assert losses["bapa"][0] != losses["native"][0]


class Killed(Exception):
    """Stands for a killed process."""


def test_resumed_equals_uninterrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(rate=5e-3, batch=4, save_every=2)
    whole = tune(saved("llava", tmp_path / "base"), DATA, tmp_path / "whole", settings=settings)

    def die(self: Marker, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        mark(self, args, state, control, **kwargs)
        if state.global_step == 4:
            raise Killed

    mark = Marker.on_save
    monkeypatch.setattr(Marker, "on_save", die)
    with pytest.raises(Killed):
        tune(load(str(tmp_path / "base")), DATA, tmp_path / "cut", settings=settings)
    checkpoint = tmp_path / "cut" / "checkpoints" / "checkpoint-4"
    assert json.loads((checkpoint / "bapa.json").read_text())["scheme"] == "bapa"
    monkeypatch.undo()
    again = tune(load(str(tmp_path / "base")), DATA, tmp_path / "cut", settings=settings)
    one, two = (load(str(folder)) for folder in (whole, again))
    assert one.fingerprint == two.fingerprint
    for name, weight in one.model.state_dict().items():
        assert torch.equal(weight, two.model.state_dict()[name]), name
    first, second = (json.loads((folder / "tune.json").read_text()) for folder in (whole, again))
    assert [entry["loss"] for entry in first["loss"]] == [entry["loss"] for entry in second["loss"]]
    assert tune(load(str(tmp_path / "base")), DATA, whole, settings=settings) == whole, "finished: nothing to do"
    with pytest.raises(RunError, match=r"holds another tuning run \(scheme: bapa there, native now\)"):
        tune(load(str(tmp_path / "base")), DATA, whole, scheme="native", settings=settings)


def test_a_log_file_tells_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bapa.progress.FIRST", -1)
    monkeypatch.setattr("bapa.progress.EVERY", -1)
    tune(saved("llava", tmp_path / "base"), DATA, tmp_path / "out", settings=QUICK)
    told = capsys.readouterr().err
    assert "trying rows: 23 of 24, about" in told
    assert re.search(r"tuning: 5 of 6, loss \d\.\d+, about", told)


def test_a_folder_is_tuned_into_by_one_process(tmp_path: Path) -> None:
    config = {"model": {"name": "m", "fingerprint": "f"}, "scheme": "bapa"}
    with Folder(tmp_path / "out", config) as first:
        assert first.open() is None
        with pytest.raises(RunError, match="another process writes to"):
            Folder(tmp_path / "out", config).open()
    with Folder(tmp_path / "out", {**config, "scheme": "native"}) as corrected:
        assert corrected.open() is None, "nothing was trained yet, so another command may take the folder"


@pytest.mark.parametrize("state", ["", "half"])
def test_a_checkpoint_that_was_cut_off_is_not_gone_on_from(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(rate=5e-3, batch=4, save_every=2)
    whole = tune(saved("llava", tmp_path / "base"), DATA, tmp_path / "whole", settings=settings)

    def die(self: Marker, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 4:
            raise Killed
        mark(self, args, state, control, **kwargs)

    mark = Marker.on_save
    monkeypatch.setattr(Marker, "on_save", die)
    with pytest.raises(Killed):
        tune(load(str(tmp_path / "base")), DATA, tmp_path / "cut", settings=settings)
    monkeypatch.undo()
    cut = tmp_path / "cut" / "checkpoints" / "checkpoint-4"
    for name in ("trainer_state.json", "adapter_model.safetensors"):
        (cut / name).write_bytes((cut / name).read_bytes()[:100] if state else b"")
    (cut / "optimizer.pt").unlink()
    again = tune(load(str(tmp_path / "base")), DATA, tmp_path / "cut", settings=settings)
    assert load(str(again)).fingerprint == load(str(whole)).fingerprint


def test_a_probe_is_measured_beside_training_without_touching_it(tmp_path: Path) -> None:
    build("digits", tmp_path / "probe", Design(items=10, prompts=("Is there {caption} in the image ?",)))
    settings = Settings(rate=5e-3, batch=4, save_every=0)
    plain = tune(saved("llava", tmp_path / "base"), DATA, tmp_path / "plain", settings=settings)
    watched = tune(
        load(str(tmp_path / "base")),
        DATA,
        tmp_path / "watched",
        settings=settings,
        probe=Probe.load(tmp_path / "probe"),
        evaluate_every=3,
        evaluate_items=4,
        also=["native"],
    )
    assert load(str(plain)).fingerprint == load(str(watched)).fingerprint
    record = json.loads((watched / "tune.json").read_text())
    assert [entry["step"] for entry in record["evaluations"]] == [0, 3, 6]
    assert list(record["evaluations"][0]["schemes"]) == ["bapa", "native"]
    assert not (watched / "tuning.html").exists(), "pages are drawn by those who want them"
    page = report.write(watched).read_text()
    assert page.count("<svg") == 2
    assert not re.search(r"""(src|href)=["'](?!#)|url\((?!#)""", page), "the page needs nothing but itself"


def test_an_adapter_finds_its_model_in_any_dtype(tmp_path: Path) -> None:
    out = tune(saved("llava", tmp_path / "base"), DATA, tmp_path / "out", settings=Settings(steps=1, save_every=0))
    half = load(str(out), dtype="bfloat16").model
    assert half.get_input_embeddings().weight.dtype == torch.bfloat16
    assert bapa.scheme_of(half).label == "bapa"


def test_an_adapter_on_another_model_is_refused(tmp_path: Path) -> None:
    out = tune(saved("llava", tmp_path / "base"), DATA, tmp_path / "out", settings=Settings(steps=1, save_every=0))
    with pytest.raises(SchemeError, match="was tuned under bapa; export it under that"):
        export(load(str(out)), tmp_path / "exported", "native")
    other = load(str(tmp_path / "base")).model
    with torch.no_grad():
        other.lm_head.weight += 1
    other.save_pretrained(tmp_path / "base")
    with pytest.raises(ModelError, match=r"made on another model than .* is now"):
        load(str(out))


def test_options_that_trl_does_not_take(tmp_path: Path) -> None:
    model = saved("llava", tmp_path / "base")
    with pytest.raises(ConfigError, match=r"trl\.SFTConfig has no option 'learning_rat'"):
        tune(model, DATA, tmp_path / "out", settings=Settings(options={"learning_rat": 1}))
    with pytest.raises(ConfigError, match="trl refuses these options"):
        tune(model, DATA, tmp_path / "out", settings=Settings(options={"lr_scheduler_type": "zigzag"}))
    with pytest.raises(ConfigError, match="output_dir is set by bapa tune itself"):
        Settings(options={"output_dir": "x"})


@pytest.mark.parametrize("options", [{"bf16": True}, {"checkpointing": True}])
def test_bfloat16_and_gradient_checkpointing_train_alike(options: dict[str, bool], tmp_path: Path) -> None:
    curves = []
    for number, more in enumerate(({}, options)):
        settings = Settings(rate=5e-3, batch=4, save_every=0, **more)
        out = tune(saved("llava", tmp_path / f"base{number}"), DATA, tmp_path / f"out{number}", settings=settings)
        curves.append([entry["loss"] for entry in json.loads((out / "tune.json").read_text())["loss"]])
    tolerance = 0.1 if "bf16" in options else 1e-5
    assert max(abs(one - two) / one for one, two in zip(*curves, strict=True)) < tolerance
