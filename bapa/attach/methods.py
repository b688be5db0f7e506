"""Methods of a model that a scheme stands in front of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from bapa.attach.state import Tie
from bapa.errors import ModelError
from bapa.families.pictures import Reader


class Instead:
    """Methods of ``model`` that ours stand in front of, by name; a name that it lacks is passed over.

    ``own``: the model's own.
    """

    def __init__(self, model: nn.Module, **ours: Callable[..., Any]) -> None:
        self.model = model
        self.ours = {name: method for name, method in ours.items() if hasattr(model, name)}
        self.own = {name: getattr(model, name) for name in self.ours}
        for name, method in self.ours.items():
            setattr(model, name, method)

    def undo(self) -> None:
        """Give the model its own methods back, except where something else stands there by now."""
        for name, method in self.ours.items():
            if vars(self.model).get(name) == method:
                delattr(self.model, name)
                if self.own[name] != getattr(self.model, name):
                    setattr(self.model, name, self.own[name])


class Batching:
    """transformers' continuous batching, which takes token ids alone and reads image tokens as words: natively the
    pictures of a prompt are left out without a word. Under a scheme such a prompt is refused. Text is where it is
    natively, whatever the scheme.
    """

    def __init__(self, model: nn.Module, tie: Tie, reader: Reader) -> None:
        self.tie, self.reader = tie, reader
        self.instead = Instead(
            model, generate_batch=self.generate_batch, init_continuous_batching=self.init_continuous_batching
        )

    def generate_batch(self, inputs: Sequence[Sequence[int]], *args: Any, **kwargs: Any) -> Any:
        """The model's own method. It turns errors of its manager into a line of its log, so prompts are read before."""
        for ids in inputs:
            self.check(ids)
        return self.instead.own["generate_batch"](inputs, *args, **kwargs)

    def init_continuous_batching(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own method, with a manager that reads prompts before it takes them."""
        manager = self.instead.own["init_continuous_batching"](*args, **kwargs)
        own = getattr(manager, "_bapa_own", manager.add_request)  # a manager that is kept comes again

        def add_request(input_ids: Sequence[int], *args: Any, **kwargs: Any) -> Any:
            self.check(input_ids)
            return own(input_ids, *args, **kwargs)

        manager._bapa_own, manager.add_request = own, add_request
        return manager

    def check(self, ids: Sequence[int]) -> None:
        """Raise ModelError where a prompt holds image tokens and the scheme is still on."""
        if self.tie.attached and self.reader.shows(ids):
            raise ModelError(
                "generate_batch takes token ids alone, and reads image tokens as words; under "
                f"{self.tie.scheme} a prompt with pictures goes to generate(), or to vLLM (bapa serve)"
            )
