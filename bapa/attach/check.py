"""Whether a model can express a scheme, told before anything is attached."""

from __future__ import annotations

from bapa.attach import attention
from bapa.attach.plan import Plan
from bapa.errors import SchemeError
from bapa.families.anatomy import Anatomy
from bapa.schemes import Scheme
from bapa.schemes.part import EVERYWHERE

STATES = ("linear_attention", "conv")  # kinds of layers that pass on a state and take no positions
NOPE = ("cohere2", "exaone4")  # language models with rotary positions in layers with a sliding window alone


def check(anatomy: Anatomy, scheme: Scheme) -> None:
    """Raise SchemeError where the model cannot express ``scheme``."""
    scheme.check()
    anatomy.check(scheme)
    part, count, model = scheme.effects.part, len(anatomy.layers), type(anatomy.model).__name__
    chosen = part.layers.of(count or 1)
    if not part.layers.none and not chosen:
        raise SchemeError(f"layers={scheme.layers}: {model} has layers 0 to {count - 1}")
    if not count and part.layers != EVERYWHERE.layers:
        raise SchemeError(f"layers={scheme.layers}: the layers of {type(anatomy.decoder).__name__} are not known")
    effects = scheme.effects
    where, what = attends(anatomy), "attention"
    if (effects.positions or effects.looks) and effects.mask == "native" and effects.bias is None:
        where, what = turns(anatomy), "rotary positions"
    if count and chosen and not any(where[layer] for layer in chosen):
        told = ", ".join(str(layer) for layer, its in enumerate(where) if its)
        raise SchemeError(f"{scheme}: {model} has {what} in layers {told} alone, and the rule names none of them")
    if scheme.effects.attends:
        attention.check(anatomy, scheme)
    _check_shared(anatomy, scheme)


def attends(anatomy: Anatomy) -> list[bool]:
    """Of each layer, whether it attends; in a hybrid model others pass on a state."""
    kinds = getattr(anatomy.model.config.get_text_config(), "layer_types", None) or ()
    count = len(anatomy.layers)
    return [kind not in STATES for kind in kinds] if len(kinds) == count else [True] * count


def turns(anatomy: Anatomy) -> list[bool]:
    """Of each layer, whether it has rotary positions; some families have layers of attention without any."""
    config = anatomy.model.config.get_text_config()
    kinds = getattr(config, "layer_types", None) or ()
    by_kind = getattr(config, "rope_parameters", None) or {}
    attending = attends(anatomy)
    if marks := getattr(config, "no_rope_layers", None) or getattr(config, "layer_rope_theta", None):
        bare = [not mark for mark in marks]  # 0 where a layer has none, in either list
    elif config.model_type in NOPE and config.sliding_window:
        bare = [kind == "full_attention" for kind in kinds]
    else:
        bare = [kind in by_kind and by_kind[kind] is None for kind in kinds]
    if len(bare) != len(attending):
        return attending
    return [its and not without for its, without in zip(attending, bare, strict=True)]


def _check_shared(anatomy: Anatomy, scheme: Scheme) -> None:
    """The last layers of Gemma 3n and Gemma 4 may read the keys of earlier ones, which stand under those layers' rule,
    and get less than the prompt.
    """
    shared = getattr(anatomy.model.config.get_text_config(), "num_kv_shared_layers", None) or 0
    effects = scheme.effects
    alike = len(Plan.of(scheme, anatomy.axes, len(anatomy.layers)).variants) == 1
    if shared and (effects.attends or effects.mask != "native" or not alike):
        raise SchemeError(
            f"{scheme}: the last {shared} layers of {type(anatomy.model).__name__} read keys of earlier layers, so it "
            "takes only rules of positions that are the same in all layers and for all pairs, such as bapa"
        )
