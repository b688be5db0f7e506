"""``bapa tune``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from bapa.cli import options as common
from bapa.cli.console import MAIN, err, out
from bapa.errors import ConfigError, IntegrationError


def tune(
    model: common.Model,
    source: Annotated[str, typer.Option("--data", help="A .json or .jsonl file of chats, a data set, or a probe.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder of the result; repeated, it resumes.")],
    scheme: Annotated[str, typer.Option(help="Scheme to train under, e.g. bapa or bapa:distance=native.")] = "bapa",
    images: Annotated[
        Path | None, typer.Option(help="Folder that picture paths start from.", show_default="the file's")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of a data set.")] = "train",
    cells: Annotated[
        list[int] | None, typer.Option("--cell", help="Of a probe: where its targets stand; repeatable.")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Only the first so many rows.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out rows that cannot be used.")] = False,
    rank: Annotated[int | None, typer.Option(help="Rank of the LoRA adapter.", show_default="8")] = None,
    full: Annotated[bool, typer.Option("--full", help="Train the whole language model, no adapter.")] = False,
    epochs: Annotated[float, typer.Option(help="Passes over the data.")] = 1.0,
    steps: Annotated[int | None, typer.Option(help="Stop after so many steps, whatever --epochs.")] = None,
    rate: Annotated[float, typer.Option(help="Peak learning rate; cosine, 3 % warm-up.")] = 1e-4,
    batch: Annotated[int, typer.Option(help="Rows per forward and process.")] = 8,
    accumulate: Annotated[int, typer.Option(help="Forwards per step.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the adapter and of the order of rows.")] = 0,
    bf16: Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16.")] = False,
    checkpointing: Annotated[bool, typer.Option("--gradient-checkpointing", help="Less memory, more time.")] = False,
    save_every: Annotated[int, typer.Option(min=0, help="Steps between checkpoints; 0 for none.")] = 500,
    probe_folder: Annotated[Path | None, typer.Option("--probe", help="Probe to measure before and after.")] = None,
    every: Annotated[int, typer.Option("--evaluate-every", min=0, help="Also measure every so many steps.")] = 0,
    items: Annotated[int | None, typer.Option("--evaluate-items", help="Only the first so many items.")] = None,
    also: Annotated[list[str] | None, typer.Option(help="Also measure under this scheme; repeatable.")] = None,
    options: Annotated[list[str] | None, typer.Option("--trl", help="A field of trl.SFTConfig: NAME=VALUE.")] = None,
    device: common.Device = common.DEVICE,
    dtype: common.Dtype = None,
    more: common.Load = None,
    trust_remote_code: common.TrustRemoteCode = False,
) -> None:
    """Train a model, or an adapter on it, while it runs under a scheme."""
    from bapa.probe import Probe

    try:
        from bapa.tune import Settings, read
        from bapa.tune import tune as train
    except ImportError as error:
        raise IntegrationError(
            f"tuning needs {error.name}, which is not installed; pip install 'bapa[tune]'"
        ) from error
    if full and rank is not None:
        raise ConfigError(f"--full trains no adapter, so --rank {rank} says nothing; leave out one of them")
    settings = Settings(
        rank=Settings.rank if rank is None else rank,
        full=full,
        epochs=epochs,
        steps=steps,
        rate=rate,
        batch=batch,
        accumulate=accumulate,
        seed=seed,
        bf16=bf16,
        checkpointing=checkpointing,
        save_every=save_every,
        options=dict(common.assignment("--trl", text, "warmup_steps=0.1") for text in options or ()),
    )
    data = read(source, images=images, split=split, cells=cells or (), rows=rows, skip_bad=skip_bad)
    for reason in data.left_out:
        err.print(f"left out: {escape(reason)}", highlight=False, soft_wrap=True)
    told = len(data.left_out)
    result = train(
        common.load(model, _own(device), dtype, trust_remote_code, more=more),
        data,
        folder,
        scheme=scheme,
        settings=settings,
        probe=Probe.load(probe_folder) if probe_folder else None,
        evaluate_every=every,
        evaluate_items=items,
        also=also or (),
    )
    if MAIN:
        from bapa.files import read_json
        from bapa.report import tuning

        for reason in read_json(result / "tune.json", "left_out")["left_out"][told:]:
            err.print(f"left out: {escape(reason)}", highlight=False, soft_wrap=True)
        for line in tuning.lines(result):
            out.print(escape(line), highlight=False)
        out.print(escape(str(tuning.write(result))), highlight=False)


def _own(device: str) -> str:
    """The device of this process: started by a launcher, not all of them load onto the first GPU."""
    rank = os.environ.get("LOCAL_RANK")
    return device if rank is None or device in ("cpu", "auto") or ":" in device else f"{device}:{rank}"
