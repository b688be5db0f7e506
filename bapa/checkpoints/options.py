"""What can be asked for when a model is loaded, besides device and dtype: ``--load NAME=VALUE``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bapa.errors import ConfigError, ModelError

_BITS = ("4bit", "8bit")


@dataclass(frozen=True)
class LoadOptions:
    """``attention``: eager, sdpa, flash_attention_2. ``revision``: branch, tag or commit on the hub. ``min_pixels``,
    ``max_pixels``: of a picture, for processors that keep sizes between two bounds. ``quantization``: 4bit or 8bit, by
    bitsandbytes. ``device_map``: how accelerate spreads the model over devices, e.g. auto.

    None leaves each as it is. Raises ConfigError for a quantization that is not known.
    """

    attention: str | None = None
    revision: str | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None
    quantization: str | None = None
    device_map: str | None = None

    def __post_init__(self) -> None:
        if self.quantization is not None and self.quantization not in _BITS:
            raise ConfigError(f"quantization = {self.quantization}: accepted are {', '.join(_BITS)}")

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> LoadOptions:
        """As typed. Raises ConfigError for a name that is not among them."""
        known = [field.name for field in fields(cls)]
        if unknown := next((name for name in given if name not in known), None):
            raise ConfigError(f"--load {unknown}: accepted are {', '.join(known)}")
        return cls(**given)

    @property
    def record(self) -> dict[str, Any]:
        """What was asked for."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @property
    def placed(self) -> bool:
        """Whether loading puts the weights where they belong, so that the model must not be moved."""
        return self.device_map is not None or self.quantization is not None

    def of_hub(self, path: str) -> dict[str, Any]:
        """Arguments that name what is loaded. Raises ConfigError for a revision of a folder."""
        if self.revision is None:
            return {}
        if Path(path).is_dir():
            raise ConfigError(
                f"revision = {self.revision}: {path} is a folder, and only models of the hub have revisions"
            )
        return {"revision": self.revision}

    def of_model(self, device: str) -> dict[str, Any]:
        """Arguments of ``from_pretrained`` of the model."""
        found: dict[str, Any] = {}
        if self.attention is not None:
            found["attn_implementation"] = self.attention
        if self.quantization is not None:
            from transformers import BitsAndBytesConfig

            found["quantization_config"] = BitsAndBytesConfig(**{f"load_in_{self.quantization}": True})
        if self.placed:
            found["device_map"] = self.device_map or device
        return found

    def of_processor(self) -> dict[str, Any]:
        """Arguments of ``from_pretrained`` of the processor."""
        return {name: value for name, value in self.record.items() if name in ("min_pixels", "max_pixels")}

    def check(self, processor: Any) -> None:
        """Raise ModelError where a processor has not taken the bounds of its pictures."""
        images = getattr(processor, "image_processor", None)
        size = dict(getattr(images, "size", None) or {})
        for name, edge in (("min_pixels", "shortest_edge"), ("max_pixels", "longest_edge")):
            wanted = getattr(self, name)
            if wanted is not None and wanted not in (size.get(name), size.get(edge)):
                raise ModelError(f"{type(images).__name__} keeps no {name} of a picture; leave --load {name} out")
