"""Self-contained checkpoints of the tiny families, and how they are loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from torch import nn
from transformers import AutoModelForImageTextToText, PreTrainedModel

from bapa.checkpoints import Loaded
from bapa.checkpoints.export import export
from tests.tiny import FAMILIES, Family
from tests.tune.processors import NAMES, processor


def exported(name: str, folder: Path, scheme: Any = "bapa") -> Family:
    """The family called ``name``, its tiny model self-contained in ``folder``. Where no processor of its own is at
    hand, that of LLaVA stands in, which nothing here asks.
    """
    family = FAMILIES[name]
    words = processor(name if name in NAMES else "llava")
    export(Loaded(family.build(), words, name, ""), folder, scheme, self_contained=True)
    return family


def plain(folder: Path, family: Family, **options: Any) -> PreTrainedModel:
    """The model in ``folder`` as transformers loads it, its weights where those of a model that was built lie.

    In a mapped file they need not begin at a multiple of 64 bytes, and on a processor with AVX2 alone a product then
    rounds otherwise: transformers' own model differs in the last bit from itself.
    """
    attention = {"": "eager", "text_config": "sdpa"} if family.eager_tower else "sdpa"
    model = AutoModelForImageTextToText.from_pretrained(folder, attn_implementation=attention, **options).eval()
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()
    return model


def alone(folder: Path, family: Family) -> nn.Module:
    """The model in ``folder`` by the code that stands beside it."""
    model = plain(folder, family, trust_remote_code=True)
    assert type(model).__module__.startswith("transformers_modules.")
    return model


_WITHOUT = """
import sys
sys.modules["bapa"] = None
import torch
from transformers import AutoModelForImageTextToText
for name in sys.argv[1:]:
    model = AutoModelForImageTextToText.from_pretrained(name, trust_remote_code=True, attn_implementation="sdpa").eval()
    inputs = torch.load(f"{name}.inputs")
    with torch.no_grad():
        logits = model(**inputs).logits
        tokens = model.generate(**inputs, max_new_tokens=4, do_sample=False, suppress_tokens=list(range(100, 128)))
        model.save_pretrained(f"{name}-again")
        model.unbalance()
        native = model(**inputs).logits
        model.save_pretrained(f"{name}-restored")
    torch.save((logits, tokens, native), f"{name}.found")
assert not [name for name in sys.modules if name.startswith("bapa.")]
"""


def without_bapa(home: Path, *names: str) -> None:
    """Load each folder of ``home`` in a process where bapa cannot be imported, and run it on ``NAME.inputs``: logits,
    greedy tokens and the logits once it is unbalanced are then in ``NAME.found``. Saves it again before and after.
    """
    subprocess.run([sys.executable, "-c", _WITHOUT, *names], check=True, cwd=home, timeout=560)
