"""All tiny checkpoints, and those that the tests run; the others are tried by ``python -m studies.serving run``."""

from __future__ import annotations

from tests.integrations.vllm import checkpoints, further, newest

CHECKPOINTS = [*checkpoints.CHECKPOINTS, *newest.CHECKPOINTS, *further.CHECKPOINTS]
_RUN = {"mistral3", "glm4v", "qwen3_5"}
TESTED = [*checkpoints.CHECKPOINTS, *(each for each in newest.CHECKPOINTS if each.name in _RUN)]
