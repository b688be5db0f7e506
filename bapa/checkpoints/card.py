"""The model card of an exported checkpoint."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from bapa import __version__
from bapa.checkpoints.load import Loaded
from bapa.files import command, read_json
from bapa.schemes import Scheme

_CARD = """\
---
library_name: transformers
pipeline_tag: image-text-to-text
tags: [bapa, spatial-bias]
---

# {title}

Runs under the position scheme **`{scheme}`**: {summary}

The scheme concerns where the tokens of an image stand in the language model's rotary positions; weights, masks and
token order are those of the checkpoint's own class. It is recorded in `config.json` under `bapa`.

- **Made from**: `{base}` (fingerprint of config and weights `{fingerprint}`)
- **Exported by**: bapa {version}

## Loading

```python
{loading}
```

Loaded with plain transformers{plain} the model runs **without** the scheme and its answers differ.

## Spatial bias, measured

{figures}
## Making it again

```sh
{commands}
```
"""


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
        plain=" and no `trust_remote_code`" if self_contained else "",
        figures=shown,
        commands="\n".join(commands),
    )
