"""VLMEvalKit: every model of its list once more, under a scheme.

VLMEvalKit has no plugins: its list of models is a dictionary, ``vlmeval.config.supported_VLM``, from names to functions
that make a wrapper around a model. :func:`register` adds to it before ``run.py`` reads it; docs/integrations.md shows
the command. Result files are named after the model, so balanced and native ones never mix.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from bapa.errors import ConfigError, IntegrationError, NotBalancedError, UnsupportedModelError
from bapa.probe import Probe
from bapa.probe.compose import Pixels
from bapa.probe.questions import YES_NO
from bapa.schemes import parse


def register(scheme: str = "bapa", names: Iterable[str] | None = None) -> list[str]:
    """Add ``NAME-SCHEME`` for each of ``names`` (default: all) to VLMEvalKit's models, and return what was added.

    Raises SchemeError for an unknown scheme, ConfigError for an unknown name, IntegrationError where VLMEvalKit is not
    installed. A model that cannot be balanced says so when it is made.
    """
    label = parse(scheme).label
    try:
        from vlmeval.config import supported_VLM
    except ImportError as error:
        raise IntegrationError(f"VLMEvalKit is not installed ({error}); type: pip install -e . in its folder") from None
    suffix = re.sub(r"\W+", "-", label)
    chosen = list(supported_VLM) if names is None else list(names)
    if unknown := [name for name in chosen if name not in supported_VLM]:
        raise ConfigError(f"VLMEvalKit has no model {', '.join(unknown)}; see vlmeval.config.supported_VLM")
    added = {f"{name}-{suffix}": partial(_made, supported_VLM[name], label) for name in chosen}
    supported_VLM.update(added)
    return list(added)


def write_tsv(probe: Probe, path: str | Path) -> Path:
    """Write the yes/no questions of ``probe`` as the data set of ``upstream/vlmevalkit``, with every canvas in it once.

    Raises ConfigError for a probe that asks none, or shows several pictures.
    """
    import pandas as pd

    probe.needs_questions("a data set of VLMEvalKit has answers of its own")
    probe.needs_one_picture("a data set of VLMEvalKit shows one picture a question here")
    rows: list[dict[str, Any]] = []
    for item in probe.items:
        for cell in range(probe.cells):
            row, col = divmod(cell, probe.cols)
            first = len(rows)
            for question in probe.questions(item, cell):
                if question.choices == YES_NO:
                    shown = (
                        str(first) if len(rows) > first else base64.b64encode(_png(probe.compose(item, cell))).decode()
                    )
                    asked = {"index": len(rows), "image": shown, "question": question.text, "answer": question.answer}
                    rows.append({**asked, "row": row, "col": col, "item": item.item})
    if not rows:
        raise ConfigError(
            f"the probe in {probe.path} asks no question with yes or no; build one: bapa probe SOURCE --task match"
        )
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False)
    return Path(path)


def _png(canvas: Pixels) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(canvas).save(stream, "PNG")
    return stream.getvalue()


def _made(make: Callable[..., Any], label: str, *args: Any, **kwargs: Any) -> Any:
    """VLMEvalKit's wrapper with every vision-language model that it holds under the scheme."""
    from torch import nn

    from bapa.attach import balance

    wrapper = make(*args, **kwargs)
    reasons, balanced = [], False
    for part in vars(wrapper).values():
        if isinstance(part, nn.Module):
            try:
                balance(part, label)
                balanced = True
            except UnsupportedModelError as error:
                reasons.append(str(error))
    if not balanced:
        why = "; ".join(reasons) or "it holds no torch module"
        raise NotBalancedError(f"{type(wrapper).__name__} does not run under {label}: {why}")
    return wrapper
