"""Facts about single families that structure alone does not tell.

``JOINED`` answers, for families that write one image in several pieces, whether two neighbouring runs of image tokens
belong to the same image. It sees the row's token ids and the columns between the runs. Families without an entry
write an image as one run.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Joined = Callable[[Tensor, int, int], bool]


def _idefics3(ids: Tensor, end: int, start: int) -> bool:
    """Tiles are announced by the fake-token border and a tag; a further image closes the border first, so it stands
    twice.

    Idefics3Processor.replace_image_token, transformers 5.23.
    """
    border = ids[start - 2]
    return int((ids[end:start] == border).sum()) == 1


JOINED: dict[str, Joined] = {
    "idefics3": _idefics3,
    "smolvlm": _idefics3,
}
