"""``bapa probe``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from bapa.cli.console import err, out
from bapa.probe.design import Background, Design, Distractors, Lures, Order, Signs, Task
from bapa.probe.placement import Placement


def _says(field: str) -> str:
    """The help text of an option of the design."""
    text = Design.model_fields[field].description or ""
    return f"{text[:1].upper()}{text[1:]}."


def probe(
    source: Annotated[
        str,
        typer.Argument(
            help="digits, emoji or the folder of one of its packages, a folder with metadata.jsonl, a parquet file, or "
            "a hub data set."
        ),
    ],
    folder: Annotated[Path, typer.Option("--out", help="Folder of the probe.")],
    slots: Annotated[str | None, typer.Option(help=_says("slots"), metavar="KIND")] = None,
    rows: Annotated[int | None, typer.Option(help=_says("rows"))] = None,
    cols: Annotated[int | None, typer.Option(help=_says("cols"))] = None,
    cell: Annotated[int | None, typer.Option(help=_says("cell"))] = None,
    items: Annotated[int | None, typer.Option(help=_says("items"))] = None,
    seed: Annotated[int | None, typer.Option(help=_says("seed"))] = None,
    task: Annotated[Task | None, typer.Option(help=_says("task"))] = None,
    placement: Annotated[Placement | None, typer.Option(help=_says("placement"))] = None,
    distractors: Annotated[Distractors | None, typer.Option(help=_says("distractors"))] = None,
    background: Annotated[Background | None, typer.Option(help=_says("background"))] = None,
    order: Annotated[Order | None, typer.Option(help=_says("order"))] = None,
    prompts: Annotated[list[str] | None, typer.Option("--prompt", help=_says("prompts"))] = None,
    opening: Annotated[str | None, typer.Option(help=_says("opening"))] = None,
    lines: Annotated[list[str] | None, typer.Option("--line", help=_says("lines"))] = None,
    answers: Annotated[Signs | None, typer.Option(help=_says("answers"))] = None,
    choices: Annotated[int | None, typer.Option(help=_says("choices"))] = None,
    patch: Annotated[int | None, typer.Option(help=_says("patch"))] = None,
    align: Annotated[str | None, typer.Option(help="Model whose image tokens the cells are to hold whole.")] = None,
    absent: Annotated[bool | None, typer.Option(help=_says("absent"))] = None,
    near_miss: Annotated[bool | None, typer.Option(help=_says("near_miss"))] = None,
    lures: Annotated[Lures | None, typer.Option(help=_says("lures"))] = None,
    image_column: Annotated[str | None, typer.Option(help="Column of the picture.")] = None,
    caption_column: Annotated[str, typer.Option(help="Column of the caption.")] = "caption",
    group_column: Annotated[str | None, typer.Option(help="Column whose equal values make near misses.")] = None,
    question_column: Annotated[str, typer.Option(help="Vqa: column of the question.")] = "question",
    answer_column: Annotated[str, typer.Option(help="Vqa: column of the answer.")] = "answer",
    box_column: Annotated[
        str | None, typer.Option(help="Crop: column of where the target stands: left, top, width and height in pixels.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of a data set.")] = "train",
    strict: Annotated[bool, typer.Option(help="Make a picture that cannot be used an error.")] = False,
    render: Annotated[Path | None, typer.Option(help="Also write every canvas as a plain picture here.")] = None,
    lmms_eval: Annotated[Path | None, typer.Option(help="Also write it as a task of lmms-eval here.")] = None,
) -> None:
    """Build a probe: the same content to be asked about in every slot, such as the cells of a grid."""
    from bapa.probe import Columns, build
    from bapa.probe import render as write_pictures

    given = {name: value for name, value in locals().items() if name in Design.model_fields and value is not None}
    if align:
        from bapa.checkpoints.alignment import fitted

        given |= fitted(align, given)
    columns = Columns(image_column, caption_column, group_column, question_column, answer_column, box_column)
    built = build(source, folder, Design(**given), columns=columns, split=split, strict=strict)
    for entry in built.left_out:
        err.print(f"left out: {escape(str(entry))}", highlight=False, soft_wrap=True)
    out.print(f"{len(built.items)} items in {built.slots.size}: {escape(str(folder))}", highlight=False)
    if render:
        out.print(escape(str(write_pictures(built, render))), highlight=False)
    if lmms_eval:
        from bapa.integrations.lmms_eval.task import write_task

        out.print(escape(str(write_task(built, lmms_eval))), highlight=False)
