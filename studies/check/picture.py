"""The picture of a decision, as a reader of the page of a check sees it: docs/decision-light.png and -dark.png."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import typer

from bapa.check import load_check
from bapa.report import check as page
from studies.study import ROOT

WIDTH, HEIGHT = 1280, 800  # of a window: what shows without scrolling
_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}")


def picture(folder: Path) -> None:
    """Draw the decision of the check in FOLDER, as its page shows it first, in light and dark. Needs Chromium."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise typer.BadParameter("no browser is here; install one: apt-get install chromium")
    shown = page.write([load_check(folder)], folder / page.PAGE).resolve().as_uri()
    for number, scheme in enumerate(("dark", "light")):  # as the browser counts them
        out = ROOT / "docs" / f"decision-{scheme}.png"
        look = f"--blink-settings=preferredColorScheme={number}"
        subprocess.run([browser, *_FLAGS, look, f"--screenshot={out}", shown], check=True, capture_output=True)
        typer.echo(out.relative_to(ROOT))
