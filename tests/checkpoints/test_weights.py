"""What a fingerprint sees of a checkpoint, and which weight files are refused."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bapa.checkpoints import load, weights
from bapa.checkpoints.locate import folder_of, locate
from bapa.errors import ModelError
from tests.tiny import FAMILIES
from tests.tiny.base import OLDER

pytestmark = pytest.mark.skipif(OLDER, reason="models here are those of transformers 5: references and their copies")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder_of(locate("reference:bottom")), tmp_path / "model"))


def flip(path: Path, tensor: str, place: int) -> None:
    """Change the last bit of one value."""
    held = load_file(path)
    bits = held[tensor].view(torch.int16 if held[tensor].element_size() == 2 else torch.int32).flatten()
    bits[place] ^= 1
    save_file(held, path, metadata={"format": "pt"})


def test_a_small_model_edited_anywhere_differs(folder: Path) -> None:
    path, seen = folder / "model.safetensors", {weights.fingerprint(folder)}
    held = load_file(path)
    for tensor in sorted(held)[::5]:
        size = held[tensor].numel()
        for place in {0, 1, size // 3, size // 2, size - 2, size - 1} & set(range(size)):
            flip(path, tensor, place)
            assert len(seen) < len(seen := seen | {weights.fingerprint(folder)}), f"{tensor}[{place}]"
            flip(path, tensor, place)
    assert weights.fingerprint(folder) in seen, "back as it was"
    assert len(seen) > 30


def test_of_a_large_model_blocks_all_over_each_tensor_are_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "ALL", 0)
    path = folder / "model.safetensors"
    held = {"large": torch.randn(1000, 1000), "norm": torch.ones(4096)}
    save_file(held, path, metadata={"format": "pt"})
    before, values, size = weights.fingerprint(folder), 1024, 1_000_000  # of a block, of the tensor

    def caught(tensor: str, place: int) -> bool:
        flip(path, tensor, place)
        changed = weights.fingerprint(folder) != before
        flip(path, tensor, place)
        return changed

    starts = [(size - values) * number // 15 for number in range(16)]
    assert all(caught("large", start + values // 2) for start in starts)
    assert caught("large", 0)
    assert caught("large", size - 1)
    assert all(caught("norm", place) for place in (0, 2048, 4095)), "of a small tensor, every value"
    assert not caught("large", starts[3] + values + 5000), "between two blocks, as the docs say"
    held["large"][500:570] += 1  # rows that reach from one block to the next
    save_file(held, path, metadata={"format": "pt"})
    assert weights.fingerprint(folder) != before


def test_config_names_shapes_and_dtypes_count_and_the_record_of_a_scheme_does_not(folder: Path) -> None:
    path, config = folder / "model.safetensors", folder / "config.json"
    before, told, held = weights.fingerprint(folder), json.loads(config.read_text()), load_file(path)
    config.write_text(json.dumps({**told, "bapa": {"scheme": "bapa", "version": 1}, "transformers_version": "9"}))
    assert weights.fingerprint(folder) == before
    told["text_config"]["rms_norm_eps"] = 1e-5
    config.write_text(json.dumps(told))
    assert weights.fingerprint(folder) != before
    told["text_config"]["rms_norm_eps"] = 1e-6
    config.write_text(json.dumps(told))
    assert weights.fingerprint(folder) == before
    name = sorted(held)[0]
    for changed in ({name: held[name].flatten()}, {name: held[name].view(torch.int16)}):
        save_file({**held, **changed}, path)
        assert weights.fingerprint(folder) != before


def test_the_files_that_hold_the_tensors_do_not_count(folder: Path) -> None:
    before, held = weights.fingerprint(folder), load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(held)
    shards = {"one.safetensors": names[::2], "two.safetensors": names[1::2]}
    for file, mine in shards.items():
        save_file({name: held[name] for name in mine}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, mine in shards.items() for name in mine}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert weights.fingerprint(folder) == before
    assert weights.of_checkpoint(load(str(folder)).fingerprint) == before
    (folder / "two.safetensors").unlink()
    with pytest.raises(ModelError, match=r"1 of 2 weight files are missing \(two.safetensors"):
        load(str(folder))


def test_a_model_in_memory_edited_anywhere_differs() -> None:
    model = FAMILIES["llava"].build()
    before = weights.of_model(model)
    weight = model.model.language_model.layers[1].mlp.up_proj.weight
    with torch.no_grad():
        weight[50, 30] += 1
    assert weights.of_model(model) != before
    with torch.no_grad():
        weight[50, 30] -= 1


def test_the_dtype_it_is_loaded_in_is_told_beside(folder: Path) -> None:
    one, two = (load(str(folder), dtype=dtype).fingerprint for dtype in ("float32", "bf16"))
    assert one != two
    assert weights.of_checkpoint(one) == weights.of_checkpoint(two) == weights.fingerprint(folder)
    assert not weights.is_older(one)
    assert weights.is_older("e" * 64)


def test_fourteen_gigabytes_take_less_than_two_seconds(tmp_path: Path) -> None:
    """The tensors of a 7B model in bfloat16, as a sparse file: what counts is how much is read."""
    shapes = {"embed": [32000, 4096], "head": [32000, 4096]}
    for layer in range(32):
        shapes |= {f"{layer}.{name}": [4096, 4096] for name in "qkvo"}
        shapes |= {f"{layer}.up": [11008, 4096], f"{layer}.gate": [11008, 4096], f"{layer}.down": [4096, 11008]}
        shapes |= {f"{layer}.norm{number}": [4096] for number in (1, 2)}
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * int(torch.tensor(shape).prod())
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    told = json.dumps(header).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(len(told).to_bytes(8, "little") + told)
        file.truncate(8 + len(told) + end)
    assert end > 13e9
    start = time.process_time()
    weights.fingerprint(tmp_path)
    assert time.process_time() - start < 2


def test_weights_that_are_none_are_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 4800000\n"
    for content, says in (
        (pointer, "is a pointer of Git LFS, not the weights; fetch them: git lfs pull"),
        (whole[:2_000_000], f"is broken off: 2000000 of {len(whole)} bytes"),
        (whole[:100], "holds no weights in safetensors"),
        (b"", "holds no weights in safetensors"),
        (whole + b"x", "has too many bytes"),
    ):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=says):
            load(str(folder))
    path.unlink()
    with pytest.raises(ModelError, match="no weights in it"):
        load(str(folder))


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_config_that_is_none_is_named(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    for read in (weights.check, weights.fingerprint):
        with pytest.raises(ModelError, match=r"config\.json is not (JSON|a JSON object)"):
            read(folder)


def test_a_changed_processor_is_told_beside_the_fingerprint(folder: Path) -> None:
    before = load(str(folder))
    template = folder / "chat_template.jinja"
    template.write_text("{{ 'in the image ' }}" + template.read_text())
    after = load(str(folder))
    assert before.fingerprint == after.fingerprint  # which adapters record
    changed = {name for name in after.files if after.files[name] != before.files[name]}
    assert changed == {"chat_template.jinja"}
    assert {"tokenizer.json", "processor_config.json"} < after.identity["processor"].keys()
