"""``bapa explore``."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from bapa.cli.options import DEVICE, Device, Dtype, Load, Model, TrustRemoteCode, load
from bapa.errors import ConfigError, IntegrationError


def explore(
    model: Model = "reference",
    scheme: Annotated[list[str] | None, typer.Option(help="Schemes side by side.", show_default="native, bapa")] = None,
    probe: Annotated[
        Path | None, typer.Option(help="Folder of a probe: its items and slots instead of pictures on cells.")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, max=8, help="Rows of cells.", show_default="3")] = None,
    cols: Annotated[int | None, typer.Option(min=1, max=8, help="Columns of cells.", show_default="3")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the page.", show_default="the first free one from 7860")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    device: Device = DEVICE,
    dtype: Dtype = None,
    more: Load = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Open a page in the browser: place a picture, ask, and see native and balanced answers side by side.

    With a probe its slots are shown: images of a prompt, frames of a clip, regions of a page, places in a scene.
    """
    if probe is not None and (rows, cols) != (None, None):
        raise ConfigError(
            f"--rows and --cols lay out pictures, and the probe in {probe} has its own slots; leave them out, or build "
            "another: bapa probe SOURCE --rows N --cols N"
        )
    if find_spec("gradio") is None:
        raise IntegrationError("gradio is not installed; type: pip install 'bapa[explore]'")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before it is imported
    for name in ("NO_PROXY", "no_proxy"):  # gradio asks its own page whether it is there, which no proxy can tell
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "localhost", "127.0.0.1", host]))
    from bapa.integrations.explore.explorer import Explorer
    from bapa.integrations.explore.page import looks, page
    from bapa.probe import Probe

    shown = None if probe is None else Probe.load(probe)  # first: a mistyped folder must not wait for a model
    loaded = load(model, device, dtype, trust_remote_code, more=more)
    blocks = page(Explorer(loaded, scheme or ["native", "bapa"], rows or 3, cols or 3, shown))
    try:
        blocks.launch(server_name=host, server_port=port, ssr_mode=False, **looks())
    except (OSError, ValueError) as error:
        raise IntegrationError(
            f"no page can be opened on {host}, port {port or 7860} ({' '.join(str(error).split())}); name another: "
            "--port NUMBER --host ADDRESS"
        ) from error
