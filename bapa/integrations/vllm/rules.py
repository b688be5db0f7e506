"""A rule for each request of one engine, named in ``SamplingParams.extra_args`` (``vllm_xargs`` of the chat API).

Where requests come in, the rule is read, checked, and made part of the salt of the prefix cache, so that no request
takes over keys that were turned under another rule. Where positions are made, the worker looks the rule up again. vLLM
has no place to plug in either: a method of two objects of the running engine is wrapped (:func:`admit` here,
``Witness.bapa_rules`` in the worker), and an engine whose objects lack it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from bapa.errors import IntegrationError, ModelError, SchemeError
from bapa.integrations.vllm.architectures import ARCHITECTURES
from bapa.integrations.vllm.overrides import check, stock
from bapa.integrations.vllm.positions import Positions
from bapa.layout import Grid, Image
from bapa.schemes import NATIVE, Scheme, parse

NAME = "bapa"  # of the argument that a request names its rule in
KEPT = 32  # rules whose positions are remembered
_GRID = Grid(6, 6)


class Rules:
    """The positions of requests to one model, each under the rule that it names.

    ``scheme``: of requests that name none. ``config``: the model's transformers config. ``longest``: tokens a request
    may have, its answer included.

    ``of(scheme)`` gives positions under a scheme. A request gets them once, as it comes, so one that runs does not need
    its rule any more, and the rules that were not named for longest are forgotten; named again, they are made again.
    """

    def __init__(self, config: Any, scheme: Scheme, longest: int) -> None:
        self.scheme = scheme
        self._config = config
        self._longest = longest
        self._axes = ARCHITECTURES[stock(config)]
        self.of = lru_cache(KEPT)(self._positions)
        self._current: str | None = None

    def read(self, label: object) -> Scheme:
        """The scheme that a request names; ``label``: None where it names none.

        Raises SchemeError where there is no such scheme or vLLM cannot run it on this model.
        """
        if label is None:
            return self.scheme
        if not isinstance(label, str):
            raise SchemeError(f"{NAME}: {label!r} is no text; name a scheme, for instance bapa:distance=62")
        scheme = parse(label)
        if scheme != NATIVE:
            check(scheme, self._axes)
            if bool((scheme.place(Image(torch.arange(_GRID.rows * _GRID.cols), _GRID)).offsets < 0).any()):
                raise SchemeError(
                    f"{scheme.name} reaches before its image, perhaps before the first position; run it in an engine "
                    "of its own"
                )
        return scheme

    def _positions(self, scheme: Scheme) -> Positions:
        return Positions(self._config, scheme, self._longest)

    def fits(self, scheme: Scheme, lengths: Sequence[int]) -> None:
        """Raise ModelError where a request with images of ``lengths`` tokens might leave the model's position table."""
        if scheme == NATIVE:
            return
        table = self.of(scheme).table
        reach = self._longest - sum(lengths)
        for length in lengths:
            if scheme.effects.grid:  # as far as the image is long, at most
                reach += length
                continue
            placed = scheme.place(Image(torch.arange(length)))
            reach += int(max(placed.resume.max(), placed.offsets.max() + 1))
        if reach > table:
            raise ModelError(
                f"{scheme} may put tokens of this request at {reach - 1}; this model has positions 0 to {table - 1}. "
                "Lower the scheme's distances, or the server's --max-model-len"
            )

    @contextmanager
    def under(self, label: object) -> Iterator[None]:
        """Positions that are asked for in a ``with`` block are those of the rule called ``label``."""
        held, self._current = self._current, label if label is None else str(label)
        try:
            yield
        finally:
            self._current = held

    def __call__(self, ids: Sequence[int], features: Sequence[Any], native: Callable[[], Tensor]) -> tuple[Tensor, int]:
        """See :class:`Positions`."""
        return self.of(self.read(self._current))(ids, features, native)


def named(parameters: Any) -> object:
    """The rule that sampling parameters name; None where they name none."""
    return (getattr(parameters, "extra_args", None) or {}).get(NAME)


def admit(processor: Any, rules: Rules | None) -> None:
    """Have the front end of an engine read the rule of every request.

    ``processor``: its ``input_processor``. ``rules``: None for an engine that runs vLLM's own model class; then a
    request that names a rule is refused. A request that is refused is a ``VLLMValidationError``: HTTP 400.

    Raises IntegrationError where this vLLM has no such methods.
    """
    for name in ("process_inputs", "process_inputs_async"):
        if not callable(getattr(processor, name, None)):
            raise IntegrationError(f"this vLLM's front end has no {name}; rules per request need vLLM 0.32")
    own, own_async = processor.process_inputs, processor.process_inputs_async

    def process(*args: Any, **kwargs: Any) -> Any:
        return _admitted(own(*args, **kwargs), rules, processor)

    async def process_async(*args: Any, **kwargs: Any) -> Any:
        return _admitted(await own_async(*args, **kwargs), rules, processor)

    processor.process_inputs, processor.process_inputs_async = process, process_async


def salt(scheme: Scheme, given: str | None) -> str:
    """The salt of the prefix cache for a request with pictures. ``given``: what the request itself names."""
    return f"{scheme}\n{given or ''}"


def _admitted(request: Any, rules: Rules | None, processor: Any) -> Any:
    label = named(request.sampling_params)
    try:
        if rules is None:
            if label is not None:
                raise SchemeError("this engine takes no rule; start it with bapa serve --rules")
            return request
        scheme = rules.read(label)
        if request.mm_features:
            rules.fits(scheme, [feature.mm_position.get_num_embeds() for feature in request.mm_features])
            request.cache_salt = salt(scheme, request.cache_salt)
    except (SchemeError, ModelError) as error:
        from vllm.exceptions import VLLMValidationError

        # Its new pictures are noted as sent by now, and never will be: a later request would go without them.
        if (cache := processor.renderer.mm_processor_cache) is not None:
            for feature in request.mm_features or ():
                if feature.data is not None:
                    cache.invalidate(feature.mm_hash)
        raise VLLMValidationError(str(error), parameter=NAME, value=label) from error
    return request
