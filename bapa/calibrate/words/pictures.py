"""Pictures of named things in the place of words: what an encoder makes of a picture is not the embedding of its name.

The pictures are those of a probe, laid out anew: any nine names that it has, each in any cell.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from bapa.calibrate.words.reader import LEAST, OPENINGS, SIDE, Reader, asking, enough, one_token, reader
from bapa.checkpoints import Loaded
from bapa.errors import ConfigError
from bapa.inference.forward import Asked, Forward, Inputs
from bapa.inference.prompts import Prompt
from bapa.probe import Probe
from bapa.probe.compose import compose, ground
from bapa.probe.questions import bare


def readers(loaded: Loaded, probe: Probe) -> tuple[Reader, Reader]:
    """``loaded`` as a reader of words, and of pictures, with those names of ``probe`` that one token says.

    Raises ConfigError for a probe of something else than 3 x 3 cells of one picture, or with too few such names;
    else as :func:`~bapa.calibrate.words.reader.reader` does.
    """
    if (probe.slots.kind, probe.rows, probe.cols) != ("grid", SIDE, SIDE):
        raise ConfigError(
            f"the probe in {probe.path} has {probe.rows} x {probe.cols} slots of kind {probe.slots.kind}, and a fit "
            f"needs {SIDE} x {SIDE} cells of one picture: bapa probe SOURCE --slots grid --rows 3 --cols 3"
        )
    tiles = named(probe)
    names, _ = one_token(loaded.processor.tokenizer, list(tiles))
    if not enough(names):
        raise ConfigError(
            f"of {len(tiles)} captions in {probe.path} the tokenizer says {len(names)} by one token, such as 'a cat', "
            f"and a fit on pictures needs {LEAST}; take a source of single things: bapa probe emoji --out PROBE"
        )
    words = reader(loaded, (probe.height, probe.width), names)
    forward = Forward(loaded.model, words.prompts, 0)
    empty = ground(probe.height, probe.width, probe.colour)

    def drawn(grids: Tensor) -> Tensor:
        """Canvases, uint8 (grids, height, width, 3); the same for the same names."""
        found = []
        for grid in grids.tolist():
            draws = np.random.default_rng(grid)
            chosen = (int(draws.choice(tiles[words.names[name]])) for name in grid)
            laid = compose(empty, map(probe.tile, chosen), SIDE, probe.cell_px, probe.design.tall)
            found.append(torch.from_numpy(laid))
        return torch.stack(found)

    def shown(image: Tensor, asked: Prompt) -> Inputs:
        inputs = words.prompts.inputs(list(image.numpy()), OPENINGS[0][0])
        return asking(forward.see(Asked(inputs, [])).inputs, asked, len(image))

    return words, replace(words, drawn=drawn, shown=shown).checked()


def named(probe: Probe) -> dict[str, list[int]]:
    """By name, the numbers of the probe's pictures that show it; backgrounds aside."""
    table = probe.whole.table
    used = {*table["target"].to_pylist(), *(tile for layout in table["layout"].to_pylist() for tile in layout)}
    captions = pq.read_table(probe.path / "tiles.parquet", columns=["caption"])["caption"].to_pylist()
    found: dict[str, list[int]] = defaultdict(list)
    for number, caption in enumerate(captions):
        if caption and number in used:
            found[bare(caption).casefold()].append(number)
    return dict(found)
