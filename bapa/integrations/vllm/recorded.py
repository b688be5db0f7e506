"""A scheme that a checkpoint's own config records, for engines that are told nothing of it (``vllm serve FOLDER``).

vLLM reads configs through parsers that can be registered. This one is vLLM's own for config.json, and turns a record it
finds into the same changes that :func:`~bapa.integrations.vllm.overrides.overrides` makes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vllm.transformers_utils.config import get_config_parser, register_config_parser

from bapa.attach import record
from bapa.attach.entry import NAMES
from bapa.integrations.vllm.overrides import overrides
from bapa.schemes import NATIVE

_FORMAT = "hf"
_Own: Any = type(get_config_parser(_FORMAT))


class Parser(_Own):
    """Reads config.json."""

    def parse(
        self,
        model: str | Path,
        trust_remote_code: bool,
        revision: str | None = None,
        code_revision: str | None = None,
        **kwargs: Any,
    ) -> tuple[dict, Any]:
        """Raises UnsupportedModelError or SchemeError, so that no engine starts, where vLLM cannot run what is
        recorded.
        """
        known, config = super().parse(model, trust_remote_code, revision, code_revision, **kwargs)
        given = kwargs.get("hf_overrides")
        if not (isinstance(given, dict) and any(name in given for name in NAMES)):  # which say it themselves
            scheme = record.read(config) or NATIVE
            if scheme != NATIVE:
                config.update(overrides(config, scheme))
        return known, config


def register() -> None:
    """Put :class:`Parser` in the place of vLLM's own; again does nothing."""
    if not isinstance(get_config_parser(_FORMAT), Parser):
        register_config_parser(_FORMAT)(Parser)
