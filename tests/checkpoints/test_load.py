"""What is loaded is what was asked for, whole, on a device that is there; else one line says why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPConfig, CLIPModel, LlamaConfig, LlamaForCausalLM

import bapa
from bapa.calibrate import calibrate
from bapa.checkpoints import device, load, locate, weights
from bapa.checkpoints.adapter import FILE, Base, save_adapter
from bapa.checkpoints.locate import Place, announce, folder_of
from bapa.errors import ConfigError, ModelError, SchemeError
from tests.attach.checks import TWO_IMAGES, logits, same
from tests.tiny import FAMILIES
from tests.tiny.base import OLDER
from tests.tune.processors import processor, saved

pytestmark = pytest.mark.skipif(OLDER, reason="models here are those of transformers 5: references and their copies")

LLAVA = FAMILIES["llava"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder_of(locate.locate("reference:bottom")), tmp_path / "model"))


@pytest.mark.parametrize("lacking", ["lm_head", "layers.1.mlp", "vision_tower"])
def test_weights_that_a_checkpoint_lacks_are_an_error_that_names_them(folder: Path, lacking: str) -> None:
    path = folder / "model.safetensors"
    held = load_file(path)
    kept = {name: value for name, value in held.items() if lacking not in name}
    assert len(kept) < len(held)
    save_file(kept, path, metadata={"format": "pt"})
    for loading in (load, bapa.from_pretrained):
        count = len(held) - len(kept)
        said = rf"lacks {count} weight{'s' * (count > 1)} of .*{lacking}.*fetch or save"
        with pytest.raises(ModelError, match=said):
            loading(str(folder))


def test_weights_of_another_shape_are_an_error(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["vocab_size"] = 100
    (folder / "config.json").write_text(json.dumps(config))
    said = (
        r"2 weights have another shape .*: \S*(lm_head|embed_tokens)\S* is \((\d+), (\d+)\), by the config \(100, \3\)"
    )
    for open_it in (lambda: load(str(folder)), lambda: bapa.from_pretrained(folder, ignore_mismatched_sizes=True)):
        with pytest.raises(ModelError, match=said):
            open_it()


def test_tied_weights_are_not_missing(tmp_path: Path) -> None:
    model = FAMILIES["gemma3"].build()
    assert model.config.get_text_config().tie_word_embeddings
    model.save_pretrained(tmp_path)
    bapa.from_pretrained(tmp_path)


def adapter(tmp_path: Path, scheme: str = "bapa") -> Path:
    base = saved("llava", tmp_path / "base")
    told = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    model = get_peft_model(bapa.balance(base.model, scheme), told)
    save_adapter(model, tmp_path / "adapter", base=Base(base.name, weights.of_checkpoint(base.fingerprint)))
    return tmp_path / "adapter"


def test_an_adapter_comes_back_under_its_scheme(tmp_path: Path) -> None:
    folder, inputs = adapter(tmp_path), LLAVA.inputs(TWO_IMAGES)
    loaded = load(str(folder))
    again = bapa.from_pretrained(folder, attn_implementation="sdpa").eval()
    assert bapa.scheme_of(again) == bapa.scheme_of(loaded.model) == bapa.schemes.parse("bapa")
    same(logits(again, inputs), logits(loaded.model, inputs))
    assert not torch.equal(logits(again, inputs), logits(bapa.from_pretrained(tmp_path / "base").eval(), inputs))
    (folder / FILE).unlink()
    with pytest.raises(SchemeError, match="the scheme it was trained under is unknown"):
        bapa.from_pretrained(folder)


def test_an_adapter_knows_its_base_in_any_dtype_and_from_an_earlier_release(tmp_path: Path) -> None:
    folder = adapter(tmp_path)
    for dtype in ("fp32", "bf16", "fp16"):
        assert load(str(folder), dtype=dtype).fingerprint.endswith(dtype.replace("fp", "float").replace("bf", "bfloat"))
    older = weights.first_values(load(str(tmp_path / "base")).model)
    record = json.loads((folder / FILE).read_text())
    record["base"]["fingerprint"] = older
    (folder / FILE).write_text(json.dumps(record))
    load(str(folder), dtype="bf16")
    path = tmp_path / "base" / "model.safetensors"
    held = load_file(path)
    name = next(name for name in held if "up_proj" in name)
    held[name] += 1
    save_file(held, path, metadata={"format": "pt"})
    for fingerprint in (older, record["base"]["fingerprint"]):
        record["base"]["fingerprint"] = fingerprint
        (folder / FILE).write_text(json.dumps(record))
        with pytest.raises(ModelError, match="made on another model"):
            load(str(folder))


def test_an_adapter_that_lacks_weights_is_an_error(tmp_path: Path) -> None:
    folder = adapter(tmp_path)
    path = folder / "adapter_model.safetensors"
    held = load_file(path)
    save_file({name: value for name, value in held.items() if "layers.1" not in name}, path)
    with pytest.raises(ModelError, match=r"the adapter lacks weights.*layers\.1"):
        load(str(folder))


@pytest.mark.parametrize(
    ("recorded", "of_peft"),
    [({"base": {"name": "m"}}, "{}"), ({}, "{"), ({}, "{}"), ({}, "[]")],
)
def test_an_adapter_whose_base_is_not_told_is_named(
    tmp_path: Path, recorded: dict[str, dict[str, str]], of_peft: str
) -> None:
    (tmp_path / FILE).write_text(json.dumps({"scheme": "bapa", **recorded}))
    (tmp_path / "adapter_config.json").write_text(of_peft)
    with pytest.raises(ModelError, match="tells which model the adapter was made on"):
        load(str(tmp_path))


def test_calibrating_an_adapter_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    loaded = load(str(adapter(tmp_path)))
    with pytest.raises(ConfigError, match=r"is an adapter.*bapa export .* --out MERGED"):
        calibrate(loaded, SimpleNamespace(items=[0] * 100), tmp_path / "out")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_reference_has_the_same_name_everywhere() -> None:
    one, two = bapa.from_pretrained("reference:bottom"), load("reference:bottom").model
    same(one.lm_head.weight, two.lm_head.weight)
    with pytest.raises(ConfigError, match="unknown reference model 'botom'"):
        bapa.from_pretrained("reference:botom")


def test_names_may_end_with_a_slash_and_hold_any_character(folder: Path) -> None:
    before = load(str(folder)).fingerprint
    assert load(f"{folder}/").fingerprint == before
    odd = folder.rename(folder.with_name("cost$5_$9 {é} [x]%s"))
    assert load(str(odd)).fingerprint == before
    bapa.from_pretrained(f"{odd}/")


def test_what_is_no_vision_language_model_says_what_python_says(tmp_path: Path) -> None:
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = LlamaForCausalLM(LlamaConfig(vocab_size=128, **small))
    clip = CLIPModel(CLIPConfig(text_config={**small, "vocab_size": 128}, vision_config={**small, "image_size": 16}))
    for model, says in ((text, r"takes no pictures \(text-only\)"), (clip, "no text decoder that its images stand in")):
        folder = tmp_path / type(model).__name__
        model.save_pretrained(folder)
        processor("llava").tokenizer.save_pretrained(folder)
        with pytest.raises(ModelError, match=rf"cannot load .*: \w+ .*{says}"):
            load(str(folder))


def test_a_processor_without_patch_size_is_named(folder: Path) -> None:
    path = folder / "processor_config.json"
    told = json.loads(path.read_text())
    told["patch_size"] = None
    path.write_text(json.dumps(told))
    with pytest.raises(ModelError, match=r"has no patch_size.*vision_config.*processor_config.json"):
        load(str(folder))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cuda", "torch finds none here; accepted here: auto, cpu"),
        ("cuda:7", "torch finds none here"),
        ("mps", "torch finds none here"),
        ("gpu", r"no such kind of device \(did you mean cuda\?\)"),
        ("cuad", r"no such kind of device \(did you mean cuda\?\)"),
        ("", "no such kind of device"),
    ],
)
def test_a_device_that_is_not_here_is_said_before_anything_is_loaded(
    name: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=says):
        load("no such model", device=name)
    assert device.device_of("auto").type == "cpu"


def test_the_dtypes_that_people_type() -> None:
    cpu = torch.device("cpu")
    for name, dtype in (
        ("fp16", torch.float16),
        ("torch.float16", torch.float16),
        ("half", torch.float16),
        ("bf16", torch.bfloat16),
        ("BFloat16", torch.bfloat16),
        ("fp32", torch.float32),
        ("auto", "auto"),
        (torch.float64, torch.float64),
        (None, torch.float32),
    ):
        assert device.dtype_of(name, cpu, 1 << 40) == dtype
    for wrong in ("fp8", "int8", "float33", ""):
        with pytest.raises(ConfigError, match=rf"--dtype {wrong}: accepted are float32 \(fp32\)"):
            device.dtype_of(wrong, cpu, 0)


def test_on_a_gpu_large_models_are_loaded_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, there=there: there)
        assert device.dtype_of(None, gpu, 14 << 30) == (torch.bfloat16 if there else "auto")
        assert device.dtype_of(None, gpu, 1 << 20) == "auto", "a small one is not rounded"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device.device_of("auto").type == "cuda"
    assert device.device_of("cuda:1").index == 1
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert str(device.device_of("auto")) == "cuda:1"
    with pytest.raises(ConfigError, match=r"torch finds none here; accepted here: auto, cuda, cpu, cuda:N"):
        device.device_of("cuda:2")


def test_a_small_model_takes_one_thread_and_a_large_one_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", taken.append)
    monkeypatch.setattr(device, "_THREADS", 8)
    small, large = nn.Linear(2, 2), nn.Linear(5000, 5000, device="meta")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for model in (small, large):
        device.choose_threads(model, torch.device("cpu"))
    assert taken == [1, 8]
    device.choose_threads(small, torch.device("cuda"))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    device.choose_threads(small, torch.device("cpu"))
    assert taken == [1, 8], "a GPU's model and OMP_NUM_THREADS are left alone"


def test_a_download_is_announced(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import huggingface_hub

    files = [SimpleNamespace(file_size=5_000_000_000, will_download=new) for new in (True, False)]
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: files)
    assert announce(Place("owner/name")) == 10_000_000_000
    assert "downloading owner/name: 5.0 GB" in capsys.readouterr().err
    files[0].will_download = False
    announce(Place("owner/name"))
    assert capsys.readouterr().err == ""
