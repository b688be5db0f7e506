"""vLLM: balanced model classes, and engines that run them.

The scheme travels in the model's config, which every process of an engine gets (``hf_overrides``): ``config.bapa``
says which, and ``architectures`` names a class that only this plugin registers. An engine that has not loaded the
plugin therefore finds no such model and does not start; one that has, checks in its worker that the scheme is on. A
scheme that a checkpoint records is taken up by itself. Nothing is patched.
"""

from __future__ import annotations


def register() -> None:
    """Register the balanced classes, and read recorded schemes.

    The entry point ``vllm.general_plugins``, run in every process of an engine.
    """
    from vllm import ModelRegistry

    from bapa.integrations.vllm import recorded
    from bapa.integrations.vllm.architectures import ARCHITECTURES, PREFIX

    for name in ARCHITECTURES:
        # By name, so that a process imports only the model it runs.
        ModelRegistry.register_model(f"{PREFIX}{name}", f"{__name__}.model:{PREFIX}{name}")
    recorded.register()
