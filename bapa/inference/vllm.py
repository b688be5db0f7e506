"""The vLLM back end: one engine, in which every request names its scheme; for a single scheme an engine of its own.

Every question is one request for one token. The engine returns the log probabilities of the answers' tokens, over the
whole vocabulary, and caches pictures and prefixes itself, so questions about one canvas stand side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image

from bapa.attach import record
from bapa.checkpoints.chat import Chat
from bapa.errors import BapaError, ModelError, RunError
from bapa.inference.answers import Answer
from bapa.inference.block import Asker, Outcome, Pixels, Prepared
from bapa.inference.plan import Plan
from bapa.inference.prompts import Prompts
from bapa.probe import Probe, Question
from bapa.schemes import Scheme

if TYPE_CHECKING:
    from vllm import LLM, RequestOutput, SamplingParams

Request = dict[str, Any]


class Engines(Protocol):
    """What starts and stops engines: :mod:`bapa.integrations.vllm.engine`."""

    def arguments(self, folder: Path, scheme: str | Scheme) -> dict[str, Any]: ...
    def start(
        self, folder: Path, scheme: str | Scheme, options: Mapping[str, Any] | None = None, *, rules: bool = False
    ) -> LLM: ...
    def check_together(self, folder: Path, labels: Sequence[str]) -> None: ...
    def stop(self, engine: LLM) -> None: ...
    def version(self) -> str: ...


@dataclass(frozen=True)
class EngineModel:
    """A model that engines are started on, as a :class:`~bapa.inference.backend.Backend`;
    :func:`bapa.integrations.vllm.loading.load_engine` makes it. ``options``: arguments of :class:`vllm.LLM`;
    ``files``: those of the processor, as :func:`bapa.checkpoints.processor.digests` has them.
    """

    name: str
    folder: Path
    processor: Any
    fingerprint: str
    engines: Engines
    options: Mapping[str, Any] = field(default_factory=dict)
    chat: Chat = field(default_factory=Chat)
    files: Mapping[str, str] = field(default_factory=dict)

    module = None  # it runs in the engine's processes

    @property
    def identity(self) -> dict[str, Any]:
        told = {"processor": dict(self.files)} if self.files else {}
        return {"name": self.name, "fingerprint": self.fingerprint, **told, **self.chat.record}

    @property
    def scheme(self) -> Scheme | None:
        return record.read(self.config)

    @property
    def config(self) -> Any:
        from transformers import AutoConfig

        return AutoConfig.from_pretrained(
            self.folder, trust_remote_code=bool(self.options.get("trust_remote_code", False))
        )

    @property
    def numerics(self) -> dict[str, Any]:
        return {"backend": "vllm", **{name: str(value) for name, value in self.options.items()}}

    def check(self, label: str) -> None:
        """See :class:`~bapa.inference.backend.Backend`."""
        self.engines.arguments(self.folder, label)

    @contextmanager
    def asker(
        self, prompts: Prompts, probe: Probe, plan: Plan, labels: Sequence[str], *, generate: int = 0, audit: int = 0
    ) -> Iterator[Asker]:
        """See :class:`~bapa.inference.backend.Backend`."""
        if not generate:
            probe.needs_questions(
                "vLLM is asked for single answers (--generate 64 lets it write, --backend hf reads names)"
            )
        probe.needs_one_picture("vLLM is asked about one picture a prompt (--backend hf takes several)")
        with closing(EngineAsker(self, prompts, probe, plan, labels, generate=generate, audit=audit)) as made:
            yield made


class EngineAsker(Asker):
    """Asks through one engine, all schemes of a block in one batch.

    See :class:`Asker` for the arguments.
    """

    prefill = "engine"

    def __init__(
        self,
        model: EngineModel,
        prompts: Prompts,
        probe: Probe,
        plan: Plan,
        labels: Sequence[str],
        *,
        generate: int,
        audit: int,
    ) -> None:
        super().__init__(prompts, probe, plan, labels, generate=generate, audit=audit)
        self.versions = {"vllm": model.engines.version()}
        self.model = model
        self._running: LLM | None = None
        if self.several:
            model.engines.check_together(model.folder, labels)

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
        flat = [question for asked in prepared.questions for question in asked]
        names = [label for label in labels for _ in flat]
        answers = iter(self._asked_of(prepared.asked * len(labels), flat * len(labels), names))
        outcomes: list[Outcome] = [{} for _ in prepared.questions]
        for label in labels:
            for outcome, asked in zip(outcomes, prepared.questions, strict=True):
                outcome[label] = list(islice(answers, len(asked)))
        return outcomes

    def answer_alone(self, pixels: Pixels, questions: Sequence[Question], label: str) -> list[Answer]:
        found = []
        for request, question in zip(self.hand_over([pixels], [list(questions)]), questions, strict=True):
            self.engine.reset_prefix_cache()
            found += self._asked_of([request], [question], [label])
        return found

    def write_alone(self, pixels: Pixels, questions: Sequence[Question], label: str, tokens: int) -> list[str]:
        from vllm import SamplingParams

        rule = {"bapa": label} if self.several else None
        wanted = [SamplingParams(temperature=0, max_tokens=tokens, extra_args=rule)] * len(questions)
        outputs = self._generate(self.engine, self.hand_over([pixels], [list(questions)]), wanted)
        return [output.outputs[0].text for output in outputs]

    def close(self) -> None:
        """Stop the running engine."""
        if self._running is not None:
            self.model.engines.stop(self._running)
            self._running = None

    @property
    def several(self) -> bool:
        """Whether requests name their scheme."""
        return len(self.labels) > 1

    @property
    def engine(self) -> LLM:
        """The engine, started when it is asked for.

        Raises RunError where it does not start, or makes other tokens of a prompt: then no answer can be had, and the
        next question is not to try again.
        """
        if self._running is None:
            scheme = "native" if self.several else self.labels[0]
            try:
                self._running = self.model.engines.start(
                    self.model.folder, scheme, self.model.options, rules=self.several
                )
                self._same_tokens(self._running)
            except BapaError as error:
                raise RunError(str(error)) from error
        return self._running

    def _same_tokens(self, engine: LLM) -> None:
        """Raise ModelError where the engine's processor makes other tokens of a picture than the model's own."""
        item = self.probe.items[0]
        question = self.probe.questions(item, 0)[0]
        request = self.hand_over([self.probe.compose(item, 0)], [[question]])
        (output,) = self._generate(engine, request, [self._wanted(question, self.labels[0])])
        ours = self.prompts(question.text).ids
        if output.prompt_token_ids != ours:
            raise ModelError(
                f"vLLM makes {len(output.prompt_token_ids or ())} tokens of a prompt of which transformers makes "
                f"{len(ours)}, or others; measure this model with --backend hf"
            )

    def _asked_of(
        self, requests: Sequence[Request], questions: Sequence[Question], labels: Sequence[str]
    ) -> list[Answer]:
        wanted = [self._wanted(question, label) for question, label in zip(questions, labels, strict=True)]
        outputs = self._generate(self.engine, requests, wanted)
        if self.generate:
            return [self.said(o.outputs[0].text, question) for o, question in zip(outputs, questions, strict=True)]
        told = [(output.outputs[0].logprobs or [{}])[0] for output in outputs]
        logprobs = [{token: entry.logprob for token, entry in row.items()} for row in told]
        return self.answers.read_logprobs(logprobs, questions)

    def _wanted(self, question: Question, label: str) -> SamplingParams:
        from vllm import SamplingParams

        rule = {"bapa": label} if self.several else None
        if self.generate:
            return SamplingParams(temperature=0, max_tokens=self.generate, extra_args=rule)
        tokens = [token for ids in self.answers.tokens(question.choices) for token in ids.tolist()]
        return SamplingParams(temperature=0, max_tokens=1, logprob_token_ids=tokens, extra_args=rule)

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
