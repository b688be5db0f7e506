"""Building a probe: read the pictures, draw the items, write all of it at once or nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from bapa.errors import ConfigError, ProbeError
from bapa.probe.card import data_card
from bapa.probe.compose import Pixels
from bapa.probe.design import Design
from bapa.probe.plan import Planner
from bapa.probe.sheet import contact_sheet
from bapa.probe.source import Columns, Source, open_source
from bapa.probe.store import VERSION, Items, Probe, fingerprint
from bapa.probe.tile import LeftOut, Tile, caption_key
from bapa.probe.writer import TileWriter

_BACKDROPS = 8  # pictures set aside as natural backgrounds


def build(
    source: str,
    out: str | Path,
    design: Design | None = None,
    *,
    columns: Columns | None = None,
    split: str = "train",
    strict: bool = False,
) -> Probe:
    """Builds the probe of ``source`` in the folder ``out``; the same call again returns the one that is there.

    Args:
        source: "digits", a folder with metadata.jsonl or metadata.csv, a parquet file, a data set on disk or of the hub.
        out: a new or empty folder, or one that holds this very probe.
        design: what it looks like and asks.
        columns: which columns of the source hold what.
        split: split of a data set.
        strict: whether a picture that must be left out (unreadable, without caption, a duplicate) is an error.

    Raises:
        ConfigError: contradicting options, or ``out`` holds something else.
        ProbeError: the source cannot be used, has too few pictures, or ``out`` cannot be written.
    """
    out, asked = Path(out), design or Design()
    pictures = open_source(source, asked, columns or Columns(), split)
    config = {"version": VERSION, "source": pictures.describe(), "design": pictures.filled(asked).model_dump(mode="json")}
    if _holds(out, config):
        return Probe.load(out)
    part = out.with_name(f".{out.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)  # of a build that was killed
        part.mkdir(parents=True)
        _write(part, pictures, config, strict)
        if out.exists():
            out.rmdir()
        part.replace(out)
    except OSError as error:
        raise ProbeError(f"cannot write the probe to {out}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Probe.load(out)


def _holds(out: Path, config: dict[str, Any]) -> bool:
    """Whether ``out`` holds the probe of this config; ConfigError if it holds anything else."""
    if out.is_dir() and not any(out.iterdir()) or not out.exists():
        return False
    try:
        found = json.loads((out / "probe.json").read_text("utf-8"))
    except (OSError, ValueError):
        raise ConfigError(f"{out} is not empty and holds no probe; choose a new folder: --out FOLDER") from None
    if differences := list(_differences(found, config)):
        raise ConfigError(f"{out} holds another probe ({'; '.join(differences)}); choose a new folder: --out FOLDER")
    return True


def _differences(found: Any, asked: Any, name: str = "") -> Iterator[str]:
    if isinstance(found, dict) and isinstance(asked, dict):
        for key in asked:
            yield from _differences(found.get(key), asked[key], f"{name}.{key}".lstrip("."))
    elif found != asked:
        yield f"{name}: {found!r} there, {asked!r} asked"


def _write(folder: Path, source: Source, config: dict[str, Any], strict: bool) -> None:
    design = Design(**config["design"])
    enough = None if design.items is None else 2 * design.items + 2 * design.cells
    left_out: list[LeftOut] = []
    backdrops: dict[str, Tile] = {}
    means = []
    with TileWriter(folder / "tiles.parquet") as tiles:
        for tile in _progress(_unlike(source.tiles(design)), len(source)):
            if isinstance(tile, LeftOut):
                left_out.append(tile)
            elif caption_key(tile.caption) in backdrops:
                left_out.append(LeftOut(tile.where, "its caption is that of a background"))
            elif design.background == "natural" and len(backdrops) < _BACKDROPS:
                backdrops[caption_key(tile.caption)] = tile
            else:
                tiles.add(tile)
                means.append(tile.image.mean((0, 1)) if design.background == "mean" else _GROUND[design.background])
            if len(tiles.labels) == enough:
                break
        if strict and left_out:
            raise ProbeError(f"{len(left_out)} pictures cannot be used, the first: {left_out[0]}; without --strict they are left out")
        planner = Planner(tiles.labels, design, source.group)
        items = Items.of(planner.draw(design.items, range(len(tiles.labels), len(tiles.labels) + len(backdrops))))
        for tile in backdrops.values():
            tiles.add(replace(tile, image=_cover(tile.image, design)))
    manifest = {
        **config,
        "colour": np.rint(np.mean(means, axis=0)).astype(int).tolist(),
        "tiles": len(tiles.labels),
        "tiles_sha256": tiles.sha256,
        "left_out": [asdict(entry) for entry in left_out],
    }
    manifest["fingerprint"] = fingerprint(manifest, items)
    pq.write_table(items.table, folder / "items.parquet", compression="zstd")
    (folder / "probe.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", "utf-8")
    probe = Probe.load(folder)
    contact_sheet(probe).save(folder / "contact_sheet.png", optimize=True)
    (folder / "README.md").write_text(data_card(probe), "utf-8")
    for path in (*folder.iterdir(), folder):
        _sync(path)


_GROUND = {"white": (255, 255, 255), "grey": (128, 128, 128), "natural": (255, 255, 255)}


def _unlike(tiles: Iterator[Tile | LeftOut]) -> Iterator[Tile | LeftOut]:
    """The tiles, with every repetition of a picture left out."""
    seen: dict[str, str] = {}
    for tile in tiles:
        if isinstance(tile, Tile) and (twin := seen.setdefault(tile.digest, tile.where)) != tile.where:
            yield LeftOut(tile.where, f"the same picture as {twin}")
        else:
            yield tile


def _cover(image: Pixels, design: Design) -> Pixels:
    """A picture enlarged to cover the whole canvas."""
    size = (design.cols * (design.cell or 0), design.rows * (design.cell or 0))
    return np.asarray(ImageOps.fit(Image.fromarray(image), size, Image.Resampling.BICUBIC))


def _progress(tiles: Iterator[Tile | LeftOut], total: int) -> Iterator[Tile | LeftOut]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(tiles, "reading pictures", total, console=console, transient=True, disable=not console.is_terminal)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
