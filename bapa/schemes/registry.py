"""Schemes by name, and their text form ``name:option=value,option=value``."""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches

from bapa.errors import SchemeError
from bapa.schemes.bapa import Bapa
from bapa.schemes.base import Scheme
from bapa.schemes.native import Native

SCHEMES: dict[str, type[Scheme]] = {scheme.name: scheme for scheme in (Native, Bapa)}


def names() -> list[str]:
    """The names of all schemes."""
    return list(SCHEMES)


def make(name: str, **options: object) -> Scheme:
    """The scheme called ``name`` with ``options``; SchemeError where either is unknown or out of range."""
    if name not in SCHEMES:
        raise SchemeError(f"unknown scheme {name!r}{_meant(name, SCHEMES)}; known: {', '.join(SCHEMES)}")
    kind = SCHEMES[name]
    known = [f.name for f in fields(kind)]
    for option in options:
        if option not in known:
            accepted = f"its options: {', '.join(known)}" if known else "it has no options"
            raise SchemeError(f"scheme {name!r} has no option {option!r}{_meant(option, known)}; {accepted}")
    return kind(**options)  # type: ignore[arg-type]  # each scheme checks its own


def parse(text: str | Scheme) -> Scheme:
    """A scheme from its text form, e.g. ``"bapa:distance=native"``; a Scheme is returned as it is."""
    if isinstance(text, Scheme):
        return text
    name, _, rest = text.strip().partition(":")
    options = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise SchemeError(f"{part!r} in scheme {text!r}: write options as name:option=value,option=value")
        options[key.strip()] = _value(value.strip())
    return make(name, **options)


def _value(text: str) -> int | float | bool | str:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _meant(word: str, known: object) -> str:
    close = get_close_matches(word, list(known), n=1)  # type: ignore[call-overload]
    return f" (did you mean {close[0]!r}?)" if close else ""
