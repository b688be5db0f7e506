"""transformers' own server, its image positions changed by a function of :mod:`tests.doctor.server`.

python -m tests.doctor.transformers_serve FUNCTION serve MODEL ...
"""

from __future__ import annotations

import sys
from typing import Any

from transformers.cli.transformers import main
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding
from transformers.models.llava.modeling_llava import LlavaModel

from tests.doctor import server

change = getattr(server, sys.argv.pop(1))
image = slice(0)
see, turn = LlavaModel.forward, LlamaRotaryEmbedding.forward


def seen(self: Any, input_ids: Any = None, *args: Any, **kwargs: Any) -> Any:
    global image
    columns = (input_ids[0] == self.config.image_token_id).nonzero()[:, 0].tolist()
    image = slice(columns[0], columns[-1] + 1) if columns else slice(0)
    return see(self, input_ids, *args, **kwargs)


def turned(self: Any, x: Any, position_ids: Any) -> Any:
    return turn(self, x, change(position_ids.clone(), image) if image.stop else position_ids)


LlavaModel.forward, LlamaRotaryEmbedding.forward = seen, turned
main()
