"""The language models of the bench as readers of words, which :mod:`bapa.calibrate.words` fits rules to."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from bapa.calibrate.words.reader import Reader, Wording, embedded
from bapa.inference.forward import Inputs
from bapa.inference.prompts import Prompt, Prompts
from studies.pretrained import build
from studies.words.ask import cell_of_token, prompt

SIDE, SEED = 9, 5  # tokens along a side; of the grids that rules are fitted on


def reader(model: Any, processor: Any, token: Tensor) -> Reader:
    """``model`` with the names of its bench. ``token``: of each name, (names,) long."""

    def written(wording: Wording) -> Prompt:
        return Prompt(prompt(processor, SIDE * SIDE, *wording), {})

    def shown(image: Tensor, asked: Prompt) -> Inputs:
        ids = torch.tensor(asked.ids).expand(len(image), -1)
        return {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=image)},
        }

    names = [processor.tokenizer.decode([one]).strip() for one in token.tolist()]
    prompts = Prompts(processor, (build.CANVAS_PX, build.CANVAS_PX))
    drawn, half = embedded(model, token, cell_of_token(SIDE)), torch.arange(0, len(names), 2)
    return Reader(model, names, token, half, prompts, written, drawn, shown)
