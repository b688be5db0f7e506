"""The same questions asked of the model in this process, with its positions right and wrong."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bapa.attach import balanced
from bapa.checkpoints import load
from bapa.doctor.faults import Fault, broken
from bapa.doctor.questions import Sheet
from bapa.errors import ModelError
from bapa.inference.answers import AnswerSet
from bapa.inference.forward import Forward
from bapa.inference.prompts import Prompts, special_tokens


class Local:
    """The model called ``name``, natively. ``loading``: as for :func:`bapa.checkpoints.load`.

    ``extra``: what a chat request must say so that the server writes the same tokens (vLLM leaves the first token out
    where the template does).

    Raises ModelError where there is no such model, or its tokenizer has no single token for an answer.
    """

    def __init__(self, name: str, sheet: Sheet, **loading: Any) -> None:
        self.sheet = sheet
        self.loaded = load(name, **loading)
        processor = self.loaded.processor
        prompts = Prompts(processor, sheet.canvases[0].shape[:2])
        self.forward = Forward(self.loaded.model, prompts, 0)
        self.answers = AnswerSet(processor.tokenizer)
        for asked in sheet.asked:
            self.answers.tokens(asked.question.choices)
        self._found: dict[Fault | None, NDArray[np.float64]] = {}
        self.extra: dict[str, Any] = {}
        chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}]
        written = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        if processor.tokenizer.bos_token and special_tokens(processor.tokenizer, written)["add_special_tokens"]:
            self.extra["add_special_tokens"] = True

    def shares(self, fault: Fault | None = None) -> NDArray[np.float64]:
        """Probability of each choice of each question, float64 (questions, 3); a third column that is not there is 0.

        ``fault``: None for positions as the model gives them.
        """
        if fault not in self._found:
            self._found[fault] = self._asked(fault)
        return self._found[fault]

    def _asked(self, fault: Fault | None) -> NDArray[np.float64]:
        found = np.zeros((len(self.sheet.asked), 3))
        model = self.loaded.model
        with balanced(model, "native"), broken(model, fault) if fault else nullcontext():
            for number, asked in enumerate(self.sheet.asked):
                logits = self.forward.alone(self.sheet.canvases[asked.canvas], asked.question.text).float()
                scores = [float(logits[ids].logsumexp(-1)) for ids in self.answers.tokens(asked.question.choices)]
                if not np.isfinite(scores).all():
                    raise ModelError(f"{self.loaded.name}: the logits are not finite; load it in another --dtype")
                odds = np.exp(np.array(scores) - max(scores))
                found[number, : len(scores)] = odds / odds.sum()
        return found
