"""The model card of an exported checkpoint."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import bapa
from bapa.checkpoints.load import Loaded
from bapa.files import command
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
_COLUMNS = {
    "hit": "mean hit rate",
    "range": "range over cells",
    "consistency": "consistency",
    "false_alarm": "false alarms",
    "balanced_accuracy": "balanced accuracy",
}


def card(model: Loaded, scheme: Scheme, run: str | Path | None, self_contained: bool) -> str:
    """The README.md of ``model`` exported under ``scheme``. ``run``: a run folder whose figures are shown."""
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
        commands.insert(0, json.loads(tuned.read_text("utf-8"))["command"])
    shown = f"Not measured; `bapa measure {shlex.quote(model.name)} --probe PROBE --scheme {scheme} --out RUN` does.\n"
    if run is not None:
        shown, measured = figures(run)
        commands.append(measured)
    return _CARD.format(
        title=f"{Path(model.name).name if tuned.is_file() else model.name} under {scheme}",
        scheme=scheme,
        summary=(type(scheme).__doc__ or "").splitlines()[0].replace("``", "`"),
        base=model.name,
        fingerprint=model.fingerprint,
        version=bapa.__version__,
        loading="\n".join(loading),
        plain=" and no `trust_remote_code`" if self_contained else "",
        figures=shown,
        commands="\n".join(commands),
    )


def figures(folder: str | Path) -> tuple[str, str]:
    """A table of what a run found under each scheme, and the run's command; RunError where ``folder`` is no run."""
    from bapa.measure import load_run

    run = load_run(folder)
    bias: dict[str, Any] = run.bias
    lines = [
        f"Of `{bias['model']['name']}` on {bias['probe']['items']} items of the probe "
        f"`{bias['probe']['source']}` ({bias['probe']['rows']} x {bias['probe']['cols']} cells), in per cent, with "
        f"{100 * bias['level']:g} % intervals over items:",
        "",
        f"| scheme | {' | '.join(_COLUMNS.values())} |",
        f"|---|{'---|' * len(_COLUMNS)}",
    ]
    for label, found in bias["schemes"].items():
        cells = (_cell(found["overall"][name]) for name in _COLUMNS)
        lines.append(f"| `{label}` | {' | '.join(cells)} |")
    return "\n".join([*lines, ""]), run.config["command"]


def _cell(estimate: dict[str, float | None]) -> str:
    value, low, high = (None if number is None else 100 * number for number in estimate.values())
    if value is None:
        return "–"
    return f"{value:.1f}" if low is None or high is None else f"{value:.1f} [{low:.1f}, {high:.1f}]"
