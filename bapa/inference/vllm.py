"""The vLLM back end: one engine for each scheme, one after the other.

Every question is one request for one token. The engine returns the log probabilities of the answers' tokens, over the
whole vocabulary, and caches pictures and prefixes itself, so questions about one canvas stand side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from bapa.attach import record
from bapa.errors import ModelError, RunError
from bapa.inference.answers import Answer, from_text
from bapa.inference.block import Asker, Outcome, Pixels, Prepared
from bapa.inference.plan import Plan
from bapa.inference.prompts import Prompts
from bapa.integrations.vllm import engine as engines
from bapa.integrations.vllm.checkpoint import fingerprint
from bapa.probe import Probe, Question
from bapa.schemes import Scheme

if TYPE_CHECKING:
    from vllm import LLM, RequestOutput, SamplingParams

Request = dict[str, Any]


@dataclass(frozen=True)
class EngineModel:
    """A model that engines are started on. ``options``: arguments of :class:`vllm.LLM`; see :func:`load_engine`."""

    name: str
    folder: Path
    processor: Any
    fingerprint: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def check(self, label: str) -> None:
        """Raise UnsupportedModelError or SchemeError where vLLM cannot run the model under a scheme."""
        engines.arguments(self.folder, label)

    @property
    def scheme(self) -> Scheme | None:
        """The scheme that the model's config records."""
        from transformers import AutoConfig

        return record.read(AutoConfig.from_pretrained(self.folder))

    @property
    def numerics(self) -> dict[str, Any]:
        """What may change answers, for the record."""
        return {"backend": "vllm", **{name: str(value) for name, value in self.options.items()}}


def load_engine(name: str, *, trust_remote_code: bool = False, **options: Any) -> EngineModel:
    """The model called ``name`` (a folder, a hub id, ``reference:NAME``) for vLLM engines; starts none yet.

    ``options``: arguments of :class:`vllm.LLM`, such as ``dtype``, ``max_model_len``, ``tensor_parallel_size``.

    Raises IntegrationError where vLLM is not installed, ModelError where there is no such model.
    """
    engines.require()
    from transformers import AutoProcessor

    folder = engines.folder_of(name)
    try:
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(f"cannot load the processor of {name!r}: {str(error).strip().splitlines()[0]}") from error
    if trust_remote_code:
        options["trust_remote_code"] = True
    return EngineModel(name, folder, processor, fingerprint(folder), options)


class EngineAsker(Asker):
    """Asks through engines. A run's blocks are those of the plan under the first scheme, then under the second, ...

    See :class:`Asker` for the arguments.
    """

    prefill = "engine"

    def __init__(
        self,
        model: EngineModel,
        prompts: Prompts,
        probe: Probe,
        cut: Plan,
        labels: Sequence[str],
        *,
        generate: int,
        audit: int,
    ) -> None:
        super().__init__(prompts, probe, cut, labels, generate=generate, audit=audit)
        self.versions = {"vllm": engines.version()}
        self.model = model
        self._running: tuple[str, LLM] | None = None

    def __len__(self) -> int:
        return len(self.cut) * len(self.labels)

    def part(self, number: int) -> tuple[int, Sequence[str]]:
        scheme, planned = divmod(number, len(self.cut))
        return planned, self.labels[scheme : scheme + 1]

    def hand_over(self, pixels: list[Pixels], questions: list[list[Question]]) -> list[Request]:
        requests = []
        for canvas, asked in zip(pixels, questions, strict=True):
            picture = Image.fromarray(canvas)
            requests += [
                {"prompt_token_ids": self.prompts.unexpanded(q.text), "multi_modal_data": {"image": picture}}
                for q in asked
            ]
        return requests

    def answer(self, prepared: Prepared, labels: Sequence[str]) -> list[Outcome]:
        (label,) = labels
        flat = [question for asked in prepared.questions for question in asked]
        answers = iter(self._asked_of(self.engine(label), prepared.asked, flat))
        return [{label: list(islice(answers, len(asked)))} for asked in prepared.questions]

    def answer_alone(self, pixels: Pixels, questions: Sequence[Question], label: str) -> list[Answer]:
        engine = self.engine(label)
        found = []
        for request, question in zip(self.hand_over([pixels], [list(questions)]), questions, strict=True):
            engine.reset_prefix_cache()
            found += self._asked_of(engine, [request], [question])
        return found

    def close(self) -> None:
        """Stop the running engine."""
        if self._running is not None:
            engines.stop(self._running[1])
            self._running = None

    def engine(self, label: str) -> LLM:
        """The engine that runs a scheme. Another one is stopped first: two may not fit the memory."""
        if self._running is None or self._running[0] != label:
            self.close()
            engine = engines.start(self.model.folder, label, self.model.options)
            self._running = (label, engine)
            self._same_tokens(engine)
        return self._running[1]

    def _same_tokens(self, engine: LLM) -> None:
        """Raise ModelError where the engine's processor makes other tokens of a picture than the model's own."""
        item = self.probe.items[0]
        question = self.probe.questions(item, 0)[0]
        request = self.hand_over([self.probe.compose(item, 0)], [[question]])
        (output,) = self._generate(engine, request, [self._wanted(question)])
        ours = self.prompts(question.text).ids
        if output.prompt_token_ids != ours:
            raise ModelError(
                f"vLLM makes {len(output.prompt_token_ids or ())} tokens of a prompt of which transformers makes "
                f"{len(ours)}, or others; measure this model with --backend hf"
            )

    def _asked_of(self, engine: LLM, requests: Sequence[Request], questions: Sequence[Question]) -> list[Answer]:
        outputs = self._generate(engine, requests, [self._wanted(question) for question in questions])
        if self.generate:
            return [from_text(o.outputs[0].text, question) for o, question in zip(outputs, questions, strict=True)]
        told = [(output.outputs[0].logprobs or [{}])[0] for output in outputs]
        logprobs = [{token: entry.logprob for token, entry in row.items()} for row in told]
        return self.answers.read_logprobs(logprobs, questions)

    def _wanted(self, question: Question) -> SamplingParams:
        from vllm import SamplingParams

        if self.generate:
            return SamplingParams(temperature=0, max_tokens=self.generate)
        tokens = [token for ids in self.answers.tokens(question.choices) for token in ids.tolist()]
        return SamplingParams(temperature=0, max_tokens=1, logprob_token_ids=tokens)

    def _generate(
        self, engine: LLM, requests: Sequence[Request], wanted: Sequence[SamplingParams]
    ) -> list[RequestOutput]:
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            return engine.generate(list(requests), list(wanted), use_tqdm=False)
        except EngineDeadError as error:
            raise RunError(
                "the vLLM engine has died (its own messages stand above); nothing finished is lost, run the same "
                "command again"
            ) from error
