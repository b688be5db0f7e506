"""The data card of a probe: a README for people, whose front matter tells `datasets` and the hub what to load."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bapa.probe.design import Design
    from bapa.probe.store import Probe

_CARD = """\
---
pretty_name: {title}
task_categories: [visual-question-answering]
configs:
- config_name: items
  default: true
  data_files: items.parquet
- config_name: tiles
  data_files: tiles.parquet
---

# The same content in every {word}

![Contact sheet](contact_sheet.png)

{items:,} items. The target picture of each goes through {cells} {words} ({rows} rows, {cols} columns):
{canvases:,} canvases of {width} x {height} px.{line} The other {words} hold {distractors}.
{placement}

| | |
|---|---|
| source | {source} |
| task | {task} |
| questions per {word} | {kinds} |
| order | {order} |
| cell | {cell} px |
| background | {background} |
| seed | {seed} |
| fingerprint | `{fingerprint}` |

Wording:

{prompts}

## Files

`probe.json` is the design, `items.parquet` has one row per item, `tiles.parquet` one row per picture: PNG at the size
it has in a cell. Canvases are composed when they are read, by copying pixels, so they are the same on every machine:

    import bapa.probe
    probe = bapa.probe.Probe.load("PROBE")
    canvas = probe.compose(probe.items[0], cell=0)  # uint8 (height, width, 3)
    questions = probe.questions(probe.items[0], cell=0)

    import datasets
    tiles = datasets.load_dataset("PROBE", "tiles", split="train")

## What it does not tell

- It compares answers about the same content in different places. It does not measure how able a model is.
- A "lure" is a near miss that is like nothing on the canvas but the target: false alarms about it belong to the
  target's cell.
- "Absent", "lure" and "near miss" mean that no picture on the canvas has that caption. Where captions are
  vague, one may fit all the same.
- Two pictures count as the same only if all their pixels are.
- The pictures keep the rights and the biases of their source.

## Left out of the source

{left_out}
"""

_PLACEMENT = {
    "swap": "To move the target, it changes places with the picture in its new cell; all others stay where they are.",
    "latin": "To move the target, the whole layout is shifted around, so that each distractor visits each cell once.",
    "insertion": "To move the target, it is taken out and inserted elsewhere, which shifts all pictures between: "
    "for the reproduction of published figures, as it mixes the place of the target with that of the others.",
}
_DISTRACTORS = {"source": "other pictures of the source", "similar": "the pictures most like it", "none": "nothing"}


def _wordings(design: Design) -> list[str]:
    """The prompts, with what the answer begins with."""
    return [f"{prompt}\n{design.opening} ..." if design.opening else prompt for prompt in design.prompts]


def data_card(probe: Probe) -> str:
    """The text of README.md."""
    design, source = probe.design, probe.source
    kinds = Counter(question.kind for item in probe.items for question in probe.questions(item, 0))
    return _CARD.format(
        title=json.dumps(f"Spatial probe: {source['name']}"),  # a JSON string is a YAML string
        items=len(probe.items),
        cells=probe.cells,
        word=probe.slots.word,
        words=probe.slots.words,
        line=f" Cut up, they are the {probe.slots.words} of one prompt." if probe.slots.apart else "",
        rows=probe.rows,
        cols=probe.cols,
        canvases=len(probe.items) * probe.cells,
        width=probe.width,
        height=probe.height,
        distractors=_DISTRACTORS[design.distractors],
        placement=_PLACEMENT[design.placement],
        source=f"{source['kind']} `{source['name']}`",
        task=design.task,
        kinds=", ".join(f"{kind} {count:,}" for kind, count in kinds.items()),
        order=design.order,
        cell=probe.cell_px,
        background=f"{design.background}, rgb{probe.colour}",
        seed=design.seed,
        fingerprint=probe.fingerprint,
        prompts="\n\n".join("\n".join(f"    {line}" for line in text.splitlines()) for text in _wordings(design)),
        left_out="\n".join(f"- {entry}" for entry in probe.left_out) or "Nothing.",
    )
