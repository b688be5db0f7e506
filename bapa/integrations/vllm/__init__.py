"""vLLM: balanced model classes, and engines that run them.

The scheme travels in the model's config, which every process of an engine gets (``hf_overrides``): ``config.bapa``
says which, and ``architectures`` names a class that only this plugin registers. An engine that has not loaded the
plugin therefore finds no such model and does not start; one that has, checks in its worker that the scheme is on. A
scheme that a checkpoint records is taken up by itself. Nothing is patched.
"""

from __future__ import annotations

PREFIX = "Bapa"

# Rotary axes of the architectures that can be balanced. With three (M-RoPE) vLLM asks the model for positions anyway.
ARCHITECTURES = {
    "Gemma3ForConditionalGeneration": 1,
    "InternVLForConditionalGeneration": 1,
    "LlavaForConditionalGeneration": 1,
    "LlavaNextForConditionalGeneration": 1,
    "LlavaOnevisionForConditionalGeneration": 1,
    "Qwen2VLForConditionalGeneration": 3,
    "Qwen2_5_VLForConditionalGeneration": 3,
    "Qwen3VLForConditionalGeneration": 3,
    "Qwen3VLMoeForConditionalGeneration": 3,
}


def register() -> None:
    """Register the balanced classes, and read recorded schemes.

    The entry point ``vllm.general_plugins``, run in every process of an engine.
    """
    from vllm import ModelRegistry

    from bapa.integrations.vllm import recorded

    for name in ARCHITECTURES:
        # By name, so that a process imports only the model it runs.
        ModelRegistry.register_model(f"{PREFIX}{name}", f"{__name__}.model:{PREFIX}{name}")
    recorded.register()
