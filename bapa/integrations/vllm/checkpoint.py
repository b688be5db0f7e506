"""Checkpoints as vLLM's loaders read them.

transformers 5 saves the CLIP and SigLIP towers of LLaVA and its kin without the level ``vision_model`` that the hub's
checkpoints have, and vLLM looks for it. Such a checkpoint is copied once, under its older names. The experts of
Qwen3-VL it saves transposed, which balanced models read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bapa.checkpoints.weights import header
from bapa.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

# A part of the tower; one that stands under vision_model has its older name already.
_PART = re.compile(r"^((?:model\.)?vision_tower\.)(?=(?:embeddings|encoder|pre_layrnorm|post_layernorm|head)\.)")
_TOWERS = ("clip_vision_model", "siglip_vision_model")
_INDEX = "model.safetensors.index.json"


def older(name: str) -> str:
    """The name that the hub's checkpoints give a weight."""
    return _PART.sub(r"\1vision_model.", name)


def lacks_level(vision: str | None) -> bool:
    """Whether vLLM wants older names of a tower's weights. ``vision``: the tower's model type."""
    return vision in _TOWERS


def oriented(name: str, weight: Tensor, config: Any) -> Tensor:
    """A weight as the hub's checkpoints have it. ``config``: the model's transformers config."""
    kind = name.rpartition("experts.")[2]
    if config.model_type != "qwen3_vl_moe" or kind not in ("gate_up_proj", "down_proj"):
        return weight
    hidden = config.get_text_config().hidden_size
    rows, columns = weight.shape[-2:]
    ours, other = (columns, rows) if kind == "gate_up_proj" else (rows, columns)
    return weight.transpose(-1, -2) if ours == hidden != other else weight


def readable(folder: Path, cache: Path | None = None) -> Path:
    """``folder`` where vLLM can read it, else a copy of it with older names of the weights.

    ``folder``: a model in safetensors. ``cache``: where copies go (default: ``bapa/vllm`` in the user's cache folder).
    A copy holds the weights once more; all other files are linked to.

    Raises ModelError where the folder holds no safetensors.
    """
    files = {path: header(path) for path in sorted(folder.glob("*.safetensors"))}
    if not files:
        raise ModelError(f"{folder}: no safetensors in it; save the model anew with model.save_pretrained")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    named_anew = any(older(name) != name for names in files.values() for name in names)
    if not lacks_level((config.get("vision_config") or {}).get("model_type")) or not named_anew:
        return folder
    cache = cache or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "bapa" / "vllm"
    copy = cache / _stamp(folder, files)
    if not copy.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix="part-", dir=cache))
        try:
            _copy(folder, part, files)
            part.rename(copy)
        except OSError:
            if not copy.exists():  # else another process was faster
                raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return copy


def _stamp(folder: Path, files: Mapping[Path, Any]) -> str:
    parts = [f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files]
    return hashlib.sha256("\n".join([str(folder.resolve()), *parts]).encode()).hexdigest()[:16]


def _copy(folder: Path, copy: Path, files: Mapping[Path, dict[str, Any]]) -> None:
    for path in folder.iterdir():
        if path in files:
            _rename(path, copy / path.name, files[path])
        elif path.name == _INDEX:
            index = json.loads(path.read_text("utf-8"))
            index["weight_map"] = {older(name): file for name, file in index["weight_map"].items()}
            (copy / path.name).write_text(json.dumps(index), "utf-8")
        elif path.is_file():
            (copy / path.name).symlink_to(path.resolve())


def _rename(path: Path, copy: Path, tensors: Mapping[str, Any]) -> None:
    """Write a safetensors file anew under older names: its header is JSON, its data stay as they are."""
    renamed = json.dumps({older(name): told for name, told in tensors.items()}).encode()
    renamed += b" " * (-len(renamed) % 8)  # the format wants the data aligned
    with path.open("rb") as source, copy.open("wb") as target:
        source.seek(8 + int.from_bytes(source.read(8), "little"))
        target.write(len(renamed).to_bytes(8, "little") + renamed)
        shutil.copyfileobj(source, target, 1 << 24)
