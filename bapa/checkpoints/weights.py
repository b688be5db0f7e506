"""The weight files of a checkpoint: whether they are whole, and what identifies them.

A fingerprint is ``2-`` and a SHA-256 over the config and over name, dtype, shape and bytes of every tensor, whatever
file it stands in. Of a checkpoint larger than :data:`ALL` it reads :data:`BLOCKS` blocks of each tensor, spread evenly
over it, the first and the last included: an edit between two blocks of a large tensor is not seen, one of a whole row
of weights, of a small tensor (norms, biases) or of the config is. The format is that of safetensors:
https://huggingface.co/docs/safetensors (eight bytes of length, a JSON header, the tensors).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bapa.errors import ModelError
from bapa.files import read_json

ALL = 512 << 20  # bytes of weights up to which all are read: about one second
BLOCK, BLOCKS = 4096, 16
SINGLE = ("adapter_model.safetensors", "adapter_model.bin", "model.safetensors", "pytorch_model.bin")
CONFIGS = ("config.json", "adapter_config.json")
_VERSION = "2"
_LFS = b"version https://git-lfs"
_MOST = 1 << 27  # bytes of a header; the format allows no more
# What a config says of the file, of bapa or of the way it was loaded rather than of the model.
_BESIDE = (
    *("_name_or_path", "base_model_name_or_path", "transformers_version", "peft_version", "architectures", "auto_map"),
    *("dtype", "torch_dtype", "bapa", "position_balance"),
)


@dataclass(frozen=True)
class _Bytes:
    """The bytes of one tensor, or of a file whose tensors are not told: ``size``, and ``read`` from, length."""

    label: str
    size: int
    read: Callable[[int, int], bytes]


def header(path: Path) -> dict[str, Any]:
    """What a safetensors file says of its tensors, by name, and its ``__metadata__``.

    Raises ModelError where the file is none, or broken off.
    """
    found, size = path.stat().st_size, 0
    with path.open("rb") as file:
        start = file.read(len(_LFS))
        if start == _LFS:
            raise ModelError(
                f"{path} is a pointer of Git LFS, not the weights; fetch them: git lfs pull (in {path.parent})"
            )
        length = int.from_bytes(start[:8], "little")
        file.seek(8)
        if 0 < length <= _MOST:
            try:
                told = json.loads(file.read(length))
                ends = [tensor["data_offsets"][1] for name, tensor in told.items() if name != "__metadata__"]
                size = 8 + length + max(ends, default=0)
            except (ValueError, KeyError, TypeError, AttributeError):
                size = 0
    if not size:
        raise ModelError(f"{path} holds no weights in safetensors ({found} bytes); fetch or save the model again")
    if found != size:
        how = "is broken off" if found < size else "has too many bytes"
        raise ModelError(f"{path} {how}: {found} of {size} bytes; fetch or save the model again")
    return told


def check(folder: Path) -> None:
    """Raise ModelError where a weight file of ``folder`` is missing, a pointer, or broken off, or a config no JSON."""
    for name in CONFIGS:
        if (folder / name).is_file():
            _config(folder / name)
    paths = files(folder)
    if not paths:
        raise ModelError(f"{folder}: no weights in it ({' or '.join(SINGLE)}); fetch or save the model again")
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise ModelError(
            f"{folder}: {len(missing)} of {len(paths)} weight files are missing ({missing[0].name} ...); "
            "fetch or save the model again"
        )
    for path in paths:
        if path.suffix == ".safetensors":
            header(path)


def files(folder: Path) -> list[Path]:
    """The weight files that transformers reads in ``folder``; one that an index names need not be there."""
    for name in SINGLE:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            try:
                named = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ModelError(f"{index} tells no weight_map; fetch or save the model again") from error
            return [folder / file for file in sorted(named)]
    return []


def size(folder: Path) -> int:
    """Bytes of the weight files in ``folder``."""
    return sum(path.stat().st_size for path in files(folder) if path.is_file())


def dtype(folder: Path) -> str | None:
    """The dtype that the config in ``folder`` names for its model, by name; None where it names none."""
    config = _config(folder / "config.json")
    return config.get("dtype") or config.get("torch_dtype")


def fingerprint(folder: Path, base: str = "") -> str:
    """What identifies the checkpoint in ``folder``; see the top of this file. ``base``: the fingerprint of the model
    that an adapter goes on.

    Raises ModelError where its weights or its config cannot be read.
    """
    configs = [_told(_config(folder / name)) for name in CONFIGS if (folder / name).is_file()]
    parts = sorted(_parts(folder), key=lambda part: part.label)
    return _digest([base, *configs], parts)


def of_model(model: nn.Module) -> str:
    """The same of a model in memory, whose weights may have been trained since they were read."""
    return _digest([], [_in_memory(name, weight) for name, weight in sorted(model.state_dict().items())])


def of_checkpoint(fingerprint: str) -> str:
    """A fingerprint without the dtype that the model was loaded in."""
    return "-".join(fingerprint.split("-")[:2])


def is_older(fingerprint: object) -> bool:
    """Whether an earlier release made ``fingerprint``, from other bytes, so that it cannot be compared."""
    return isinstance(fingerprint, str) and len(fingerprint) == 64 and "-" not in fingerprint


def first_values(model: nn.Module) -> str:
    """The fingerprint that releases up to 0.1 wrote into adapters: over the first 64 values of every weight, the same
    in any dtype to the precision of bfloat16.
    """
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        head = weight.detach().flatten()[:64].cpu().to(torch.bfloat16).float()
        digest.update(f"{name} {tuple(weight.shape)} ".encode() + head.numpy().tobytes())
    return digest.hexdigest()


def _config(path: Path) -> dict[str, Any]:
    return read_json(path, error=ModelError, mend="fetch or save the model again")


def _told(config: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in config.items() if name not in _BESIDE}, sort_keys=True)


def _parts(folder: Path) -> Iterator[_Bytes]:
    for path in files(folder):
        if path.suffix != ".safetensors":
            yield _in_file(path, path.name, 0, path.stat().st_size)
            continue
        tensors = {name: told for name, told in header(path).items() if name != "__metadata__"}
        end = max((told["data_offsets"][1] for told in tensors.values()), default=0)
        start = path.stat().st_size - end
        for name, told in tensors.items():
            first, last = told["data_offsets"]
            yield _in_file(path, f"{name} {told['dtype']} {told['shape']}", start + first, last - first)


def _in_file(path: Path, label: str, start: int, size: int) -> _Bytes:
    def read(offset: int, length: int) -> bytes:
        with path.open("rb") as file:
            file.seek(start + offset)
            return file.read(length)

    return _Bytes(label, size, read)


def _in_memory(name: str, weight: torch.Tensor) -> _Bytes:
    flat = weight.detach().flatten()
    width = flat.element_size()

    def read(offset: int, length: int) -> bytes:
        values = flat[offset // width : -(-(offset + length) // width)]
        return values.cpu().view(torch.uint8).numpy().tobytes()

    return _Bytes(f"{name} {weight.dtype} {tuple(weight.shape)}", flat.numel() * width, read)


def _digest(told: list[str], parts: list[_Bytes]) -> str:
    digest = hashlib.sha256("\n".join(told).encode())
    whole = sum(part.size for part in parts) <= ALL
    for part in parts:
        digest.update(f"\n{part.label} {part.size}\n".encode())
        for offset, length in _blocks(part.size, whole):
            digest.update(part.read(offset, length))
    return f"{_VERSION}-{digest.hexdigest()[:40]}"


def _blocks(size: int, whole: bool) -> Iterator[tuple[int, int]]:
    """Which bytes of a tensor are read: offset and length of each block."""
    if whole or size <= BLOCK * BLOCKS:
        yield 0, size
        return
    for number in range(BLOCKS):
        offset = (size - BLOCK) * number // (BLOCKS - 1) // 8 * 8
        yield offset, BLOCK if number < BLOCKS - 1 else size - offset
