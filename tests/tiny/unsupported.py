"""Models whose image positions no scheme can change, for the errors that say so."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

from tests.tiny.base import END, HIDDEN, IMAGE, START, VIDEO, VOCABULARY, text, vision
from tests.tiny.mrope import EXPERTS, LINEAR, QWEN3_TOWER, TOKENS
from tests.tiny.newest import minicpm_config


@dataclass(frozen=True)
class Unsupported:
    """``reason``: what keeps the model from being balanced, in a word or two that an error should contain."""

    name: str
    model_class: str
    config: Mapping[str, Any]
    reason: str

    def build(self) -> PreTrainedModel:
        """A fresh model with random weights, in eval mode, float32."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model_class = getattr(transformers, self.model_class)
            return model_class._from_config(model_class.config_class(**copy.deepcopy(dict(self.config)))).eval()


CROSS = "cross-attention"
ENCODER = "encoder-decoder"
NO_ROTARY = "no rotary"
TEXT_ONLY = "text-only"

BERT = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
BART = {
    "model_type": "bart",
    "vocab_size": VOCABULARY,
    "d_model": HIDDEN,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 96,
    "max_position_embeddings": 64,
}

UNSUPPORTED: dict[str, Unsupported] = {
    model.name: model
    for model in [
        Unsupported("llama", "LlamaForCausalLM", text(), TEXT_ONLY),
        Unsupported("qwen3", "Qwen3ForCausalLM", text(), TEXT_ONLY),
        Unsupported(
            "mllama",
            "MllamaForConditionalGeneration",
            {
                "vision_config": {
                    "hidden_size": 32,
                    "num_hidden_layers": 2,
                    "num_global_layers": 1,
                    "attention_heads": 2,
                    "intermediate_size": 48,
                    "vision_output_dim": 64,
                    "image_size": 16,
                    "patch_size": 4,
                    "intermediate_layers_indices": [0],
                },
                "text_config": text(cross_attention_layers=[1]),
                "image_token_index": IMAGE,
            },
            CROSS,
        ),
        Unsupported(
            "idefics",
            "IdeficsForVisionText2Text",
            {
                **text(cross_layer_interval=1),
                "vision_config": {
                    "embed_dim": 32,
                    "image_size": 16,
                    "intermediate_size": 48,
                    "patch_size": 4,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 2,
                },
            },
            CROSS,
        ),
        Unsupported(
            "blip",
            "BlipForConditionalGeneration",
            {"text_config": BERT, "vision_config": vision("blip_vision_model", image_size=16)},
            NO_ROTARY,
        ),
        Unsupported(
            "git", "GitForCausalLM", {**BERT, "vision_config": vision("git_vision_model", image_size=16)}, NO_ROTARY
        ),
        Unsupported(
            "kosmos_2",
            "Kosmos2ForConditionalGeneration",
            {
                "text_config": {
                    "vocab_size": VOCABULARY,
                    "embed_dim": HIDDEN,
                    "layers": 2,
                    "ffn_dim": 96,
                    "attention_heads": 4,
                    "max_position_embeddings": 64,
                },
                "vision_config": vision("kosmos_2_vision_model", image_size=16),
                "latent_query_num": 4,
            },
            NO_ROTARY,
        ),
        Unsupported(
            "blip_2_opt",
            "Blip2ForConditionalGeneration",
            {
                "vision_config": vision("blip_2_vision_model", image_size=16),
                "qformer_config": {**BERT, "encoder_hidden_size": 32},
                "text_config": {
                    "model_type": "opt",
                    "vocab_size": VOCABULARY,
                    "hidden_size": HIDDEN,
                    "num_hidden_layers": 2,
                    "ffn_dim": 96,
                    "num_attention_heads": 4,
                    "max_position_embeddings": 64,
                    "word_embed_proj_dim": HIDDEN,
                },
                "num_query_tokens": 4,
                "image_token_index": IMAGE,
            },
            NO_ROTARY,
        ),
        Unsupported(
            "florence2",
            "Florence2ForConditionalGeneration",
            {
                "text_config": BART,
                "vision_config": {
                    "depths": [1],
                    "patch_size": [4],
                    "patch_stride": [4],
                    "patch_padding": [0],
                    "patch_prenorm": [False],
                    "embed_dim": [32],
                    "num_heads": [2],
                    "num_groups": [2],
                    "window_size": 4,
                    "projection_dim": HIDDEN,
                },
                "image_token_id": IMAGE,
            },
            ENCODER,
        ),
        Unsupported(
            "pix2struct",
            "Pix2StructForConditionalGeneration",
            {
                "text_config": {"vocab_size": VOCABULARY, "hidden_size": 32, "d_kv": 16, "d_ff": 48, "num_layers": 2}
                | {"num_heads": 2},
                "vision_config": {"hidden_size": 32, "patch_embed_hidden_size": 48, "d_kv": 16, "d_ff": 48}
                | {"num_hidden_layers": 2, "num_attention_heads": 2, "seq_len": 16},
            },
            ENCODER,
        ),
        Unsupported(
            "minicpmv4_7",
            "MiniCPMV4_7ForConditionalGeneration",
            minicpm_config(image_start_id=START, image_end_id=END),
            "canvas",
        ),
        Unsupported(
            "phi4_multimodal",
            "Phi4MultimodalForCausalLM",
            {
                **text(),
                "vision_config": {
                    "hidden_size": 32,
                    "intermediate_size": 48,
                    "num_hidden_layers": 2,
                    "num_attention_heads": 2,
                    "image_size": 16,
                    "crop_size": 16,
                    "patch_size": 4,
                    "image_token_id": IMAGE,
                },
                "audio_config": {
                    "hidden_size": 32,
                    "intermediate_size": 48,
                    "num_blocks": 2,
                    "num_attention_heads": 2,
                    "ext_pw_out_channel": 32,
                    "depthwise_separable_out_channel": 32,
                    "nemo_conv_channels": 32,
                    "input_size": 16,
                    "audio_token_id": VIDEO,
                },
            },
            "nothing between",
        ),
        Unsupported(
            "qwen4_exp",
            "Qwen4ExpForConditionalGeneration",
            {
                "vision_config": QWEN3_TOWER,
                "text_config": text(
                    **LINEAR,
                    **EXPERTS,
                    num_experts=4,
                    shared_expert_intermediate_size=32,
                    hc_lowrank=16,
                    indexer_n_heads=2,
                    indexer_kv_heads=1,
                    indexer_head_dim=16,
                    indexer_budget=512,
                    indexer_compress_ratio=4,
                ),
                **TOKENS,
            },
            "indexer",
        ),
    ]
}
