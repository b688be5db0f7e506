"""The model card of an exported checkpoint."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from bapa import __version__
from bapa.checkpoints.load import Loaded
from bapa.files import command, read_json
from bapa.schemes import NATIVE, Scheme

_CARD = """\
---
library_name: transformers
pipeline_tag: image-text-to-text
tags: [bapa, spatial-bias]
---

# {title}

Runs under the scheme **`{scheme}`**: {summary}

{concerns}

- **Made from**: `{base}` (fingerprint of config and weights `{fingerprint}`)
- **Exported by**: bapa {version}

## Loading

```python
{loading}
```

{without}## Spatial bias, measured

{figures}
## Making it again

```sh
{commands}
```
"""

_PLACED = "where the tokens of an image stand in the language model's rotary positions"
_SHIFTED = "all rotary positions, which it moves by one constant that attention cannot see"
_LOOKED = "from where tokens look at each other in attention scores"
_ADDED = "what is added to attention scores"
_MASKED = "which image tokens see each other"
_FED = "image features on their way into the language model"


@dataclass(frozen=True)
class Measured:
    """What a card shows of a run: its figures as a ``table`` in Markdown, and the ``command`` that measured it.
    ``model``, ``fingerprint``: which it measured; no fingerprint where the run has none.
    """

    table: str
    command: str
    model: str
    fingerprint: str | None = None


def card(model: Loaded, scheme: Scheme, measured: Measured | None, self_contained: bool) -> str:
    """The README.md of ``model`` exported under ``scheme``, with the figures of a run where one is given."""
    loading = ["import bapa", "", "model = bapa.from_pretrained(FOLDER)"]
    if self_contained:
        loading = [
            "from transformers import AutoModelForImageTextToText",
            "",
            "# runs modeling_bapa.py of this folder and the files beside it, the package's own files; read them first",
            "model = AutoModelForImageTextToText.from_pretrained(FOLDER, trust_remote_code=True)",
        ]
    moved = _concerns(scheme)
    without = f"Loaded with plain transformers{' and no `trust_remote_code`' if self_contained else ''} the model runs "
    without += f"**without** the scheme{'' if moved == [_SHIFTED] else ' and its answers differ'}.\n\n"
    commands = [command()]
    tuned = Path(model.name) / "tune.json"
    if tuned.is_file():
        commands.insert(0, read_json(tuned, "command")["command"])
    shown = f"Not measured; `bapa measure {shlex.quote(model.name)} --probe PROBE --scheme {scheme} --out RUN` does.\n"
    if measured is not None:
        shown = measured.table
        commands.append(measured.command)
    return _CARD.format(
        title=f"{Path(model.name).name if tuned.is_file() else model.name} under {scheme}",
        scheme=scheme,
        summary=(type(scheme).__doc__ or "").splitlines()[0].replace("``", "`"),
        base=model.name,
        fingerprint=model.fingerprint,
        version=__version__,
        loading="\n".join(loading),
        concerns="\n".join(wrap(_told(scheme), 120, break_long_words=False, break_on_hyphens=False)),
        without=without if moved else "",
        figures=shown,
        commands="\n".join(commands),
    )


def _concerns(scheme: Scheme) -> list[str]:
    """What ``scheme`` changes in a model, in words; nothing where it leaves all as it is."""
    effects = scheme.effects
    somewhere = not effects.part.nothing
    changed = {
        _PLACED: effects.positions and somewhere,
        _SHIFTED: scheme.shift != 0,
        _LOOKED: bool(effects.scores) and (effects.rotary or not effects.positions),
        _ADDED: effects.added is not None,
        _MASKED: effects.mask != "native" and somewhere,
        _FED: effects.features is not None,
    }
    return [words for words, is_changed in changed.items() if is_changed]


def _told(scheme: Scheme) -> str:
    """What ``scheme`` concerns, what stays as it is, and where it is recorded."""
    changed = _concerns(scheme)
    stays = ["weights"]
    stays += [] if {_PLACED, _SHIFTED, _LOOKED} & set(changed) else ["positions"]
    stays += [] if _MASKED in changed else ["masks"]
    stays += [] if _FED in changed else ["image features"]
    concerned = f"The scheme concerns {_and(changed)}" if changed else "The scheme changes nothing"
    recorded = "`config.json` names no scheme" if scheme == NATIVE else "It is recorded in `config.json` under `bapa`"
    return f"{concerned}; {_and([*stays, 'token order'])} are those of the checkpoint's own class. {recorded}."


def _and(parts: list[str]) -> str:
    """``parts`` as a list in a sentence."""
    return " and ".join([*([", ".join(parts[:-1])] if len(parts) > 1 else []), parts[-1]])
