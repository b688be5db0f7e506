"""The model ``bapa`` of lmms-eval: any family under any scheme, in left-padded batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from lmms_eval.api.instance import GenerationResult, Instance
from lmms_eval.api.model import lmms
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from bapa.attach import balance
from bapa.checkpoints import load
from bapa.checkpoints.options import LoadOptions
from bapa.errors import IntegrationError, ModelError
from bapa.inference.processes import joined
from bapa.integrations.lmms_eval.asking import Asking, Prompt
from bapa.probe.picture import plain

_STEPS = 1024  # tokens a model may write where a task sets no limit


class Bapa(lmms):
    """A model under a scheme.

    ``pretrained``: a folder, a hub id or ``reference:NAME``. ``scheme``: in text form; it stands among the model
    arguments because lmms-eval's caches look at nothing else. Options of a scheme that hold a comma are quoted:
    ``scheme="bapa:distance=native,scope=tile"``. ``loading``: further options of loading, as
    :class:`~bapa.checkpoints.options.LoadOptions` names them.
    """

    def __init__(
        self,
        pretrained: str,
        scheme: str = "bapa",
        device: str = "cuda" if torch.cuda.is_available() else "cpu",
        dtype: str | None = None,
        batch_size: int | str = 1,
        max_batch_size: int | None = None,
        trust_remote_code: bool = False,
        **loading: Any,
    ) -> None:
        super().__init__()
        if not str(batch_size).isdigit() or int(batch_size) < 1:
            raise IntegrationError(f"batch_size={batch_size}: a number from 1 is accepted; type --batch_size 8")
        self.batch_size = int(batch_size)
        self.accelerator = _accelerator()
        if self.accelerator is not None:
            self._rank, self._world_size = self.accelerator.process_index, self.accelerator.num_processes
            device = str(self.accelerator.device)
        options = LoadOptions.read(loading)
        loaded = load(pretrained, device=device, dtype=dtype, trust_remote_code=trust_remote_code, options=options)
        self.model = balance(loaded.model, scheme.strip("\"'"))
        self.asking = Asking(self.model, loaded.processor)

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """What the model writes to each request, up to the first of the task's stop strings."""
        written: dict[int, str] = {}
        for batch, prompts in self._batches(requests, [str(sorted(request.args[1].items())) for request in requests]):
            asked = dict(requests[batch[0]].args[1])
            until = asked.pop("until", None) or []
            for index, text in zip(batch, self.asking.texts(prompts, **_options(asked)), strict=True):
                for end in filter(None, [until] if isinstance(until, str) else until):
                    text = text.split(end)[0]
                written[index] = text
                self.cache_hook.add_partial("generate_until", requests[index].args[:2], text)
        return [written[index] for index in range(len(requests))]

    def loglikelihood(self, requests: list[Instance]) -> list[GenerationResult]:
        """For each request a pair: the loss of its continuation (minus its log-likelihood: lmms-eval takes the
        smallest), and whether it is what the model would write.

        All continuations of one prompt are read from one forward. One that the tokenizer has in a token of its own,
        such as yes or B, gets the probability of all its spellings together
        (:class:`~bapa.inference.answers.AnswerSet`).
        """
        together: dict[tuple[Any, ...], list[Instance]] = defaultdict(list)
        for request in requests:
            context, _, _, *where = request.args
            shown = (context, *where)
            together[shown].append(request)
        groups = list(together.values())
        found: dict[int, tuple[float, bool]] = {}
        for batch, prompts in self._batches([group[0] for group in groups]):
            for index, prompt, logits in zip(batch, prompts, self.asking.next(prompts), strict=True):
                for request in groups[index]:
                    found[id(request)] = self._read(logits.log_softmax(-1), prompt, self._continuation(request))
        return [GenerationResult(_Pair(found[id(request)])) for request in requests]

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        """Not offered."""
        raise IntegrationError("bapa answers tasks of one round; leave tasks of several rounds out of --tasks")

    def clean(self) -> None:
        """Nothing: the model is kept for the next task."""

    def _read(self, logs: Tensor, prompt: Prompt, continuation: str) -> tuple[float, bool]:
        try:
            (ids,) = self.asking.answers.tokens([continuation.strip()])
        except ModelError:  # not one token: its tokens one after the other
            steps, tokens = self.asking.continued(prompt, continuation)
            likely = steps.gather(1, tokens[:, None]).sum()
            return -float(likely), bool((steps.argmax(-1) == tokens).all())
        return -float(logs[ids].logsumexp(-1)), int(logs.argmax()) in ids.tolist()

    def _prompt(self, request: Instance) -> Prompt:
        context, _, visual, number, task, split = request.args
        pictures = visual(self.task_dict[task][split][number]) if visual else None
        for picture in pictures or ():
            if not isinstance(picture, Image.Image):
                raise IntegrationError(f"task {task} shows a {type(picture).__name__}; bapa reads pictures only")
        return Prompt(context, [plain(picture) for picture in pictures or ()])

    def _continuation(self, request: Instance) -> str:
        _, wanted, _, number, task, split = request.args
        return str(wanted(self.task_dict[task][split][number])) if callable(wanted) else wanted

    def _batches(
        self, requests: Sequence[Instance], kinds: Sequence[str] | None = None
    ) -> Iterator[tuple[list[int], list[Prompt]]]:
        """Places of requests of one kind that go through the model together, with their prompts: the longest first, so
        that too large a batch fails at once; those with pictures apart from those without.
        """
        alike: dict[str, list[int]] = defaultdict(list)
        for index, kind in enumerate(kinds or [""] * len(requests)):
            alike[kind].append(index)
        with tqdm(total=len(requests), desc="bapa", disable=self.rank != 0) as bar:
            for places in alike.values():
                places.sort(key=lambda index: -len(requests[index].args[0]))
                for start in range(0, len(places), self.batch_size):
                    batch = {index: self._prompt(requests[index]) for index in places[start : start + self.batch_size]}
                    for shown in (True, False):
                        if part := {index: prompt for index, prompt in batch.items() if bool(prompt.pictures) == shown}:
                            yield list(part), list(part.values())
                    bar.update(len(batch))


class _Pair(tuple):
    """Loss and whether greedy, as lmms-eval 0.7.3 lets it through: a bare pair is turned into text, and so is one that
    comes back from ``--use_cache``. That keeps no result that is empty, so this one says that it is.
    """

    def __bool__(self) -> bool:
        return False


def _options(asked: dict[str, Any]) -> dict[str, Any]:
    """The arguments of ``generate`` for the generation arguments of a task."""
    temperature = float(asked.pop("temperature", 0) or 0)
    sample = bool(asked.pop("do_sample", False)) and temperature > 0
    options = {"max_new_tokens": asked.get("max_new_tokens") or _STEPS, "num_beams": asked.get("num_beams") or 1}
    if sample:
        return {**options, "do_sample": True, "temperature": temperature, "top_p": asked.get("top_p")}
    return {**options, "do_sample": False}


def _accelerator() -> Any:
    """Accelerate's handle where ``accelerate launch`` started several processes."""
    from accelerate import Accelerator

    return Accelerator() if joined().num_processes > 1 else None
