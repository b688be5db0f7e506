"""What each decoder layer gets of a scheme: which rule, in which rotary channels, which attention effects."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from bapa.errors import SchemeError
from bapa.layout import Layout
from bapa.schemes import Look, Scheme
from bapa.schemes.partly import Partly, length


@dataclass(frozen=True)
class Tracks:
    """How one rotary embedding is put together, pair by pair, from several sets of positions.

    ``members``: numbers of rules, None for the model's own positions. ``table``: the member of the pairs whose
    wavelength lies below the first of ``edges``, between the first and the second, and so on; ``numbered``: that of
    pairs in by their number.
    """

    members: tuple[int | None, ...]
    edges: tuple[float, ...] = ()
    table: tuple[int, ...] = (0,)
    numbered: int = 0


@dataclass(frozen=True)
class Plan:
    """A scheme laid out over the layers of a model.

    ``rules``: the rules of which :meth:`Scheme.place` counts. ``variants``: the rotary embeddings that layers get, as
    numbers of rules, None for the model's own. ``rotary``, ``scored``: by layer, its variant, and the rule its
    attention effects and mask go by, None where the layer is left alone. ``looks``: attention effects with the rule
    they go by, None where they need none.
    """

    scheme: Scheme
    rules: tuple[Scheme, ...]
    variants: tuple[int | None, ...]
    rotary: tuple[int, ...]
    scored: tuple[int | None, ...]
    looks: tuple[tuple[int | None, Look], ...]

    @classmethod
    def of(cls, scheme: Scheme, axes: int, layers: int) -> Plan:
        """The plan for a decoder of so many ``layers`` with so many rotary ``axes``."""
        effects, count = scheme.effects, layers or 1
        fitted = scheme.on_axes(axes)
        on = frozenset[int]() if effects.part.nothing else effects.part.layers.of(count)
        on &= effects.part.shares.of(count) or on
        by_layer = [fitted.at_layer(i, count) if i in on else None for i in range(count)]
        rules = tuple(dict.fromkeys(rule for rule in by_layer if rule)) if effects.positions else ()
        number = [rules.index(rule) if rule in rules else None for rule in by_layer]
        turned = number if effects.rotary else [None] * count
        variants = tuple(dict.fromkeys(turned))
        looks = [(r, look) for r in (range(len(rules)) if effects.positions else [None]) for look in effects.scores]
        return cls(
            scheme,
            rules,
            variants,
            tuple(map(variants.index, turned)),
            tuple((number[i] or 0) if i in on else None for i in range(count)),
            tuple(looks),
        )

    def looks_of(self, layer: int) -> list[int]:
        """Numbers of the looks that ``layer`` takes."""
        rule = self.scored[layer]
        if rule is None:
            return []
        return [i for i, (by, look) in enumerate(self.looks) if by in (None, rule) and look.layer in (None, layer)]

    @cached_property
    def whole(self) -> bool:
        """Whether the rules hold in all rotary channels."""
        return self.scheme.effects.part.channels.all

    @cached_property
    def measures(self) -> bool:
        """Whether the rules, or their channels, ask what M-RoPE positions tell of an image."""
        return not self.whole or any(rule.effects.grid for rule in self.rules)

    def tracks(self, layout: Layout) -> tuple[list[Scheme], tuple[Tracks, ...]]:
        """All rules that the images of ``layout`` need, and the tracks of each of :attr:`rules`, or of looks that go by
        none.

        Raises SchemeError where an attention effect of its own would depend on the length of the image.
        """
        rules = list(self.rules)
        if self.whole:
            return rules, tuple(Tracks((r,)) for r in range(max(len(rules), 1)))
        channels = self.scheme.effects.part.channels
        fitted = self.rules[0] if self.rules else self.scheme
        images = [image for row in range(layout.rows) for image in layout.images(row)] if channels.waves else []
        lengths = frozenset(length(fitted, image) for image in images)
        edges = channels.edges(lengths)
        middles = [(low + high) / 2 for low, high in pairwise([0.0, *edges, 2 * max(edges, default=1.0)])]
        chosen = [frozenset(one for one in lengths if channels.holds(wave, one)) for wave in middles]
        found = []
        for r in range(max(len(self.rules), 1)):
            members: list[int | None] = [r, None]
            table = []
            for some in chosen:
                if some and some != lengths:
                    if not self.rules:
                        raise SchemeError(
                            f"{self.scheme} turns queries, not images: images of {len(lengths)} lengths cannot have "
                            "channels of their own; name channels by number, or ask about one image at a time"
                        )
                    partly = Partly(self.rules[r], some, scope=self.rules[r].scope)
                    if partly not in rules:
                        rules.append(partly)
                    if rules.index(partly) not in members:
                        members.append(rules.index(partly))
                    table.append(members.index(rules.index(partly)))
                else:
                    table.append(0 if some else 1)
            found.append(Tracks(tuple(members), tuple(edges), tuple(table)))
        return rules, tuple(found)
