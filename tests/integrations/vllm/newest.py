"""Tiny checkpoints of the families that people serve in 2026."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import transformers
from tokenizers import decoders
from transformers import PreTrainedTokenizerFast

from tests.integrations.vllm.checkpoints import (
    HIDDEN,
    QWEN,
    QWEN_TOWER,
    ROPE,
    TEXT,
    Checkpoint,
    qwen,
    qwen_config,
)
from tests.tiny.base import vision

PIXTRAL_TOWER = vision("pixtral", image_size=32, head_dim=16)
PIXTRAL_TOKENS = ["[IMG]", "[IMG_BREAK]", "[IMG_END]"]
# The kernels of the CPU build want larger heads in bfloat16.
LINEAR = {
    "head_dim": 64,
    "layer_types": ["linear_attention", "full_attention"],
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_num_key_heads": 1,
    "linear_num_value_heads": 2,
}
HALF = {"rope_theta": 10000.0, "mrope_section": [2, 3, 3], "partial_rotary_factor": 0.5}
WIDE = {**HALF, "mrope_section": [4, 6, 6], "mrope_interleaved": True}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
NAMED_TOKENS = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
GLM_TOKENS = [
    *("<|begin_of_image|>", "<|end_of_image|>", "<|image|>"),
    *("<|begin_of_video|>", "<|end_of_video|>", "<|video|>"),
]
GLM = {
    "tokens": GLM_TOKENS,
    "picture": "<|begin_of_image|><|image|><|end_of_image|>",
    "named": {"image_token": "<|image|>", "video_token": "<|video|>"},
    "sizes": ((24, 16), (32, 24)),
}
GLM_TOWER = {**QWEN_TOWER, "image_size": 32}
GLM_EXPERTS = {
    "moe_intermediate_size": 64,
    "num_experts_per_tok": 2,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "use_qk_norm": False,  # of the hub's configs; vLLM wants it
}
# In bfloat16 alone: vLLM's linear attention on a CPU. A state of it is as large as the keys of 288 tokens, and a prefix
# is kept in blocks of that many.
HYBRID = {"engine": {"dtype": "bfloat16"}, "shared": 300}


def hybrid(ids: Mapping[str, int], **more: Any) -> dict[str, Any]:
    """Qwen3.5: one layer of linear attention, one of attention in which half of the channels turn."""
    config = qwen_config(ids, WIDE, {**QWEN_TOWER, "num_position_embeddings": 36})
    return {**config, "text_config": {**config["text_config"], **LINEAR, **more}}


def glm_config(ids: Mapping[str, int], **more: Any) -> dict[str, Any]:
    return {
        "text_config": {**TEXT, "vocab_size": len(ids), "rope_parameters": {"rope_type": "default", **HALF}, **more},
        "vision_config": GLM_TOWER,
        "image_token_id": ids["<|image|>"],
        "video_token_id": ids["<|video|>"],
        "image_start_token_id": ids["<|begin_of_image|>"],
        "image_end_token_id": ids["<|end_of_image|>"],
        "video_start_token_id": ids["<|begin_of_video|>"],
        "video_end_token_id": ids["<|end_of_video|>"],
    }


def pixtral(words: PreTrainedTokenizerFast) -> Any:
    return transformers.PixtralProcessor(
        transformers.PixtralImageProcessor(size={"longest_edge": 32}, patch_size={"height": 4, "width": 4}),
        words,
        patch_size=4,
        spatial_merge_size=2,
    )


def smolvlm(words: PreTrainedTokenizerFast) -> Any:
    pixels = {"size": {"longest_edge": 48}, "max_image_size": {"longest_edge": 24}}
    return transformers.SmolVLMProcessor(
        transformers.SmolVLMImageProcessor(**pixels),
        words,
        transformers.SmolVLMVideoProcessor(**pixels),
        image_seq_len=9,
        chat_template="{{ messages }}",
    )


def gemma4(words: PreTrainedTokenizerFast) -> Any:
    return transformers.Gemma4Processor(
        transformers.Gemma4AudioFeatureExtractor(),
        transformers.Gemma4ImageProcessor(patch_size=4, pooling_kernel_size=2, max_soft_tokens=70),
        words,
        transformers.Gemma4VideoProcessor(patch_size=4, pooling_kernel_size=2, max_soft_tokens=70),
        image_seq_length=70,
    )


def minicpm(words: PreTrainedTokenizerFast) -> Any:
    words.backend_tokenizer.decoder = decoders.Fuse()  # no spaces, as vLLM looks for "<image_id>0</image_id>"
    size = {"scale_resolution": 32, "patch_size": 4, "max_slice_nums": 4}
    return transformers.MiniCPMV4_6Processor(
        transformers.MiniCPMV4_6ImageProcessor(**size), transformers.MiniCPMV4_6VideoProcessor(**size), words
    )


ROWS = [f"<row_{row}_col_{col}>" for row in range(1, 7) for col in range(1, 7)]

CHECKPOINTS = [
    Checkpoint(
        "mistral3",
        "Mistral3ForConditionalGeneration",
        lambda ids: {
            "vision_config": PIXTRAL_TOWER,
            "text_config": {**TEXT, "model_type": "mistral", "vocab_size": len(ids), "sliding_window": None},
            "image_token_index": ids["[IMG]"],
            "projector_hidden_act": "gelu",
            "spatial_merge_size": 2,
        },
        pixtral,
        PIXTRAL_TOKENS,
        "[IMG]",
        sizes=((24, 16), (32, 24)),
    ),
    Checkpoint(
        "qwen3_5",
        "Qwen3_5ForConditionalGeneration",
        hybrid,
        qwen("Qwen3VLProcessor", "Qwen2VLImageProcessor", "Qwen3VLVideoProcessor"),
        **QWEN,
        **HYBRID,
        added=True,
    ),
    Checkpoint(
        "qwen3_5_moe",
        "Qwen3_5MoeForConditionalGeneration",
        lambda ids: hybrid(ids, **EXPERTS, shared_expert_intermediate_size=64),
        qwen("Qwen3VLProcessor", "Qwen2VLImageProcessor", "Qwen3VLVideoProcessor"),
        **QWEN,
        **HYBRID,
        added=True,
    ),
    Checkpoint(
        "qwen3_vl_moe",
        "Qwen3VLMoeForConditionalGeneration",
        lambda ids: {
            **(
                made := qwen_config(
                    ids,
                    {**ROPE, "mrope_interleaved": True},
                    {**QWEN_TOWER, "num_position_embeddings": 36, "deepstack_visual_indexes": [0, 1]},
                )
            ),
            # norm_topk_prob: of the hub's configs; vLLM wants it. No square weights: they tell how they were saved.
            "text_config": {**made["text_config"], **EXPERTS, "moe_intermediate_size": 96, "norm_topk_prob": True},
        },
        qwen("Qwen3VLProcessor", "Qwen2VLImageProcessor", "Qwen3VLVideoProcessor"),
        **QWEN,
    ),
    Checkpoint(
        "gemma4",
        "Gemma4ForConditionalGeneration",
        lambda ids: {
            "vision_config": {
                "hidden_size": 64,
                "intermediate_size": 96,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "head_dim": 32,
                "pooling_kernel_size": 2,
                "patch_size": 4,
                "position_embedding_size": 80,
                "default_output_length": 70,  # of the hub's configs; vLLM wants it
            },
            "text_config": {
                **TEXT,
                "vocab_size": len(ids),
                "sliding_window": 64,
                "layer_types": ["sliding_attention", "full_attention"],
                "global_head_dim": 64,
                "hidden_size_per_layer_input": 0,
                "vocab_size_per_layer_input": len(ids),
            },
            "audio_config": None,
            "image_token_id": ids["<|image|>"],
            "video_token_id": ids["<|video|>"],
            "boi_token_id": ids["<|image>"],
            "eoi_token_id": ids["<image|>"],
        },
        gemma4,
        ["<|image>", "<image|>", "<|image|>", "<|video|>", "<|audio>", "<audio|>", "<|audio|>"],
        "<|image|>",
        {
            "image_token": "<|image|>",
            "boi_token": "<|image>",
            "eoi_token": "<image|>",
            "audio_token": "<|audio|>",
            "boa_token": "<|audio>",
            "eoa_token": "<audio|>",
        },
        sizes=((48, 32), (64, 64)),
        embedding_gain=0.3,
        shared=140,  # layers with heads of two sizes have larger blocks
    ),
    Checkpoint(
        "glm4v",
        "Glm4vForConditionalGeneration",
        glm_config,
        qwen("Glm4vProcessor", "Glm4vImageProcessor", "Glm4vVideoProcessor"),
        **GLM,
    ),
    Checkpoint(
        "glm4v_moe",
        "Glm4vMoeForConditionalGeneration",
        lambda ids: glm_config(ids, **GLM_EXPERTS),
        qwen("Glm4vProcessor", "Glm4vImageProcessor", "Glm4vVideoProcessor"),
        **GLM,
    ),
    Checkpoint(
        "glm46v",
        "Glm46VForConditionalGeneration",
        lambda ids: {
            **(made := glm_config(ids, model_type="glm4v_text")),
            "vision_config": {**made["vision_config"], "model_type": "glm4v_vision"},
        },
        qwen("Glm46VProcessor", "Glm46VImageProcessor", "Glm46VVideoProcessor"),
        **GLM,
    ),
    Checkpoint(
        "glm_ocr",
        "GlmOcrForConditionalGeneration",
        lambda ids: {
            **(made := glm_config(ids)),
            "text_config": {
                **made["text_config"],
                "intermediate_size": 3 * HIDDEN,  # vLLM reads the width of the merger from it, transformers does not
                "rope_parameters": {"rope_type": "default", **ROPE, "partial_rotary_factor": 1.0},
            },
        },
        qwen("Glm46VProcessor", "Glm46VImageProcessor", "Glm46VVideoProcessor"),
        **GLM,
    ),
    Checkpoint(
        "minicpmv4_6",
        "MiniCPMV4_6ForConditionalGeneration",
        lambda ids: {
            "vision_config": vision("minicpmv4_6_vision", image_size=32, hidden_size=64, num_attention_heads=2),
            "text_config": {
                **TEXT,
                **LINEAR,
                "model_type": "qwen3_5_text",
                "vocab_size": len(ids),
                "rope_parameters": {"rope_type": "default", **WIDE},
            },
            "insert_layer_id": 0,
            "image_token_id": ids["<|image_pad|>"],
            "video_token_id": ids["<|video_pad|>"],
            "downsample_mode": "16x",
        },
        minicpm,
        [
            "<|image_pad|>",
            "<|video_pad|>",
            "<image>",
            "</image>",
            "<slice>",
            "</slice>",
            "<image_id>",
            "</image_id>",
            *("0", "1"),  # the numbers of the pictures
            "\n",
        ],
        "<|image_pad|>",
        {
            **NAMED_TOKENS,
            "image_start_token": "<image>",
            "image_end_token": "</image>",
            "slice_start_token": "<slice>",
            "slice_end_token": "</slice>",
            "image_id_start_token": "<image_id>",
            "image_id_end_token": "</image_id>",
        },
        sizes=((32, 32), (64, 40)),
        engine={**HYBRID["engine"], "max_model_len": 640},
        shared=HYBRID["shared"],
    ),
    *(
        Checkpoint(
            name,
            f"{model}ForConditionalGeneration",
            lambda ids, name=name: {
                "vision_config": vision(f"{name}_vision", image_size=24, hidden_size=64, num_attention_heads=2),
                "text_config": {**TEXT, "model_type": "llama", "vocab_size": len(ids)},
                "image_token_id": ids["<image>"],
                "scale_factor": 2,
                "pad_token_id": 0,
            },
            processor,
            [
                *(
                    "<image>",
                    "<fake_token_around_image>",
                    "<global-img>",
                    "<end_of_utterance>",
                    "<video>",
                    "\n",
                    "\n\n",
                ),
                *ROWS,
            ],
            "<image>",
            {"image_token": "<image>", "fake_image_token": "<fake_token_around_image>"},
            sizes=((24, 24), (48, 24)),
        )
        for name, model, processor in (
            ("smolvlm", "SmolVLM", smolvlm),
            (
                "idefics3",
                "Idefics3",
                lambda words: transformers.Idefics3Processor(
                    transformers.Idefics3ImageProcessor(size={"longest_edge": 48}, max_image_size={"longest_edge": 24}),
                    words,
                    image_seq_len=9,
                ),
            ),
        )
    ),
]
