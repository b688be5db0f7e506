"""Tiny checkpoints of more families that vLLM has."""

from __future__ import annotations

from typing import Any

import transformers
from transformers import PreTrainedTokenizerFast

from tests.integrations.vllm.checkpoints import (
    CLIP,
    HIDDEN,
    LOOK,
    PINPOINTS,
    QWEN_TOWER,
    ROPE,
    SIGLIP,
    TEXT,
    TILES,
    Checkpoint,
)
from tests.tiny.base import vision
from tests.tiny.towers import tower

SQUARE = {"height": 24, "width": 24}
TOWER = {"image_size": 24, "hidden_size": 64, "num_attention_heads": 2}
INTERN_TOKENS = ["<img>", "</img>", "<IMG_CONTEXT>", "<image>"]


def paddleocr(words: PreTrainedTokenizerFast) -> Any:
    size = {"shortest_edge": 64, "longest_edge": 1024}
    return transformers.PaddleOCRVLProcessor(
        transformers.PaddleOCRVLImageProcessor(size=size, patch_size=4, merge_size=2, temporal_patch_size=1), words
    )


def lfm2(words: PreTrainedTokenizerFast) -> Any:
    tiles = {"encoder_patch_size": 4, "tile_size": 32, "max_tiles": 4, "min_image_tokens": 4, "max_image_tokens": 16}
    return transformers.Lfm2VlProcessor(
        transformers.Lfm2VlImageProcessor(**tiles, size={"height": 32, "width": 32}, return_row_col_info=True), words
    )


def next_video(words: PreTrainedTokenizerFast) -> Any:
    return transformers.LlavaNextVideoProcessor(
        transformers.LlavaNextVideoVideoProcessor(size=SQUARE, crop_size=SQUARE),
        transformers.LlavaNextImageProcessor(**LOOK, **TILES),
        words,
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )


def gemma3n(words: PreTrainedTokenizerFast) -> Any:
    return transformers.Gemma3nProcessor(
        transformers.Gemma3nAudioFeatureExtractor(),
        transformers.SiglipImageProcessor(size={"height": 64, "width": 64}),
        words,
        image_seq_length=4,
    )


def aria(words: PreTrainedTokenizerFast) -> Any:
    return transformers.AriaProcessor(
        transformers.AriaImageProcessor(max_image_size=980, min_image_size=490),  # the processor asks for 980 anyway
        words,
        chat_template="{{ messages }}",
        size_conversion={980: 9},
    )


def llama4(words: PreTrainedTokenizerFast) -> Any:
    pixels = {"size": {"height": 16, "width": 16}, "max_patches": 4, "do_normalize": False}  # which it does in bfloat16
    return transformers.Llama4Processor(
        transformers.Llama4ImageProcessor(**pixels), words, patch_size=4, pixel_shuffle_ratio=0.5
    )


def ernie(words: PreTrainedTokenizerFast) -> Any:
    size = {"shortest_edge": 64, "longest_edge": 1024}
    return transformers.Ernie4_5_VLMoeProcessor(
        transformers.Ernie4_5_VLMoeImageProcessor(size=size, patch_size=4, merge_size=2),
        words,
        transformers.Ernie4_5_VLMoeVideoProcessor(size=size, patch_size=4, merge_size=2, draw_on_frames=False),
    )


ERNIE_TOKENS = {
    f"{kind}_{part}": f"<|{kind.upper()}_{word}|>"
    for kind in ("image", "video")
    for part, word in (("token", "PLACEHOLDER"), ("start_token", "START"), ("end_token", "END"))
}

