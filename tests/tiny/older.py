"""What differs in transformers 4.57: families that need inputs of another form there, and what fails natively."""

from __future__ import annotations

from dataclasses import replace

from tests.tiny.base import Family

LEFT_OUT = {
    "aria": "its text config does not build from a dictionary",
    "chameleon": "its rotary embedding sits inside each attention layer: refused",
    "fuyu": "its pictures come as image_patches",
    "video_llava": "its pictures come as pixel_values_images",
    "vipllava": "its tower's default layers do not fit a tower of two",
}
MIXED = {"beams_need_no_cache": "the beams of a row of several images mix its pictures up"}
TIME = {"no_mask_equals_ones": "temporal positions are taken for those of the text"}
THREADS = {"threads_do_not_meet": "a tower that is asked for hidden states changes its layers while it runs"}
MIXING = [
    "aya_vision",
    "cohere2_vision",
    "deepseek_vl",
    "deepseek_vl_hybrid",
    "got_ocr2",
    "janus",
    "lfm2_vl",
    "llava",
    "llava_next",
]
MIXING += ["qwen2_5_omni_thinker", "qwen3_omni_moe_thinker"]
MIXING += ["llava_next_video", "llava_onevision", "mistral3", "ovis2", "paligemma"]
FAILS: dict[str, dict[str, str]] = {
    **dict.fromkeys(MIXING, MIXED),
    **dict.fromkeys(["glm4v", "glm4v_moe", "qwen3_vl", "qwen3_vl_moe"], TIME),
}
FAILS["lfm2_vl"] = {"compiled_before_it_is_balanced": "its cache of convolutions does not compile", **MIXED}
FAILS["smolvlm"] = {"chunks_of_every_size": "a chunk must hold whole pieces of a picture"}
FAILS["paligemma"] = {"cached_equals_recompute": "images and question see each other only in the prefill", **MIXED}


def adapted(families: dict[str, Family]) -> dict[str, Family]:
    """The families that can be built, each with what it fails there."""
    return {
        name: replace(family, skip={**family.skip, **THREADS, **FAILS.get(name, {})})
        for name, family in families.items()
        if name not in LEFT_OUT
    }
