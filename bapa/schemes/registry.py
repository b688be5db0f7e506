"""Schemes by name, and their text form ``name:option=value,option=value``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from difflib import get_close_matches
from importlib import import_module
from typing import Any, Literal, get_args, get_origin, get_type_hints

from bapa.errors import SchemeError
from bapa.schemes.base import Scheme
from bapa.schemes.effects import Attention

# Files of this folder, each with the scheme of that name: rules for every model, rules for M-RoPE models, controls.
_BUILT_IN = (
    *("native", "bapa", "calibrated", "stride", "concentric", "manhattan", "pyramid", "vrope", "id_align"),
    *("anchored", "agci", "imccd", "cmpc", "restore", "sofa"),
    *("mrope", "spatial_reset", "diagonal", "circle"),
    *("reverse", "shuffle", "null"),
)


def _written(name: str) -> type[Scheme]:
    """The scheme in the file ``name``."""
    found = vars(import_module(f"bapa.schemes.{name}")).values()
    return next(kind for kind in found if isinstance(kind, type) and issubclass(kind, Scheme) and _is(kind, name))


def _is(kind: type[Scheme], name: str) -> bool:
    return getattr(kind, "name", None) == name and not kind.__name__.startswith("_")


SCHEMES: dict[str, type[Scheme]] = {name: _written(name) for name in _BUILT_IN}


def register(kind: type[Scheme]) -> type[Scheme]:
    """Make a scheme of one's own known by its name; decorates its class. SchemeError where the name is taken."""
    if SCHEMES.get(kind.name, kind) is not kind:
        raise SchemeError(f"the name {kind.name!r} is taken by {SCHEMES[kind.name].__name__}; give the scheme another")
    SCHEMES[kind.name] = kind
    return kind


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
    made = kind(**options)  # type: ignore[arg-type]  # each scheme checks its own
    made.check()
    return made


NATIVE = make("native")  # what a model runs under that nothing was done to
LISTS = ("layers", "channels", "shares")  # options whose values may hold commas


def parse(text: str | Scheme) -> Scheme:
    """A scheme from its text form, e.g. ``"bapa:distance=native"``; a Scheme is returned as it is."""
    if isinstance(text, Scheme):
        return text
    if not isinstance(text, str):
        found = f"the class {text.__name__}" if isinstance(text, type) else repr(text)
        raise SchemeError(f"{found} is no scheme; a name ('bapa'), a text form ('bapa:distance=3') or a Scheme is one")
    name, _, rest = text.strip().partition(":")
    options: dict[str, object] = {}
    key = ""
    for part in filter(None, rest.split(",")):
        before, (key, equals, value) = key, part.partition("=")
        if not equals and before in LISTS:  # a list goes on: layers=0-5,-1
            key, options[before] = before, f"{options[before]},{part.strip()}"
            continue
        if not equals:
            raise SchemeError(f"{part!r} in scheme {text!r}: write options as name:option=value,option=value")
        if (key := key.strip()) in options:
            raise SchemeError(f"option {key!r} stands twice in scheme {text!r}")
        options[key] = _value(value.strip())
    return make(name, **options)


@dataclass(frozen=True)
class Option:
    """An option of a scheme: its name, what it accepts in words, its default."""

    name: str
    accepts: str
    default: object


COMMON = {f.name: Option(f.name, str(f.metadata["accepts"]), f.default) for f in fields(Scheme)}  # of every scheme


@dataclass(frozen=True)
class Row:
    """A scheme in a table. ``axes``: rotary axes it needs; ``attention``: the mask its paper pairs it with."""

    name: str
    options: tuple[Option, ...]
    paper: str
    axes: int
    attention: Attention
    summary: str

    @property
    def own(self) -> list[Option]:
        """The options that not every scheme has, or has with this default."""
        return [option for option in self.options if option != COMMON.get(option.name)]


def table() -> list[Row]:
    """All schemes, one row each, as their classes declare them."""
    return [
        Row(name, tuple(_options(kind)), kind.paper, kind.axes, kind.attention, _summary(kind))
        for name, kind in SCHEMES.items()
    ]


def _options(kind: type[Scheme]) -> Iterator[Option]:
    hints = get_type_hints(kind)
    for f in fields(kind):
        common = COMMON.get(f.name)
        yield Option(f.name, common.accepts if common else _accepts(hints[f.name]), f.default)


def _accepts(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " | ".join(map(str, get_args(hint)))
    return " | ".join(map(_accepts, get_args(hint))) or str(hint.__name__)


def _summary(kind: type[Scheme]) -> str:
    return (kind.__doc__ or "").splitlines()[0].replace("``", "")


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
