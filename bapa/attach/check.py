"""Whether a model can express a scheme, told before anything is attached."""

from __future__ import annotations

from bapa.attach import attention
from bapa.attach.plan import Plan
from bapa.errors import SchemeError
from bapa.families.anatomy import Anatomy
from bapa.schemes import Scheme
from bapa.schemes.part import EVERYWHERE

STATES = ("linear_attention", "conv")  # kinds of layers that pass on a state and take no positions


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
    attending = attends(anatomy)
    if count and chosen and not any(attending[layer] for layer in chosen):
        told = ", ".join(str(layer) for layer, its in enumerate(attending) if its)
        raise SchemeError(f"{scheme}: {model} has attention in layers {told} alone, and the rule names none of them")
    if scheme.effects.attends:
        attention.check(anatomy, scheme)
    _check_shared(anatomy, scheme)


def attends(anatomy: Anatomy) -> list[bool]:
    """Of each layer, whether it attends; in a hybrid model others pass on a state."""
    kinds = getattr(anatomy.model.config.get_text_config(), "layer_types", None) or ()
    count = len(anatomy.layers)
    return [kind not in STATES for kind in kinds] if len(kinds) == count else [True] * count


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
