"""What a tuning run is made from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from bapa.errors import ConfigError

# trl writes the position ids that tell packed rows apart for text only, and refuses pictures; said here in one line.
_PACKED = (
    "rows with pictures are padded, not packed: packed rows are told apart by position ids, which trl writes for text "
    "only"
)
REFUSED = {"packing": _PACKED, "padding_free": _PACKED}
OWN = ("output_dir", "max_length", "remove_unused_columns", "model_init_kwargs", "dataset_kwargs")
TOLD = {  # fields of trl that a setting of ours decides, and the option that says it
    "max_steps": "--steps",
    "num_train_epochs": "--epochs",
    "learning_rate": "--rate",
    "per_device_train_batch_size": "--batch",
    "gradient_accumulation_steps": "--accumulate",
    "seed": "--seed",
    "bf16": "--bf16",
    "gradient_checkpointing": "--gradient-checkpointing",
    "activation_checkpointing": "--gradient-checkpointing",
    "save_steps": "--save-every",
    "save_strategy": "--save-every",
}


@dataclass(frozen=True)
class Settings:
    """How to train; the defaults are the paper's light tuning (LoRA rank 8 on all linear layers of the language
    model, one epoch, learning rate 1e-4).

    ``full``: all weights of the language model instead of an adapter; either way the vision encoder and the connector
    stay. ``steps``: stop after so many, whatever ``epochs`` says. ``batch``: rows per process and forward;
    ``accumulate``: forwards per step. ``save_every``: steps between checkpoints, 0 for none. ``options``: further
    fields of ``trl.SFTConfig`` by name.
    """

    rank: int = 8
    full: bool = False
    epochs: float = 1.0
    steps: int | None = None
    rate: float = 1e-4
    batch: int = 8
    accumulate: int = 1
    seed: int = 0
    bf16: bool = False
    checkpointing: bool = False
    save_every: int = 500
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("rank", "batch", "accumulate", "epochs", "rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} = {getattr(self, name)}: a number above 0 is accepted")
        if self.steps is not None and self.steps < 1:
            raise ConfigError(f"steps = {self.steps}: 1 or more is accepted")
        for name, reason in REFUSED.items():
            if self.options.get(name):
                raise ConfigError(f"{name}: {reason}; leave it out")
        if told := [name for name in TOLD if name in self.options]:
            raise ConfigError(f"option {told[0]} is said by {TOLD[told[0]]}; use that instead")
        if taken := [name for name in OWN if name in self.options]:
            raise ConfigError(f"option {taken[0]} is set by bapa tune itself; leave it out")
