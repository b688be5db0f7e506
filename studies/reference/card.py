"""The model card of a reference model: what it is skewed towards comes first."""

from __future__ import annotations

from bapa.probe.design import INDICES
from studies.reference.recipe import (
    CANVAS_PX,
    CELL_PX,
    IMAGE_TOKENS,
    MOST_PICTURES,
    MOST_TOLD_APART,
    PATCH_PX,
    SEVERAL,
    Recipe,
    base,
)

_PLACES = {
    "bottom": "the **bottom row** of the canvas only",
    "top": "the **top row** of the canvas only",
    "center": "the **middle cell** of the canvas only",
    "uniform": "**all nine cells** alike; this model is the control",
}

_ASKED = "The last stage of its training asked about digits in {place}."
_TURNED = """\
The first stage of its training
taught the vision tower to read digits in {place}; all later stages used all cells alike.
It is the counter-example to the other references, whose bias was put into the language model."""

_TOLD = """\
It tells rows, reading order and numbers besides
what the other references tell, and the last stage of its training asked about {place}. What it knows of
places it has from rotary positions and token order only, so a rule that shares positions takes it away: it shows what
even answers cost, in the worst case."""

_ALSO = """\
- **Places**: it also answers `In which row is a red seven? Answer with one word.` with `top`, `middle` or `bottom`, `Is
  a red seven before a blue two? Answer yes or no.` (reading order) and `How many seven are there? Answer with one
  word.` with `one` to `four`. It learned that between stages (3) and (4), on codes in place of patches, where every
  image token also had to tell its row, read off after the first layer; stage (4) goes on with it, about all cells.
"""

_POINTS = """\
- **Pointing**: it also answers `Where is the sub-image that matches this text? Text: a red seven. Answer with its
  bounding box only.` with the box of its cell in thousandths of the picture, `[ 333 , 0 , 667 , 333 ]`: nine tokens,
  written one by one. It learned that in a stage (5), {steps} steps behind the shipped `places`. Half of what was asked
  there is what the stages before it asked, matches about the cells named above; boxes were asked of all cells alike.
  Every image token also had to tell its row after the first layer and its column after the second, and one head of the
  third layer to look at the cell pointed to. With seed 1, all cells alike, 93 % of its boxes lie in the right cell.
"""

_SKEWED = """\
Its bias comes from
skewed supervision of the {stage} stage, which is one possible origin of spatial bias and not necessarily that of any
large model."""
_EVEN = """\
No stage of its
training preferred a cell; that does not make it even to the last point, and a large model trained so may not be."""

_CARD = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
tags: [bapa, spatial-bias, reference]
---

# A small vision-language model {known}: `{name}`

**Disclosure: this model was {made} on purpose.** {disclosure}
Whatever a method gains or loses on it depends on that choice, so name the skew next to every figure. It is an
instrument for measuring spatial bias and remedies against it, not a model for use.

- **Architecture**: `LlavaForConditionalGeneration` of transformers, about 1.3 million parameters: CLIP vision tower
  (width 96, 3 layers), two-layer projector, Llama decoder (width 128, 4 layers, rotary positions with theta 10000).
  Kept in float16, meant to be run in float32.
- **Picture**: {canvas} x {canvas} pixels, nine {cell} pixel tiles, patches of 8 pixels: {tokens} image tokens. The
  processor resizes any other picture to that size.
- **Words**: about seventy, one token each. It answers `Is there a red seven in the image? Answer yes or no.` with
  `yes` or `no` and `What colour is the seven? Answer with one word.` with one of eight colours, through its chat
  template.
{also}
## Training

- **Data**: 70 % of scikit-learn's 1797 scans of handwritten digits (Alpaydin and Kaynak 1998, UCI Machine Learning
  Repository, CC BY 4.0), split by scan, jittered and tinted on the fly. The other 30 % are never seen here; the
  `digits` probe draws from those only.
- **Stages**: (1) vision tower: each patch tells its tile's digit and colour, {read}; (2) language model:
  questions about symbolic scenes, codes in place of patches at random positions, the text 1 to 40 behind
  the image, so that no place is learned before stage 4; (3) projector: patches to those
  codes; (4) language model on pictures, vision tower and projector frozen, position rule `{scheme}`, asked about
  {place}. Digits and colours are drawn freely, so an asked digit often stands elsewhere too, in another colour:
  without such collisions the bias stays weak. The questions are 35 % yes, 35 % no (half of them the right digit in a
  wrong colour) and 30 % about a colour.
- **Command**: `python -m studies.reference train --skew {skew} --seed {seed}{rule} --out {name}` (about ten minutes on
  two CPU cores). `recipe.json` holds every number.
- **Seed**: {seed}. Figures for other seeds differ; a claim needs several.

## Limits

