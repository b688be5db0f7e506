"""What a model says anyway: the yardstick of names.

A model likes some names better than others, whatever it sees. So the log probability of a name after one picture is
compared with what it usually is: the median over ten pictures of the same probe, whatever part of it is asked about.
A probe has so many names that few of these pictures show the named thing, and the median hardly moves. (Dividing by how
likely an answer is anyway: Holtzman et al., arXiv 2104.08315, there without the question.)
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from bapa.attach import balanced
from bapa.inference.forward import Forward
from bapa.probe import Probe

PICTURES = 10  # even, so that the median lies between two pictures and is none of them


class Usual:
    """The usual log probabilities of what follows a question, under each scheme.

    ``forward``: of the model; ``probe``: whose first items are shown, item by item with the target a cell further on.
    """

    def __init__(self, forward: Forward, probe: Probe) -> None:
        self.forward, self.probe = forward, probe
        self._known: dict[tuple[str, str], Tensor] = {}

    def of(self, scheme: str, texts: Iterable[str]) -> dict[str, Tensor]:
        """For each text, the log probabilities of the token that follows it, (vocabulary,), float32, under ``scheme``;
        the model is under none, or under another.
        """
        texts = list(dict.fromkeys(texts))
        if missing := [text for text in texts if (scheme, text) not in self._known]:
            with balanced(self.forward.model, scheme):
                for text in missing:
                    self._known[scheme, text] = self._asked(text)
        return {text: self._known[scheme, text] for text in texts}

    def _asked(self, text: str) -> Tensor:
        items, cells = self.probe.whole, self.probe.cells
        count = min(PICTURES, len(items) * cells)
        shown = [self.probe.compose(items[number % len(items)], number % cells) for number in range(count)]
        logits = torch.stack([self.forward.alone(canvas, text).float() for canvas in shown])
        return logits.log_softmax(-1).quantile(0.5, dim=0)
