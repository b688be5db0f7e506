"""Tiny checkpoints of more families that vLLM has."""

from __future__ import annotations

from typing import Any

import transformers
from transformers import PreTrainedTokenizerFast

from tests.integrations.vllm.checkpoints import CLIP, LOOK, PINPOINTS, ROPE, SIGLIP, TEXT, TILES, Checkpoint
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
                "sliding_window": 64,
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
]
