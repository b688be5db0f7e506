"""The explorer as a Gradio page. Nothing is fetched from outside and nothing is sent there."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from bapa.errors import BapaError
from bapa.integrations.explore.drawing import cards
from bapa.integrations.explore.explorer import Explorer
from bapa.probe.compose import Pixels

_PICKED = 8  # built-in pictures to pick from
_WIDTH = 480  # pixels of the canvas on the page
_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO = ("ui-monospace", "SF Mono", "Menlo", "Consolas", "monospace")


def page(explorer: Explorer) -> gr.Blocks:
    """The page, to be launched with :func:`looks`."""
    tiles = [_large(tile.image) for tile in explorer.tiles[:_PICKED]]
    probe, slots = explorer.probe, explorer.slots
    thing = "picture" if probe is None else "target"
    first = slots.count - 1
    places = [(slots.name(slot), slot) for slot in range(slots.count)]

    def look(
        picture: Image.Image | None, cell: int, question: str, crowded: bool, item: int
    ) -> tuple[Image.Image, str]:
        if picture is None or not question.strip():
            raise gr.Error("Pick or upload a picture, and ask something.")
        try:
            if probe is None:
                canvas, shown = explorer.canvas(picture, cell, crowded), explorer.ask(picture, cell, question, crowded)
            else:
                canvases = explorer.of_item(item, probe)
                canvas, shown = canvases[cell], explorer.look(canvases, cell, question)
        except BapaError as error:
            raise gr.Error(str(error)) from error
        return _large(canvas), cards(shown, canvas, cell, slots)

    def pick(event: gr.SelectData) -> tuple[Image.Image, str, int]:
        return Image.fromarray(explorer.tiles[event.index].image), explorer.question(event.index), event.index

    def place(event: gr.SelectData) -> int:
        x, y = event.index
        wide, high = _large(np.zeros((*explorer.size, 3), np.uint8)).size
        return int(y * slots.rows / high) * slots.cols + int(x * slots.cols / wide)

    one = f"an {slots.word}" if slots.word[0] in "ai" else f"a {slots.word}"  # an image, an aspect ratio
    lead, hint = f"Pick a {thing}, click where it shall stand, ask.", f"Click {one}: the {thing} moves there."
    if slots.kind == "crop":
        hint = f"Click {one}: the window moves until the {thing} stands there."
    if slots.varied:  # it stands in the middle, whatever is clicked
        lead, hint = f"Pick a {thing}, choose {one}, ask.", f"Choose {one} below: the {thing} changes."

    with gr.Blocks(title="bapa explore", analytics_enabled=False) as blocks:
        gr.HTML(
            "<div class='bapa-head'><h1>Same picture, other place, other answer?</h1>"
            f"<p>{lead} Every card shows <code>{escape(explorer.name)}</code> under another scheme.</p></div>"
        )
        with gr.Row():
            with gr.Column(scale=4, min_width=320):
                canvas = gr.Image(
                    label="Canvas",
                    show_label=False,
                    interactive=False,
                    format="png",
                    buttons=[],
                    elem_classes="bapa-canvas",
                    elem_id="canvas",
                    type="pil",
                )
                gr.HTML(f"<p class='bapa-hint'>{hint}</p>")
                question = gr.Textbox(explorer.question(0), label="Question", elem_id="question", lines=1, max_lines=4)
                with gr.Row():
                    cell = gr.Dropdown(places, value=first, label=slots.word.capitalize(), elem_id="place")
                    crowded = gr.Checkbox(
                        True, label="Digits in the other cells", elem_id="crowded", visible=probe is None
                    )
                ask = gr.Button("Ask", variant="primary", elem_id="ask")
                gr.HTML(
                    "<p class='bapa-hint'>Pictures to place; below the one in use: drop your own on it.</p>"
                    if probe is None
                    else "<p class='bapa-hint'>The targets of the probe's first items.</p>"
                )
                item = gr.State(0)
                gallery = gr.Gallery(
                    tiles,
                    label="Built-in pictures",
                    show_label=False,
                    columns=2 if slots.kind == "page" else _PICKED // 2,  # words are to be read
                    height=240,
                    object_fit="contain",
                    allow_preview=False,
                    interactive=False,
                    buttons=[],
                    elem_classes="bapa-tiles",
                    elem_id="tiles",
                )
                picture = gr.Image(
                    Image.fromarray(explorer.tiles[0].image),
                    label="Picture",
                    show_label=False,
                    type="pil",
                    format="png",  # the default, WebP, changes pixels
                    sources=["upload", "clipboard"],
                    height=170,
                    buttons=[],
                    elem_classes="bapa-tiles",
                    elem_id="picture",
                    visible=probe is None,
                )
            with gr.Column(scale=7, min_width=320):
                answers = gr.HTML(elem_id="answers")

        given, made = [picture, cell, question, crowded, item], [canvas, answers]
        gallery.select(pick, None, [picture, question, item])
        canvas.select(place, None, cell)
        picked = picture.change if probe is None else item.change
        for changed in (picked, cell.change, crowded.change, ask.click, question.submit, blocks.load):
            changed(look, given, made, show_progress="minimal", trigger_mode="always_last")
    return blocks


def looks() -> dict[str, Any]:
    """What ``launch`` is to be told about appearance: fonts of the reader's own machine, light and dark."""
    theme = gr.themes.Base(
        font=_FONTS, font_mono=("ui-monospace", "Menlo", "Consolas", "monospace"), primary_hue="blue"
    )
    style = Path(__file__).parent / "templates" / "page.css"
    return {"theme": theme, "css_paths": style, "footer_links": []}


def _large(pixels: Pixels) -> Image.Image:
    picture = Image.fromarray(pixels)
    times = max(1, _WIDTH // picture.width)
    return picture.resize((picture.width * times, picture.height * times), Image.Resampling.NEAREST)