CHECKPOINTS = [
    Checkpoint(
        "gemma3n",
        "Gemma3nForConditionalGeneration",
        lambda ids: {
            # timm's, of the smallest size
            "vision_config": tower(
                "fastvit_mci0",
                hidden_size=64,
                vocab_offset=ids["<image_soft_token>"],
                vocab_size=1,
                model_args={"layers": [1, 1, 1, 1], "embed_dims": [8, 8, 16, 32]},
            ),
            "audio_config": {
                "vocab_offset": ids["<audio_soft_token>"],
                "vocab_size": 1,
                "hidden_size": 32,
                "conf_num_hidden_layers": 1,
                "conf_num_attention_heads": 2,
                "sscp_conv_channel_size": [4, 4],
            },
            "text_config": {
                **TEXT,
                "vocab_size": len(ids),
                "vocab_size_per_layer_input": ids["<image_soft_token>"],
                "hidden_size_per_layer_input": 8,
                "altup_num_inputs": 2,
                "num_kv_shared_layers": 0,
                "laurel_rank": 8,
                "sliding_window": 64,
                "activation_sparsity_pattern": [0.0, 0.0],
                "layer_types": ["sliding_attention", "full_attention"],
            },
            "vision_soft_tokens_per_image": 4,
            "image_token_id": ids["<image_soft_token>"],
            "boi_token_id": ids["<start_of_image>"],
            "eoi_token_id": ids["<end_of_image>"],
            "audio_token_id": ids["<audio_soft_token>"],
            "boa_token_id": ids["<start_of_audio>"],
            "eoa_token_id": ids["<end_of_audio>"],
        },
        gemma3n,
        [
            *("<start_of_image>", "<end_of_image>", "<start_of_audio>", "<end_of_audio>"),
            *("\n" * i for i in range(1, 5)),
            *("<image_soft_token>", "<audio_soft_token>"),
        ],
        "<image_soft_token>",
        {
            "image_token": "<image_soft_token>",
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
            "audio_token": "<audio_soft_token>",
            "boa_token": "<start_of_audio>",
            "eoa_token": "<end_of_audio>",
        },
        sizes=((64, 64),),
        embedding_gain=0.05,
    ),
    Checkpoint(
        "paddleocr_vl",
        "PaddleOCRVLForConditionalGeneration",
        lambda ids: {
            "vision_config": vision("paddleocr_vl_vision", **{**TOWER, "image_size": 32}),
            "text_config": {**TEXT, "vocab_size": len(ids), "rope_parameters": {"rope_type": "default", **ROPE}},
            "image_token_id": ids["<|IMAGE_PLACEHOLDER|>"],
            "video_token_id": ids["<|video_pad|>"],
            "vision_start_token_id": ids["<|IMAGE_START|>"],
            "vision_end_token_id": ids["<|IMAGE_END|>"],
        },
        paddleocr,
        ["<|IMAGE_START|>", "<|IMAGE_PLACEHOLDER|>", "<|IMAGE_END|>", "<|video_pad|>"],
        "<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>",
        {"image_token": "<|IMAGE_PLACEHOLDER|>"},
        sizes=((24, 16), (32, 24)),
    ),
    Checkpoint(
        "qianfan_ocr",
        "QianfanOCRForConditionalGeneration",
        lambda ids: {
            "vision_config": vision(
                "qianfan_ocr_vision", **{**TOWER, "image_size": [24, 24]}, **{"patch_size": [4, 4]}
            ),
            "text_config": {**TEXT, "model_type": "qwen3", "vocab_size": len(ids)},
            "image_token_id": ids["<IMG_CONTEXT>"],
            "image_seq_length": 9,
        },
        lambda words: transformers.QianfanOCRProcessor(
            transformers.GotOcr2ImageProcessor(**LOOK, size=SQUARE, crop_to_patches=True, min_patches=1, max_patches=3),
            words,
            image_seq_length=9,
            image_placeholder_token="<IMG_CONTEXT>",
        ),
        INTERN_TOKENS,
        "<IMG_CONTEXT>",
        {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>"},
        sizes=((24, 24), (48, 24)),
    ),
    Checkpoint(
        "llava_next_video",
        "LlavaNextVideoForConditionalGeneration",
        lambda ids: {
            "vision_config": CLIP,
            "text_config": {**TEXT, "model_type": "llama", "vocab_size": len(ids)},
            "image_token_index": ids["<image>"],
            "video_token_index": ids["<video>"],
            "image_grid_pinpoints": PINPOINTS,
        },
        next_video,
        ["<image>", "<video>"],
        "<image>",
        {"image_token": "<image>", "video_token": "<video>"},
        sizes=((24, 24), (40, 20)),
    ),
    Checkpoint(
        "cohere2_vision",
        "Cohere2VisionForConditionalGeneration",
        lambda ids: {
            "vision_config": {**SIGLIP, "image_size": 16},
            "text_config": {
                **TEXT,
                "model_type": "cohere2",
                "vocab_size": len(ids),
                "sliding_window": 1024,  # vLLM sees one token more through it
                "layer_types": ["sliding_attention", "full_attention"],
            },
            "image_token_id": ids["<|IMG_PATCH|>"],
            "alignment_intermediate_size": 64,
        },
        lambda words: transformers.Cohere2VisionProcessor(
            transformers.Cohere2VisionImageProcessor(
                size={"height": 16, "width": 16}, patch_size=2, max_patches=3, crop_to_patches=True
            ),
            words,
        ),
        ["<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_PATCH|>", "<|IMG_LINE_BREAK|>"],
        "<|IMG_PATCH|>",
        {
            "boi_token": "<|START_OF_IMG|>",
            "eoi_token": "<|END_OF_IMG|>",
            "image_token": "<|IMG_PATCH|>",
            "img_line_break_token": "<|IMG_LINE_BREAK|>",
        },
        sizes=((16, 16), (32, 16)),
    ),
    Checkpoint(
        "lfm2_vl",
        "Lfm2VlForConditionalGeneration",
        lambda ids: {
            "vision_config": vision("siglip2_vision_model", hidden_size=64, num_attention_heads=2, num_patches=64),
            "text_config": {
                **TEXT,
                "model_type": "lfm2",
                "vocab_size": len(ids),
                "layer_types": ["conv", "full_attention"],
                **{"conv_dim": HIDDEN, "block_dim": HIDDEN},  # of the hub's configs; vLLM wants them
            },
            "image_token_id": ids["<image>"],
            "projector_hidden_size": 96,
        },
        lfm2,
        [
            *("<image>", "<|image_start|>", "<|image_end|>", "<|img_thumbnail|>"),
            *(f"<|img_row_{row}_col_{col}|>" for row in range(1, 5) for col in range(1, 5)),
        ],
        "<image>",
        {
            "image_token": "<image>",
            "image_start_token": "<|image_start|>",
            "image_end_token": "<|image_end|>",
            "image_thumbnail_token": "<|img_thumbnail|>",
        },
        sizes=((24, 16), (64, 32)),
    ),
    Checkpoint(
        "llama4",
        "Llama4ForConditionalGeneration",
        lambda ids: {
            "vision_config": {
                "hidden_size": 64,
                "intermediate_size": 256,  # of four patches, which its adapter joins
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "image_size": 16,
                "patch_size": 4,
                "vision_output_dim": 64,
                "projector_input_dim": 64,
                "projector_output_dim": 64,
            },
            # rotary in the first layer only
            "text_config": {
                **TEXT,
                "vocab_size": len(ids),
                "intermediate_size_mlp": 192,
                "num_local_experts": 2,
                "no_rope_layer_interval": 2,
                "attention_chunk_size": 1024,
            },
            "boi_token_index": ids["<|image_start|>"],
            "eoi_token_index": ids["<|image_end|>"],
            "image_token_index": ids["<|patch|>"],
        },
        llama4,
        [
            *("<|image_start|>", "<|image_end|>", "<|image|>"),
            *("<|patch|>", "<|tile_x_separator|>", "<|tile_y_separator|>"),
        ],
        "<|image|>",
        sizes=((16, 16), (32, 16)),
    ),
    Checkpoint(
        "aria",
        "AriaForConditionalGeneration",
        lambda ids: {
            "vision_config": vision("idefics3_vision", **{**TOWER, "image_size": 980, "patch_size": 140}),
            "text_config": {
                **TEXT,
                "model_type": "aria_text",
                "vocab_size": len(ids),
                "moe_num_experts": 4,
                "moe_topk": 2,
                "moe_num_shared_experts": 1,
            },
            "projector_patch_to_query_dict": {49: 9},
            "image_token_index": ids["<|img|>"],
        },
        aria,
        ["<|img|>"],
        "<|img|>",
        {"image_token": "<|img|>"},
        sizes=((24, 24), (40, 20)),
    ),
    Checkpoint(
        "ernie4_5_vl_moe",
        "Ernie4_5_VLMoeForConditionalGeneration",
        lambda ids: {
            "vision_config": {**QWEN_TOWER, "intermediate_size": 96},
            "text_config": {
                **TEXT,
                "vocab_size": len(ids),
                "rope_parameters": {"rope_type": "default", **ROPE, "mrope_section": [6, 6, 4]},
                "moe_intermediate_size": [64, 32],
                "moe_k": 2,
                "moe_num_experts": 4,
                "moe_num_shared_experts": 1,
            },
            **{f"{name}_id": ids[word] for name, word in ERNIE_TOKENS.items()},
        },
        ernie,
        list(ERNIE_TOKENS.values()),
        "<|IMAGE_START|><|IMAGE_PLACEHOLDER|><|IMAGE_END|>",
        ERNIE_TOKENS,
        sizes=((24, 16), (32, 24)),
    ),
]
