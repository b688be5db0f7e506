"""The vision-language model made of the parts: plain transformers classes, an ordinary folder.

FastVLM is LLaVA for convolutional encoders: the map of a timm encoder, row by row, through a projector into a language
model. Here the encoder is EfficientNet-Lite0 (ImageNet), the language model SmolLM2-135M-Instruct.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    FastVlmConfig,
    FastVlmForConditionalGeneration,
    LlamaConfig,
    LlavaProcessor,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    TimmWrapperConfig,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from studies.pretrained.parts import CELL_PX, encoder_weights, gguf

CANVAS_PX, PATCH_PX = 3 * CELL_PX, 32
GRID = CANVAS_PX // PATCH_PX
IMAGE = "<image>"
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def base(parts: Path) -> Path:
    """The folder of the untrained model, made once: pretrained encoder and language model, projector at zero."""
    folder = parts / "base"
    if not folder.is_dir():
        model, tokenizer = joined(parts, gguf(parts), LlamaConfig)
        partial = folder.with_name("base.partial")
        model.save_pretrained(partial)
        processor(tokenizer).save_pretrained(partial)
        partial.rename(folder)
    return folder


def joined(
    parts: Path, file: Path, text: type[PreTrainedConfig]
) -> tuple[FastVlmForConditionalGeneration, PreTrainedTokenizerBase]:
    """The language model in ``file``, whose config is a ``text``, behind the encoder and a projector at zero; and its
    tokenizer.
    """
    sys.path.insert(0, str(parts / "python"))  # gguf, which transformers imports
    language = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE]})
    tokenizer.image_token, tokenizer.padding_side = IMAGE, "left"
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    torch.manual_seed(0)  # the row of the image's token is drawn: the same in every build
    language.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    told = language.config.to_dict()
    told.pop("quantization_config", None)
    config = FastVlmConfig(
        vision_config=TimmWrapperConfig(
            architecture="tf_efficientnet_lite0", hidden_size=1280, do_pooling=False, label_names=["none"]
        ),
        text_config=text(**told),
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=GRID * GRID,
        projector_hidden_act="linear",
        tie_word_embeddings=True,
    )
    model = FastVlmForConditionalGeneration(config).to(torch.float32)
    # The weights are those of four bits a number: float16 holds them, bfloat16 would round them once more.
    model.model.language_model.load_state_dict(language.model.state_dict())
    tower = model.model.vision_tower.timm_model
    ours = list(tower.state_dict())
    theirs = [value for name, value in encoder_weights(parts).items() if not name.startswith("_fc.")]
    tower.load_state_dict(dict(zip(ours, theirs, strict=True)))
    projector = model.model.multi_modal_projector
    for parameter in projector.parameters():
        torch.nn.init.zeros_(parameter)
    torch.nn.init.eye_(projector.linear_2.weight)
    model.tie_weights()
    return model.eval(), tokenizer


def processor(tokenizer: Any) -> LlavaProcessor:
    """Pictures of any shape to 288 x 288 pixels, scaled as the encoder was trained."""
    pictures = CLIPImageProcessorPil(
        size={"height": CANVAS_PX, "width": CANVAS_PX},
        do_center_crop=False,
        image_mean=[127 / 255] * 3,
        image_std=[128 / 255] * 3,
    )
    return LlavaProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        patch_size=PATCH_PX,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        chat_template=CHAT_TEMPLATE,
        image_token=IMAGE,
    )


def forget(model: FastVlmForConditionalGeneration, seed: int) -> None:
    """Draw the language model's weights anew, embeddings included, as its class initialises them."""
    generator = torch.Generator().manual_seed(seed)
    language = model.model.language_model
    with torch.no_grad():
        for parameter in language.parameters():
            if parameter.ndim == 1:
                parameter.fill_(1)
            else:
                drawn = torch.randn(parameter.shape, generator=generator) * language.config.initializer_range
                parameter.copy_(drawn)


@torch.no_grad()
def encode(model: FastVlmForConditionalGeneration, pictures: Tensor) -> Tensor:
    """Features of pictures (n, 3, 288, 288) in 0..255, (n, 81, 1280), row by row."""
    dtype = next(model.model.vision_tower.parameters()).dtype
    seen = model.model.vision_tower(((pictures - 127) / 128).to(dtype)).last_hidden_state
    return seen.flatten(2).transpose(1, 2)
