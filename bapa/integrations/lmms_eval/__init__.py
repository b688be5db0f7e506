"""lmms-eval: the model ``bapa`` (entry point ``lmms_eval.models``) and the probe as a task.

lmms-eval --model bapa --model_args pretrained=MODEL,scheme=bapa --tasks pope --batch_size 8
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest


def manifest() -> ModelManifest:
    """What lmms-eval has to know to find the model."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest("bapa", simple_class_path="bapa.integrations.lmms_eval.model.Bapa")
