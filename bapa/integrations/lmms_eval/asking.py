"""Prompts with any number of pictures through a model, in left-padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from bapa.inference.answers import AnswerSet
from bapa.inference.prompts import special_tokens, token_types


@dataclass(frozen=True)
class Prompt:
    """What is said to the model in one turn: the pictures, then the text."""

    text: str
    pictures: list[Image.Image] = field(default_factory=list)


class Asking:
    """Asks one model under its present scheme; ``answers`` are the words its tokenizer has in one token."""

    def __init__(self, model: Any, processor: Any) -> None:
        self.model = model
        self.processor = processor
        self.answers = AnswerSet(processor.tokenizer)
        processor.tokenizer.padding_side = "left"
        if processor.tokenizer.pad_token is None:
            processor.tokenizer.pad_token = processor.tokenizer.eos_token

    def inputs(self, prompts: Sequence[Prompt]) -> dict[str, Any]:
        """What ``generate`` takes for ``prompts``, which all have pictures or all have none."""
        texts = [self._written(prompt) for prompt in prompts]
        pictures = [prompt.pictures for prompt in prompts] if prompts[0].pictures else None
        made = self.processor(
            images=pictures,
            text=texts,
            padding=True,
            return_tensors="pt",
            **special_tokens(self.processor.tokenizer, texts[0]),
        )
        device, dtype = self.model.device, self.model.dtype
        return {
            name: value.to(device, dtype if value.is_floating_point() else None) if isinstance(value, Tensor) else value
            for name, value in made.items()
        }

    @torch.inference_mode()
    def texts(self, prompts: Sequence[Prompt], **options: Any) -> list[str]:
        """What the model writes; ``options`` are those of ``generate``."""
        inputs = self.inputs(prompts)
        written = self.model.generate(**inputs, **options)
        return self.processor.tokenizer.batch_decode(
            written[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True
        )

    @torch.inference_mode()
    def next(self, prompts: Sequence[Prompt]) -> Tensor:
        """Logits of the token that follows each prompt, float32 (prompts, vocabulary)."""
        out = self.model.generate(
            **self.inputs(prompts), max_new_tokens=1, do_sample=False, output_logits=True, return_dict_in_generate=True
        )
        return out.logits[0].float().cpu()

    @torch.inference_mode()
    def continued(self, prompt: Prompt, continuation: str) -> tuple[Tensor, Tensor]:
        """Log-probabilities, float32 (tokens, vocabulary), where the tokens of ``continuation`` stand, and those
        tokens, LongTensor (tokens,).
        """
        inputs = self.inputs([prompt])
        ids = self.processor.tokenizer(continuation, add_special_tokens=False, return_tensors="pt")["input_ids"]
        ids = ids.to(inputs["input_ids"].device)
        for name in token_types(inputs):
            inputs[name] = torch.cat([inputs[name], torch.zeros_like(ids, dtype=inputs[name].dtype)], 1)
        inputs["attention_mask"] = torch.cat([inputs["attention_mask"], torch.ones_like(ids)], 1)
        inputs["input_ids"] = torch.cat([inputs["input_ids"], ids], 1)
        logits = self.model(**inputs).logits[0, -ids.shape[1] - 1 : -1]
        return logits.float().log_softmax(-1).cpu(), ids[0].cpu()

    def _written(self, prompt: Prompt) -> str:
        parts = [{"type": "image"} for _ in prompt.pictures] + [{"type": "text", "text": prompt.text}]
        chat = [{"role": "user", "content": parts}]
        return self.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
