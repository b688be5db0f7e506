"""What the configs of many models tell, without their weights: which can be balanced, and how they take images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bapa.errors import ConfigError, UnsupportedModelError

# Vision-language models that are much used, one or two of each family.
MUCH_USED = (
    "Qwen/Qwen3.5-27B",
    "Qwen/Qwen3.5-35B-A3B",
    "google/gemma-4-E2B-it",
    "Qwen/Qwen3-VL-4B-Instruct",
    "Qwen/Qwen3-VL-30B-A3B-Instruct",
    "Qwen/Qwen2.5-VL-7B-Instruct",
    "Qwen/Qwen2-VL-7B-Instruct",
    "google/gemma-3-4b-it",
    "google/gemma-3n-E4B",
    "llava-hf/llava-1.5-7b-hf",
    "llava-hf/llava-v1.6-mistral-7b-hf",
    "llava-hf/llava-onevision-qwen2-7b-ov-hf",
    "OpenGVLab/InternVL3-1B-hf",
    "HuggingFaceTB/SmolVLM2-2.2B-Instruct",
    "mistralai/Mistral-Small-3.1-24B-Instruct-2503",
    "zai-org/GLM-4.1V-9B-Thinking",
    "zai-org/GLM-4.5V",
    "openbmb/MiniCPM-V-4.6",
    "PaddlePaddle/PaddleOCR-VL",
    "microsoft/Phi-4-multimodal-instruct",
)
# What the classes of others raise where a config is not as they want it, or a package is not here.
_FOREIGN = (ImportError, ValueError, RuntimeError, AttributeError, KeyError, TypeError)


@dataclass(frozen=True)
class Told:
    """What one config tells. ``family``: its model type. ``model``: the class. ``tokens``: ids that carry picture
    features. ``axes``: rotary ones. ``hybrid``: layers without attention, of ``layers``. ``reason``: why it cannot be
    balanced; empty where it can. What is not known is empty or None.
    """

    name: str
    family: str = ""
    model: str = ""
    tokens: tuple[int, ...] = ()
    axes: int | None = None
    layers: int = 0
    hybrid: int = 0
    reason: str = ""


def places(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names of models and where their configs lie, for hub ids and folders of configs: ``NAME/config.json``, where
    NAME may have a part in front (``ORGANISATION/NAME/config.json``).

    Raises ConfigError for a folder without configs.
    """
    for name in names:
        folder = Path(name)
        if not folder.is_dir():
            yield name, name
            continue
        found = sorted(path.parent for depth in ("", "*/", "*/*/") for path in folder.glob(f"{depth}config.json"))
        if not found:
            raise ConfigError(f"{name}: no NAME/config.json in it; name a folder of configs, or models of the hub")
        yield from ((str(path.relative_to(folder)) if path != folder else name, str(path)) for path in found)


def read(name: str, place: str) -> Told:
    """What the config of the model called ``name`` tells. ``place``: a hub id or a folder."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(place)
    except (OSError, *_FOREIGN) as error:
        return Told(name, reason=f"its config cannot be read: {_line(error)}")
    return told(name, config)


def told(name: str, config: Any) -> Told:
    """What ``config`` tells of the model called ``name``; its class is built without weights."""
    import torch
    import transformers

    from bapa.families.anatomy import find

    family = config.model_type
    for kind in (transformers.AutoModelForImageTextToText, transformers.AutoModelForCausalLM, transformers.AutoModel):
        if type(config) in kind._model_mapping:
            break
    else:
        return Told(name, family, reason=f"transformers {transformers.__version__} has no model class for {family}")
    try:
        with torch.device("meta"):
            model = kind.from_config(config)
    except _FOREIGN as error:
        return Told(name, family, reason=f"its class cannot be built: {_line(error)}")
    text = config.get_text_config()
    types = getattr(text, "layer_types", None) or ()
    shape: dict[str, Any] = {
        "layers": getattr(text, "num_hidden_layers", 0),  # towers of other packages tell none
        "hybrid": sum("attention" not in each or "linear" in each for each in types),
    }
    try:
        anatomy = find(model)
    except UnsupportedModelError as error:
        return Told(name, family, type(model).__name__, **shape, reason=str(error))
    return Told(name, family, type(model).__name__, tuple(anatomy.tokens.tolist()), anatomy.axes, **shape)


def _line(error: Exception) -> str:
    """What ``error`` says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    alone = isinstance(error, KeyError)  # names a key, and no more
    return " ".join([*([type(error).__name__] if alone or not lines else []), *lines[:1]])
