"""The data card of a probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bapa.probe.store import Probe


def data_card(probe: Probe) -> str:
    return ""
