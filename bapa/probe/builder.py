"""Building a probe: read the pictures, draw the items, write all of it at once or nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bapa.errors import ConfigError, ProbeError
from bapa.files import sync_files
from bapa.probe.card import data_card
from bapa.probe.compose import Pixels
from bapa.probe.design import Design
from bapa.probe.files import empty, new_folder, outside
from bapa.probe.item import Items
from bapa.probe.opening import open_source
from bapa.probe.picture import plain
from bapa.probe.plan import Planner
from bapa.probe.sheet import contact_sheet
from bapa.probe.size import check_memory
from bapa.probe.source import Columns, Source
from bapa.probe.store import MANIFEST, VERSION, Probe, fingerprint
from bapa.probe.tile import LeftOut, caption_key
from bapa.probe.wording import OPENING
from bapa.probe.writer import TileWriter
from bapa.progress import counted

_GROUND = {"white": [(255, 255, 255)], "grey": [(128, 128, 128)], "natural": [(255, 255, 255)]}
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
        source: ``digits``, ``emoji`` or the folder of an emoji-datasource package (see :mod:`bapa.probe.emoji`), a
            folder with metadata.jsonl or metadata.csv, a parquet file, a data set on disk or of the hub, or the JSON
            lines of ready-made canvases (see :mod:`bapa.probe.canvases`).
        out: a new or empty folder, or one that holds this very probe.
        design: what it looks like and asks.
        columns: which columns of the source hold what.
        split: split of a data set.
        strict: whether a picture that must be left out (unreadable, without caption, repeated) is an error.

    Raises:
        ConfigError: contradicting options, or ``out`` holds something else.
        ProbeError: the source cannot be used or has too few pictures, or ``out`` cannot be written.
    """
    out, asked = Path(out), design or Design()
    pictures = open_source(source, asked, columns or Columns(), split)
    chosen = pictures.filled(asked)
    lures = "canvas" if chosen.distractors == "similar" else "cell"
    chosen = chosen.filled(lures=lures, opening=OPENING if chosen.task == "name" else None)
    outside(out, Path(source))
    check_memory(pictures.wanted(chosen), chosen)
    config = {"version": VERSION, "source": pictures.describe(), "design": chosen.told()}
    if not empty(out):
        _check_holds(out, pictures, chosen, config)
        return Probe.load(out)
    with new_folder(out, last=MANIFEST) as folder:
        if not empty(out):
            raise ProbeError(f"another process has just written to {out}; repeat the command to see what")
        _write(folder, pictures, chosen, config, _given(source, split), strict)
    return Probe.load(out)


def _given(source: str, split: str) -> dict[str, str]:
    """How the source was named, so that the command can be told again: a path whole, a split that is not the usual."""
    path = Path(source)
    return {
        "source": str(path.resolve()) if path.exists() else source,
        **({"split": split} if split != "train" else {}),
    }


def _check_holds(out: Path, source: Source, design: Design, config: dict[str, Any]) -> None:
    """ConfigError if ``out`` holds anything else than the probe of this config and of what the source now holds."""
    try:
        found = json.loads((out / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        raise ConfigError(f"{out} is not empty and holds no probe; choose a new folder: --out FOLDER") from None
    if differences := "; ".join(_differences(found, config)):
        raise ConfigError(f"{out} holds another probe ({differences}); choose a new folder: --out FOLDER")
    there = found["source"]
    if there["stamp"] != source.stamp(design, there["read"]):
        raise ConfigError(
            f"{out} holds another probe (source.stamp: pictures or captions of {there['name']} have changed since); "
            "choose a new folder: --out FOLDER"
        )


def _differences(found: Any, asked: Any, name: str = "") -> Iterator[str]:
    if isinstance(found, dict) and isinstance(asked, dict):
        for key in asked:
            yield from _differences(found.get(key), asked[key], f"{name}.{key}".lstrip("."))
    elif found != asked:
        yield f"{name}: {found!r} there, {asked!r} asked"


def _write(
    folder: Path, source: Source, design: Design, config: dict[str, Any], given: dict[str, str], strict: bool
) -> None:
    wanted = source.wanted(design)
    left_out: list[LeftOut] = []
    backdrops = list(source.backdrops(design))
    aside = design.background == "natural" and not backdrops
    behind: set[str] = set()  # captions of the backdrops
    seen: dict[str, tuple[str, int | None]] = {}  # by picture: what it is called, and the number of its tile
    colours: list[NDArray[np.float64]] = []
    with TileWriter(folder / "tiles.parquet") as tiles:
        for tile in counted(source.tiles(design), wanted, "reading pictures"):
            if isinstance(tile, LeftOut):
                left_out.append(tile)
                continue
            captions = {*map(caption_key, (tile.caption, *tile.also))}
            number: int | None = len(tiles.labels)
            if tile.caption and tile.digest in seen:
                twin, number = seen[tile.digest]
                left_out.append(LeftOut(tile.where, f"the same picture as {twin}"))
                if number is None:
                    behind |= captions
                else:
                    tiles.add_captions(number, (tile.caption, *tile.also))
                continue
            if not captions.isdisjoint(behind):
                left_out.append(LeftOut(tile.where, "its caption is that of a background"))
            elif aside and len(backdrops) < _BACKDROPS and tile.image.shape[:2] != design.backdrop:
                backdrops.append(tile)
                behind |= captions
                seen[tile.digest] = (tile.where, None)
            else:
                tiles.add(tile)
                if tile.caption:
                    seen[tile.digest] = (tile.where, number)
                if design.background == "mean":
                    colours.append(tile.image.mean((0, 1)))
            if len(tiles.labels) == wanted:
                break
        if strict and left_out:
            raise ProbeError(
                f"{len(left_out)} pictures cannot be used, the first: {left_out[0]}; without --strict they are left out"
            )
        if left_out and not tiles.labels:
            raise ProbeError(f"none of the {len(left_out)} pictures can be used, the first: {left_out[0]}")
        count = len(tiles.labels)
        items = Items.of(Planner(tiles.labels, design, source.group).draw(range(count, count + len(backdrops))))
        for tile in backdrops:
            tiles.add(replace(tile, image=_cover(tile.image, design)))
    manifest: dict[str, Any] = {
        **config,
        "source": {**config["source"], "read": source.read, "stamp": source.stamp(design, source.read)},
        "given": given,
        "colour": np.rint(np.mean(colours or _GROUND[design.background or "white"], axis=0)).astype(int).tolist(),
        "tiles": len(tiles.labels),
        "tiles_sha256": tiles.sha256,
        "left_out": [asdict(entry) for entry in left_out],
    }
    manifest["fingerprint"] = fingerprint(manifest, items)
    pq.write_table(items.table, folder / "items.parquet", compression="zstd")
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", "utf-8")
    probe = Probe.load(folder)
    contact_sheet(probe).save(folder / "contact_sheet.png")
    (folder / "README.md").write_text(data_card(probe), "utf-8")
    sync_files(folder)


def _cover(image: Pixels, design: Design) -> Pixels:
    """A picture enlarged to cover all that it stands behind."""
    height, width = design.backdrop
    size = (width, height)
    picture = plain(Image.fromarray(image))
    return np.asarray(picture if picture.size == size else ImageOps.fit(picture, size, Image.Resampling.BICUBIC))
