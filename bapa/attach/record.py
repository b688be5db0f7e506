"""The scheme in a model's config: ``config.bapa = {"scheme": name, "options": {...}, "version": 1}``.

Saving, loading, adapters and result files all read this one record.
"""

from __future__ import annotations

from typing import Any

from transformers import PretrainedConfig

from bapa.attach.entry import VERSION, put, told
from bapa.schemes import Scheme, make


def entry(scheme: Scheme) -> dict[str, Any]:
    """The record of ``scheme``."""
    return {"scheme": scheme.name, "options": scheme.options, "version": VERSION}


def write(config: PretrainedConfig, scheme: Scheme) -> None:
    """Record ``scheme``, in place of what was recorded."""
    put(config, {"bapa": entry(scheme)})


def erase(config: PretrainedConfig) -> None:
    """Forget the record, under whichever name it stands."""
    put(config, {})


def read(config: PretrainedConfig) -> Scheme | None:
    """The recorded scheme, or None; SchemeError where the record cannot be read."""
    found = told(config)
    return make(found[0], **found[1]) if found else None
