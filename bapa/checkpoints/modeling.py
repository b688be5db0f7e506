"""A model that runs under its position scheme by itself.

``bapa export --self-contained`` writes this file and those it imports beside a checkpoint, so that it loads where bapa
is not installed: ``AutoModelForImageTextToText.from_pretrained(FOLDER, trust_remote_code=True)``. They are the files of
the package as they are, but for the names of their imports.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel as Base

from bapa.attach.check import check
from bapa.attach.entry import put, told
from bapa.attach.hooks import Attachment
from bapa.errors import SchemeError
from bapa.families.anatomy import find
from bapa.schemes.base import Scheme as Rule


class Balanced(Base):
    """The checkpoint's own class, under the scheme that its config records; weights, masks and caches are its own."""

    _auto_class = "AutoModelForImageTextToText"  # transformers 4 saves the code again only where this is said

    def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        recorded = told(config)
        if recorded is None:  # restored, and saved again
            return
        name, options = recorded
        if name != Rule.name:
            raise SchemeError(f"config.bapa names {name!r}; the code of this checkpoint is that of {Rule.name!r}")
        with torch.device("cpu"):  # weights may be made on the meta device; what a scheme looks up is not
            anatomy, rule = find(self), Rule(**options)  # type: ignore[abstract]  # the export names a scheme
            check(anatomy, rule)
            anatomy.outer._bapa = Attachment(anatomy, rule)  # type: ignore[assignment]

    def unbalance(self) -> None:
        """Take the scheme off, where bapa is not there to do it: from now on this is the plain class."""
        outer: Any = find(self).outer
        if hasattr(outer, "_bapa"):
            outer._bapa.detach()
            del outer._bapa
        put(self.config, {})

    @classmethod
    def is_custom_code(cls) -> bool:
        """False: weights are named and initialised as those of the class it derives from."""
        return False
