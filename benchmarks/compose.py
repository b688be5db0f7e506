"""Probes at scale: building one from many pictures, and composing its canvases against opening and pasting with Pillow.

    python benchmarks/compose.py                        # 10,000 generated pictures: 90,000 canvases of 840 px
    python benchmarks/compose.py --source FOLDER        # a folder of captioned pictures

Both ways of composing take turns, item by item, on the same items in one process and one thread, and must agree on the
pixels. Each is given the processor time it used, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

import bapa.probe
from bapa.probe.placement import arrange


def generate(folder: Path, pictures: int) -> None:
    """JPEG pictures of 400 x 300 px with smooth random content, and their captions."""
    rng = np.random.default_rng(0)
    with (folder / "metadata.jsonl").open("w") as lines:
        for number in range(pictures):
            blobs = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(
                (400, 300), Image.Resampling.BICUBIC
            )
            grain = rng.integers(-12, 13, (300, 400, 1), dtype=np.int16)
            pixels = np.clip(np.asarray(blobs) + grain, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=85)
            print(
                json.dumps({"file_name": f"{number}.jpg", "caption": f"a thing called w{number % 997} v{number}"}),
                file=lines,
            )


def paste(probe: bapa.probe.Probe, paths: list[Path], item: bapa.probe.Item, cell: int) -> np.ndarray:
    """The usual way: open, scale and paste every picture of every canvas."""
    px = probe.cell_px
    canvas = Image.new("RGB", (probe.width, probe.height), "white")
    for index, tile in enumerate(arrange(item.layout, item.home, cell, probe.design.placement)):
        with Image.open(paths[tile]) as picture:
            fitted = ImageOps.contain(picture.convert("RGB"), (px, px), Image.Resampling.LANCZOS)
        row, col = divmod(index, probe.cols)
        canvas.paste(fitted, (col * px + (px - fitted.width) // 2, row * px + (px - fitted.height) // 2))
    return np.asarray(canvas)


def main() -> None:
    """Builds, composes, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, help="folder with metadata.jsonl (default: generated pictures)")
    parser.add_argument("--pictures", type=int, default=10_000, help="how many to generate")
    parser.add_argument("--items", type=int, default=240, help="items to compose both ways")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = options.source or Path(folder, "pictures")
        if not options.source:
            source.mkdir()
            generate(source, options.pictures)
        start = time.perf_counter()
        bapa.probe.build(str(source), Path(folder, "probe"))
        built = time.perf_counter() - start
        start = time.perf_counter()
        probe = bapa.probe.Probe.load(Path(folder, "probe"))
        loaded = time.perf_counter() - start
        size = sum((probe.path / name).stat().st_size for name in ("probe.json", "items.parquet"))
        canvases = len(probe.items) * probe.cells
        print(
            f"built {canvases:,} canvases of {probe.width} px from {len(probe.items):,} pictures in {built:.1f} s, ",
            end="",
        )
        print(f"manifest {size / 1e6:.2f} MB, loaded in {loaded:.2f} s")
        compare(probe, source, options.items)


def compare(probe: bapa.probe.Probe, source: Path, items: int) -> None:
    """Times both ways on the first items, starting with no tile decoded."""
    import pyarrow.parquet as pq

    names = pq.read_table(probe.path / "tiles.parquet", columns=["where"])["where"].to_pylist()
    paths = [source.resolve().parent / name for name in names]
    ours, plain = [], []
    for item in probe.items[: min(items, len(probe.items))]:
        start = time.process_time()
        composed = [probe.compose(item, cell) for cell in range(probe.cells)]
        middle = time.process_time()
        pasted = [paste(probe, paths, item, cell) for cell in range(probe.cells)]
        plain.append(time.process_time() - middle)
        ours.append(middle - start)
        if any((a != b).any() for a, b in zip(composed, pasted, strict=True)):
            raise SystemExit(f"item {item.item}: the two ways give other pixels")
    count = len(ours) * probe.cells
    print(f"compose: {count / sum(ours):.0f} canvases/s, open and paste: {count / sum(plain):.0f} canvases/s, ", end="")
    print(f"ratio {sum(plain) / sum(ours):.1f} (median item {np.median(plain) / np.median(ours):.1f})")


if __name__ == "__main__":
    main()
