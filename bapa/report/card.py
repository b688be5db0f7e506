"""What a run puts into the model card of an export."""

from __future__ import annotations

from pathlib import Path

from bapa.checkpoints.card import Measured
from bapa.measure import load_run
from bapa.probe.slots import Slots
from bapa.report.view import units
from bapa.stats.quantities import spoken
from bapa.stats.text import percent, with_interval

_COLUMNS = spoken(("auc", "auc_range", "hit", "range", "consistency", "false_alarm", "balanced_accuracy"))


def measured(folder: str | Path) -> Measured:
    """A table of what a run found under each scheme, and the run's command; RunError where ``folder`` is no run."""
    run = load_run(folder)
    bias = run.bias
    lines = [
        f"Of `{bias['model']['name']}` on {bias['probe']['items']} items of the probe "
        f"`{bias['probe']['source']}` ({Slots.of(bias['probe']).size}), in per cent, with "
        f"{percent(bias['level'])} % intervals over {units(bias)}:",
        "",
        f"| scheme | {' | '.join(_COLUMNS.values())} |",
        f"|---|{'---|' * len(_COLUMNS)}",
    ]
    for label, found in bias["schemes"].items():
        cells = (with_interval(found["overall"][name], 1) for name in _COLUMNS)
        lines.append(f"| `{label}` | {' | '.join(cells)} |")
    its = run.config["config"]["model"]
    return Measured("\n".join([*lines, ""]), run.config["command"], bias["model"]["name"], its.get("fingerprint"))
