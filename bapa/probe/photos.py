"""Natural pictures that need no download: windows of the two photographs that scikit-learn brings.

"china.jpg" and "flower.jpg", by danielbuechele and vultilion, both CC BY 2.0 (scikit-learn's ``datasets/images``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bapa.probe.design import Design
from bapa.probe.tile import Tile

COUNT = 8
_LEAST = 0.5  # share of the photograph's side that a window shows at least


def backdrops(design: Design) -> Iterator[Tile]:
    """Windows in the shape of what they stand behind, drawn from the design's seed."""
    from sklearn.datasets import load_sample_images

    photos = load_sample_images().images
    rng = np.random.default_rng([design.seed, *b"photos"])
    for number in range(COUNT):
        photo = photos[number % len(photos)]
        height, width, _ = photo.shape
        rows, cols = (side / (design.cell or 1) for side in design.backdrop)
        largest = min(height / rows, width / cols)
        size = largest * rng.uniform(_LEAST, 1)
        tall, wide = round(size * rows), round(size * cols)
        top, left = (int(rng.integers(room + 1)) for room in (height - tall, width - wide))
        yield Tile(photo[top : top + tall, left : left + wide], "", f"photograph {number}")
