"""The files that a checkpoint's processor is made from: chat template, tokenizer, and what is done to pictures.

The fingerprint of a checkpoint is of its weights and config (:mod:`bapa.checkpoints.weights`), and adapters record it.
How a model is asked does not count there; it stands beside it in what a run is told apart by.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

FILES = (
    *("chat_template.jinja", "chat_template.json", "additional_chat_templates/*.jinja"),
    *("preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "merges.txt", "tekken.json"),
)
_SHOWN = 12  # hexadecimal digits


def digests(folder: Path) -> dict[str, str]:
    """By file, of those in ``folder``, the first digits of the SHA-256 of its bytes."""
    paths = sorted(path for pattern in FILES for path in folder.glob(pattern))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:_SHOWN] for path in paths}
