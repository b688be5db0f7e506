"""The record of a scheme in a model's config, as it stands there; :mod:`bapa.attach.record` knows schemes by name."""

from __future__ import annotations

from typing import Any

from bapa.errors import SchemeError

VERSION = 1
NAMES = ("bapa", "position_balance")  # of config attributes that record a scheme


def told(config: Any) -> tuple[str, dict[str, Any]] | None:
    """Name and options of the scheme that ``config`` records; None where it records none.

    The switch of the paper's own code, ``"position_balance": true``, is read as BaPA. Raises SchemeError where the
    record cannot be read.
    """
    found: Any = getattr(config, "bapa", None)
    if found is None:
        return ("bapa", {}) if getattr(config, "position_balance", False) is True else None
    if not isinstance(found, dict) or "scheme" not in found or found.get("version") != VERSION:
        raise SchemeError(
            f"config.bapa is {found!r}; this release reads {{'scheme': NAME, 'options': {{...}}, 'version': {VERSION}}}"
        )
    return found["scheme"], dict(found.get("options", {}))


def held(config: Any) -> dict[str, Any]:
    """The attributes of ``config`` that record a scheme, as they stand, for :func:`put`."""
    return {name: vars(config)[name] for name in NAMES if name in vars(config)}


def put(config: Any, attributes: dict[str, Any]) -> None:
    """Make ``attributes`` the only ones of ``config`` that record a scheme."""
    for name in NAMES:
        vars(config).pop(name, None)
    for name, value in attributes.items():
        setattr(config, name, value)
