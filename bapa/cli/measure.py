"""``bapa measure``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from bapa.cli import options as common
from bapa.cli.backends import Backend
from bapa.cli.console import out
from bapa.errors import ConfigError


def measure(
    model: common.Model,
    folder: Annotated[Path, typer.Option("--out", help="Folder of the run; repeated, it resumes.")],
    probe_folder: common.ProbeFolder,
    scheme: Annotated[
        list[str] | None,
        typer.Option(
            help="Scheme, e.g. native, bapa:distance=native or null (the noise floor); repeatable.",
            show_default="native and the scheme the model's config records, else bapa",
        ),
    ] = None,
    items: Annotated[int | None, typer.Option(help="Only the first so many items.")] = None,
    batch_size: common.BatchSize = 18,
    generate: Annotated[int, typer.Option(help="Let the model write so many tokens; 0 reads logits.")] = 0,
    audit: Annotated[int, typer.Option(help="Canvases asked again one by one, and in words beside the logits.")] = 16,
    fail_on_error: Annotated[str, typer.Option(help="Answers that may fail: a count, or a fraction below 1.")] = "0",
    cluster: common.Cluster = common.Unit.auto,
    resamples: common.Unused = None,
    level: common.Level = 0.95,
    seed: common.Unused = None,
    device: common.Device = common.DEVICE,
    dtype: common.Dtype = None,
    backend: Annotated[Backend, typer.Option(help="What runs the model: transformers or vLLM.")] = Backend.hf,
    engine: Annotated[
        list[str] | None, typer.Option(help="vllm: an argument of the engine, e.g. max_model_len=4096; repeatable.")
    ] = None,
    system: common.System = None,
    thinking: common.Thinking = None,
    opening: common.Opening = "",
    more: common.Load = None,
    trust_remote_code: common.TrustRemoteCode = False,
) -> None:
    """Ask a model every question of a probe under every scheme, and say how far the place decides."""
    from bapa.measure import measure
    from bapa.probe import Probe
    from bapa.report.terminal import table
    from bapa.stats import Settings

    common.unused(resamples=resamples, seed=seed)
    probe = Probe.load(probe_folder)  # first: a mistyped folder must not wait for a model
    run = measure(
        backend.load(
            model,
            device=device,
            dtype=dtype,
            engine=engine,
            trust_remote_code=trust_remote_code,
            chat=common.chat(system, thinking, opening),
            options=common.loading(more),
        ),
        probe,
        scheme or None,
        folder,
        batch_size=batch_size,
        items=items,
        generate=generate,
        audit=audit,
        fail_on_error=_number(fail_on_error),
        statistics=Settings(level=level, cluster=cluster.value),
    )
    out.print(table(run))
    out.print(f"bapa report {escape(str(folder))}", style="dim", highlight=False)


def _number(text: str) -> int | float:
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        raise ConfigError(f"--fail-on-error {text}: a count (10) or a fraction below 1 (0.01) is accepted") from None
