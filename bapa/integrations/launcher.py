"""``bapa run``: a scheme on every vision-language model that a command, or any process it starts, loads.

The scheme travels in the environment. A ``sitecustomize`` that stands first on PYTHONPATH (the way of
``opentelemetry-instrument``) wraps ``PreTrainedModel.from_pretrained`` in each process. What happens there is noted in
a file, so that a command in which nothing was balanced, or an error was swallowed, fails here.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bapa.errors import BapaError, IntegrationError, NotBalancedError, SchemeError, UnsupportedModelError
from bapa.schemes import Scheme, parse

SCHEME, NOTES = "BAPA_RUN_SCHEME", "BAPA_RUN_NOTES"


def run(command: Sequence[str], scheme: str | Scheme) -> int:
    """Run ``command`` with every vision-language model that it loads under ``scheme``; its exit code.

    Raises SchemeError for an unknown scheme, IntegrationError where the command cannot be started or hid an error of
    bapa, NotBalancedError where it ended well and nothing was balanced.
    """
    label = parse(scheme).label
    with tempfile.TemporaryDirectory(prefix="bapa-run-") as folder:
        notes = Path(folder) / "notes.jsonl"
        notes.touch()
        path = [str(Path(__file__).parent / "launch"), *filter(None, [os.environ.get("PYTHONPATH")])]
        added = {SCHEME: label, NOTES: str(notes), "PYTHONPATH": os.pathsep.join(path)}
        code = _wait(command, {**os.environ, **added})
        found = [json.loads(line) for line in notes.read_text("utf-8").splitlines()]
    if code:
        return code
    if failed := [note for note in found if note["what"] == "failed"]:
        raise IntegrationError(f"{command[0]} went on after an error: {failed[0]['model']}: {failed[0]['why']}")
    if not any(note["what"] == "balanced" for note in found):
        passed = ", ".join(sorted({note["model"] for note in found}))
        loaded = f"it loaded only {passed}" if passed else "it loaded no model with from_pretrained of transformers"
        raise NotBalancedError(
            f"nothing ran under {label}: {command[0]} ended, but {loaded}; bapa run reaches vision-language models "
            "that Python processes of the command load with transformers"
        )
    return code


def _wait(command: Sequence[str], environment: dict[str, str]) -> int:
    try:
        process = subprocess.Popen(command, env=environment)
    except OSError as error:
        raise IntegrationError(
            f"cannot start {command[0]!r}: {error.strerror}; write the command behind --, e.g. "
            "bapa run --scheme bapa -- python script.py"
        ) from None
    # Ctrl-C reaches the command by itself; a request to end is handed on. Either way its end is waited for.
    before = [
        signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.signal(signal.SIGTERM, lambda *_: process.terminate()),
    ]
    try:
        code = process.wait()
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code  # as shells tell of a signal


def watch(kind: Any) -> None:
    """Balance what ``kind.from_pretrained`` (of ``transformers.PreTrainedModel``) returns from now on."""
    load = kind.from_pretrained.__func__

    @functools.wraps(load)
    def from_pretrained(cls: type, *args: Any, **kwargs: Any) -> Any:
        loaded = load(cls, *args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded  # with output_loading_info
        try:
            _note("balanced" if _balance(model) else "passed", model)
        except BapaError as error:
            _note("failed", model, str(error))
            raise
        return loaded

    kind.from_pretrained = classmethod(from_pretrained)


def _balance(model: Any) -> bool:
    """Put ``model`` under the scheme of the environment; False for a model that writes no text about pictures."""
    from bapa.attach import balance, record
    from bapa.families.anatomy import takes_pictures

    scheme = parse(os.environ[SCHEME])
    recorded = record.read(model.config)
    if recorded not in (None, scheme):
        raise SchemeError(
            f"{model.name_or_path} was saved under {recorded}, bapa run was asked for {scheme}; "
            f"type --scheme {recorded}, or export the model under the other scheme"
        )
    try:
        balance(model, scheme)
    except UnsupportedModelError:
        if takes_pictures(model) and model.can_generate():
            raise
        return False
    return True


def _note(what: str, model: Any, why: str = "") -> None:
    line = json.dumps({"what": what, "model": type(model).__name__, "why": why, "process": os.getpid()})
    with open(os.environ[NOTES], "a", encoding="utf-8") as notes:  # noqa: PTH123  # one write, so lines never mix
        notes.write(f"{line}\n")