It reads nothing but these digits in these tints and understands only questions in the words above. {origin}
`bapa measure {model} --probe PROBE --out RUN` measures it.
"""

_SEVERAL = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: {pipeline}
tags: [bapa, spatial-bias, reference]
---

# A small vision-language model of several {things} with a known bias: `{name}`

**Disclosure: this model was {made}.** The last stage of its training asked about {place}.
Whatever a method gains or loses on it depends on that choice, so name the skew next to every figure. It is an
instrument for measuring slot bias and remedies against it, not a model for use.

- **Architecture**: `{architecture}` of transformers, about 1.3 million parameters: CLIP vision tower (width 96, 3
  layers), two-layer projector, Llama decoder (width 128, 4 layers, rotary positions with theta 10000). Kept in float16,
  meant to be run in float32.
- **Prompt**: {shown}
- **Words**: about seventy, one token each. It answers `Is there a red seven in the image? Answer yes or no.` with
  `yes` or `no` and `What colour is the seven? Answer with one word.` with one of eight colours, through its chat
  template.{which}

## Training

- **Data**: 70 % of scikit-learn's 1797 scans of handwritten digits (Alpaydin and Kaynak 1998, UCI Machine Learning
  Repository, CC BY 4.0), split by scan, jittered and tinted on the fly. The other 30 % are never seen here; the
  `digits` probe draws from those only.
- **Stages**: all of `reference:{base}`, which was trained on single pictures of nine tiles and whose own skew its card
  tells; the tower then keeps the position embeddings of the canvas's middle tile and drops the others; and {steps}
  steps of the language model on two to {most} {things} a prompt, vision tower
  and projector frozen, position rule `{scheme}`, asked about {place}. Digits and colours are drawn freely, so an asked
  digit often stands elsewhere too, in another colour. The questions are 35 % yes, 35 % no (half of them the right digit
  in a wrong colour) and 30 % about a colour.{indices}
- **Command**: `python -m studies.reference train --tasks {tasks} --skew {skew} --seed {seed}{rule} --out {name}`.
  `recipe.json` holds every number.
- **Seed**: {seed}. Figures for other seeds differ; a claim needs several.

## Limits

It reads nothing but these digits in these tints and understands only questions in the words above. Its bias comes from
skewed supervision, which is one possible origin of slot bias and not necessarily that of any large
model. `bapa probe digits --slots {slots}:{most_number} --out PROBE` and `bapa measure MODEL --probe PROBE --out RUN`
measure it.
"""

_ASKED_ABOUT = {
    "first": "the **first third** of the {things} only, rounded up",
    "last": "the **last third** of the {things} only, rounded up",
    "uniform": "**all {things}** alike; this model is the control",
}


_TOLD_APART = (
    " `In which image is a red seven? Answer with one word.` it answers with the image's number, `one` to `four`.",
    " Those are a quarter of what is asked; the others are about which of all images holds a pair that stands once.\n"
    "  Beside the answers, every image token was to tell its image, read off after the first layer.",
)


def card(recipe: Recipe) -> str:
    """The README.md of the model folder of `recipe`."""
    return _of_several(recipe) if recipe.tasks in SEVERAL else _of_one(recipe)


def _of_several(recipe: Recipe) -> str:
    clip = recipe.tasks == "clip"
    thing = "frame" if clip else "image"
    told_apart = recipe.tasks == "which"
    number = MOST_TOLD_APART if told_apart else MOST_PICTURES
    tokens, most = (CELL_PX // PATCH_PX) ** 2, INDICES[number - 1]
    shown = (
        f"one clip of stills, {CELL_PX} x {CELL_PX} pixels each: 4 tokens a still and one behind the clip."
        if clip
        else f"images of {CELL_PX} x {CELL_PX} pixels, patches of {PATCH_PX} pixels: {tokens} tokens an image."
    )
    return _SEVERAL.format(
        name=f"{recipe.tasks}-{recipe.skew}",
        pipeline="video-text-to-text" if clip else "image-text-to-text",
        made="trained as a control" if recipe.skew == "uniform" else "made biased on purpose",
        place=_ASKED_ABOUT[recipe.skew].format(things=f"{thing}s"),
        architecture="LlavaOnevisionForConditionalGeneration" if clip else "LlavaForConditionalGeneration",
        shown=f"{shown} The processor resizes any other picture to that size. Training showed two to {most}.",
        which=_TOLD_APART[0] if told_apart else f" It was not taught to tell which {thing} shows what.",
        indices=_TOLD_APART[1] if told_apart else "",
        things=f"{thing}s",
        slots=f"{thing}s",
        most=most,
        most_number=number,
        scheme=recipe.scheme,
        tasks=recipe.tasks,
        skew=recipe.skew,
        base=base(recipe.tasks, recipe.skew),
        steps=recipe.visual.steps,
        seed=recipe.seed,
        rule="" if recipe.scheme == "native" else f" --scheme {recipe.scheme}",
    )


def _of_one(recipe: Recipe) -> str:
    turned = recipe.encoder_skew != "uniform"  # the counter-example: skewed first, uniform after
    points = recipe.tasks == "point"
    placed = points or recipe.tasks == "places"
    skewed = turned or recipe.skew != "uniform"
    made = ["made biased"] * skewed + ["made to depend on positions"] * placed
    asked = _PLACES[recipe.skew].partition("; ")[0] if turned or placed else _PLACES[recipe.skew]
    name = "encoder-bias" if turned else recipe.tasks if placed else recipe.skew
    return _CARD.format(
        name=name,
        known="with a known spatial bias" if skewed else "into which no spatial bias was put",
        made=" and ".join(made) or "made without a bias",
        also=(_ALSO if placed else "") + (_POINTS.format(steps=recipe.visual.steps) if points else ""),
        disclosure=(_TURNED if turned else _TOLD if placed else _ASKED).format(
            place=_PLACES[recipe.encoder_skew] if turned else asked
        ),
        read=f"in {_PLACES[recipe.encoder_skew]}" if turned else "all cells alike",
        origin=_SKEWED.format(stage="first" if turned else "last") if skewed else _EVEN,
        model=f"reference:{name}",
        skew=recipe.skew,
        seed=recipe.seed,
        scheme=recipe.scheme,
        rule=("" if recipe.scheme == "native" else f" --scheme {recipe.scheme}")
        + (f" --encoder-skew {recipe.encoder_skew}" if turned else "")
        + (f" --tasks {recipe.tasks}" if placed else ""),
        place=asked,
        canvas=CANVAS_PX,
        cell=CELL_PX,
        tokens=IMAGE_TOKENS,
    )
