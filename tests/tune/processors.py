"""Real processors for the tiny LLaVA, Qwen2.5-VL and Gemma3 of ``tests.tiny``: their ids, their picture sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image
from transformers import (
    CLIPImageProcessor,
    Gemma3ImageProcessor,
    Gemma3Processor,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLProcessor,
    Qwen2TokenizerFast,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from bapa.checkpoints import Loaded, load
from tests.tiny import FAMILIES
from tests.tiny.base import END, FIRST_TEXT, IMAGE, LAST_TEXT, OLDER, START, VIDEO, VOCABULARY

NAMES = ("llava", "qwen2_5_vl", "gemma3")
MARKS = {"llava": "<image>", "qwen2_5_vl": "<start><image><end>", "gemma3": "<start>"}
_TEMPLATE = (
    "<s>{% for message in messages %}{{ message['role'] }} : "
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}MARK{% else %}{{ part['text'] }}{% endif %} "
    "{% endfor %}{% if message['role'] == 'assistant' %}</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}assistant : {% endif %}"
)


def tokenizer(kind: type[PreTrainedTokenizerFast] = PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """One token per word; ``w4`` is token 4."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"<pad>": 0, "<s>": 1, "</s>": 2, "user": 3, "assistant": 4, ":": 5, "yes": 6, "no": 7}
    words |= {f"w{number}": number for number in range(8, LAST_TEXT)} | {"<unk>": LAST_TEXT}
    words |= {"<image>": IMAGE, "<video>": VIDEO, "<start>": START, "<end>": END}
    words |= {f"x{number}": number for number in range(END + 1, VOCABULARY)}
    assert words["user"] == FIRST_TEXT
    core = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return kind(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        extra_special_tokens={
            "image_token": "<image>",
            "video_token": "<video>",
            "boi_token": "<start>",
            "eoi_token": "<end>",
        },
    )


def processor(name: str) -> Any:
    template = _TEMPLATE.replace("MARK", MARKS[name])
    if name == "llava":
        size = {"height": 12, "width": 12}
        return LlavaProcessor(
            CLIPImageProcessor(size=size, do_center_crop=False),
            tokenizer(),
            patch_size=4,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=template,
        )
    if name == "gemma3":
        pictures = Gemma3ImageProcessor(size={"height": 24, "width": 24})
        return Gemma3Processor(pictures, tokenizer(), chat_template=template, image_seq_length=9)
    sizes = {"patch_size": 4, "merge_size": 2, "temporal_patch_size": 2, "min_pixels": 64, "max_pixels": 64 * 9}
    words = tokenizer(Qwen2TokenizerFast) if OLDER else tokenizer()  # transformers 4 takes no other class
    return Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(**sizes), words, Qwen2VLVideoProcessor(**sizes), chat_template=template
    )


def saved(name: str, folder: Path) -> Loaded:
    """The tiny model and its processor, saved to ``folder`` and loaded from there."""
    FAMILIES[name].build().save_pretrained(folder)
    processor(name).save_pretrained(folder)
    return load(str(folder))


def picture(number: int) -> Image.Image:
    """A picture that no other number gives, 24 x 24."""
    import numpy as np

    return Image.fromarray(np.random.default_rng(number).integers(0, 255, (24, 24, 3), np.uint8))


def row(*words: str, answer: str = "yes") -> dict[str, Any]:
    """A training row: ``image`` stands for a picture, any other word for itself."""
    parts = [{"type": "image", "text": None} if word == "image" else {"type": "text", "text": word} for word in words]
    chat = [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": [{"type": "text", "text": answer}]},
    ]
    return {"messages": chat, "images": [str(n) for n in range(words.count("image"))]}
