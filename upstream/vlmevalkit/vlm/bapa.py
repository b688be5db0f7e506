"""Vision-language models of transformers with balanced image positions. For VLMEvalKit's ``vlmeval/vlm/``."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from vlmeval.vlm.base import BaseModel


class Bapa(BaseModel):
    """Any model of transformers that its chat template shows pictures, under a position scheme of ``bapa``.

    ``model_path``: a folder or a hub id. ``scheme``: as ``bapa schemes`` lists them, ``native`` for the model as it is.
    ``kwargs``: arguments of ``generate``.
    """

    INSTALL_REQ = True
    INTERLEAVE = True

    def __init__(self, model_path: str, scheme: str = "bapa", **kwargs: Any) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        import bapa

        super().__init__()
        self.processor = AutoProcessor.from_pretrained(model_path)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = AutoModelForImageTextToText.from_pretrained(model_path, dtype="auto").to(device).eval()
        self.model = bapa.balance(model, scheme)
        self.options = {"max_new_tokens": 512, "do_sample": False, **kwargs}

    @torch.inference_mode()
    def generate_inner(self, message: list[dict[str, Any]], dataset: str | None = None) -> str:
        """The answer to pictures and texts in the order of ``message``."""
        parts = [
            {"type": "image"} if one["type"] == "image" else {"type": "text", "text": one["value"]} for one in message
        ]
        chat = [{"role": "user", "content": parts}]
        text = self.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        pictures = [Image.open(one["value"]).convert("RGB") for one in message if one["type"] == "image"]
        first = self.processor.tokenizer.bos_token
        made = self.processor(
            images=pictures or None,
            text=[text],
            return_tensors="pt",
            add_special_tokens=not (first and text.startswith(first)),
        )
        made = made.to(self.model.device, self.model.dtype)
        written = self.model.generate(**made, **self.options)[:, made["input_ids"].shape[1] :]
        return self.processor.tokenizer.batch_decode(written, skip_special_tokens=True)[0].strip()
