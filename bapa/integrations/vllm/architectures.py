"""The architectures that can be balanced, and what their balanced classes are called."""

from __future__ import annotations

PREFIX = "Bapa"

# Rotary axes of the architectures that can be balanced. With three (M-RoPE) vLLM asks the model for positions anyway.
ARCHITECTURES = {
    "Cohere2VisionForConditionalGeneration": 1,
    "Gemma3ForConditionalGeneration": 1,
    "Gemma4ForConditionalGeneration": 1,
    "Idefics3ForConditionalGeneration": 1,
    "InternVLForConditionalGeneration": 1,
    "LlavaForConditionalGeneration": 1,
    "LlavaNextForConditionalGeneration": 1,
    "LlavaOnevisionForConditionalGeneration": 1,
    "Mistral3ForConditionalGeneration": 1,
    "SmolVLMForConditionalGeneration": 1,
    "Glm4vForConditionalGeneration": 3,
    "Glm4vMoeForConditionalGeneration": 3,
    "GlmOcrForConditionalGeneration": 3,
    "MiniCPMV4_6ForConditionalGeneration": 3,
    "PaddleOCRVLForConditionalGeneration": 3,
    "Qwen2VLForConditionalGeneration": 3,
    "Qwen2_5_VLForConditionalGeneration": 3,
    "Qwen3VLForConditionalGeneration": 3,
    "Qwen3VLMoeForConditionalGeneration": 3,
    "Qwen3_5ForConditionalGeneration": 3,
    "Qwen3_5MoeForConditionalGeneration": 3,
}
