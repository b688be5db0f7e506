"""The scheme in a model's config: ``config.bapa = {"scheme": name, "options": {...}, "version": 1}``.

Saving, loading, adapters and result files all read this one record. The switch of the paper's own code,
``"position_balance": true``, is read as BaPA.
"""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig

from bapa.errors import SchemeError
from bapa.schemes import Scheme, make

VERSION = 1
NAMES = ("bapa", "position_balance")  # of config attributes that record a scheme


def entry(scheme: Scheme) -> dict[str, Any]:
    """The record of ``scheme``."""
    return {"scheme": scheme.name, "options": scheme.options, "version": VERSION}


def write(config: PretrainedConfig, scheme: Scheme) -> None:
    """Record ``scheme``, in place of what was recorded."""
    put(config, {"bapa": entry(scheme)})


def erase(config: PretrainedConfig) -> None:
    """Forget the record, under whichever name it stands."""
    put(config, {})


def held(config: PretrainedConfig) -> dict[str, Any]:
    """The attributes of ``config`` that record a scheme, as they stand, for :func:`put`."""
    return {name: vars(config)[name] for name in NAMES if name in vars(config)}


def put(config: PretrainedConfig, attributes: dict[str, Any]) -> None:
    """Make ``attributes`` the only ones of ``config`` that record a scheme."""
    for name in NAMES:
        vars(config).pop(name, None)
    for name, value in attributes.items():
        setattr(config, name, value)


def read(config: PretrainedConfig) -> Scheme | None:
    """The recorded scheme, or None; SchemeError where the record cannot be read."""
    found: Any = getattr(config, "bapa", None)
    if found is None:
        return make("bapa") if getattr(config, "position_balance", False) is True else None
    if not isinstance(found, dict) or "scheme" not in found or found.get("version") != VERSION:
        raise SchemeError(
            f"config.bapa is {found!r}; this release reads {{'scheme': NAME, 'options': {{...}}, 'version': {VERSION}}}"
        )
    return make(found["scheme"], **found.get("options", {}))
