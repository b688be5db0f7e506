"""What ``run.json`` says beside the config: versions, audit, what failed, and what was added later."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import bapa
from bapa.files import command
from bapa.inference import store as stores
from bapa.inference.block import Asker
from bapa.inference.geometry import geometry
from bapa.inference.store import Block

HOW = (
    "command",
    "versions",
    "prefill",
    "attention",
    "at_once",
)  # at_once: canvases that fit the memory, where a batch did not
SHOWN = 5  # unread answers that are told word by word
TEXT = 120  # characters of them


def about(asker: Asker, config: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """Which model, which probe, how its cells fall on image tokens, how long the prompts: for ``run.json`` and
    ``bias.json``. ``model``: its config.
    """
    probe = asker.probe
    return {
        "model": config["model"],
        "probe": {
            **config["probe"],
            "rows": probe.rows,
            "cols": probe.cols,
            **probe.slots.record,
            "source": probe.source["name"],
            "given": probe.given,
            "path": str(probe.path),
        },
        "geometry": geometry(model, asker.prompts, probe),
        "prompts": {"tokens": asker.plan.tokens, "unknown": asker.plan.unknown, "longest": asker.plan.longest},
    }


def told(asker: Asker, blocks: Mapping[int, Block], failed: Sequence[str]) -> dict[str, Any]:
    """How the answers came about."""
    unread = [line for _, block in sorted(blocks.items()) for line in stores.unread(block)]
    return {
        "command": command(),
        "versions": {
            "bapa": bapa.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "transformers", "numpy", "scipy")},
            **asker.versions,
        },
        "prefill": asker.prefill,
        **({"attention": asker.attention} if asker.attention else {}),
        **({"at_once": asker.at_once} if asker.at_once else {}),
        "answers": sum(len(block["rank"]) for block in blocks.values()),
        "failed": len(failed),
        "unread": {"answers": len(unread), "first": unread[:SHOWN]},
        "audit": _audit([entry for block in blocks.values() for entry in block["audit"]]),
    }


def written(blocks: Mapping[int, Block]) -> dict[str, Any]:
    """By scheme, what the audited answers say in words: ``answers``, how many ``agree`` with the logits, how many are
    ``unread``, and the ``first`` that do not agree. Nothing where the model wrote all its answers anyway.
    """
    found: dict[str, Any] = {}
    for _, block in sorted(blocks.items()):
        for entry in block["audit"]:
            if (words := entry.get("written")) is None:
                continue
            its = found.setdefault(entry["scheme"], {"answers": 0, "agree": 0, "unread": 0, "first": []})
            its["answers"] += 1
            its["agree"] += words["answer"] == entry["answer"]
            its["unread"] += words["answer"] is None
            if words["answer"] != entry["answer"] and len(its["first"]) < SHOWN:
                about = {name: entry[name] for name in ("item", "cell", "question", "answer", "margin")}
                its["first"].append({**about, "text": words["text"][:TEXT]})
    return found


def added(before: Mapping[str, Any], now: Mapping[str, Any], schemes: Sequence[str]) -> dict[str, Any]:
    """The record of a finished run (``before``) to which ``schemes`` were added, as ``now`` tells: counts and audits
    together, the rest under ``added``.
    """
    one, two = before["audit"], now["audit"]
    margins = [a["largest_margin_difference"] for a in (one, two) if a["largest_margin_difference"] is not None]
    return {
        **{name: before[name] for name in HOW if name in before},
        "answers": before["answers"] + now["answers"],
        "failed": before["failed"] + now["failed"],
        "unread": {
            "answers": _unread(before)["answers"] + now["unread"]["answers"],
            "first": [*_unread(before)["first"], *now["unread"]["first"]][:SHOWN],
        },
        "audit": {
            "answers": one["answers"] + two["answers"],
            "flips": [*one["flips"], *two["flips"]],
            "largest_margin_difference": max(margins, default=None),
        },
        "added": [
            *before.get("added", ()),
            {"schemes": list(schemes), **{name: now[name] for name in HOW if name in now}},
        ],
    }


def _audit(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How far asking in batches changed the answers: every flip, and the largest difference of a margin."""
    margins = [(entry["margin"], entry["alone"]["margin"]) for entry in entries]
    return {
        "answers": len(entries),
        "flips": [entry for entry in entries if entry["answer"] != entry["alone"]["answer"]],
        "largest_margin_difference": max((abs(a - b) for a, b in margins if None not in (a, b)), default=None),
    }


def _unread(before: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a run made before these were counted, none."""
    return before.get("unread") or {"answers": 0, "first": []}
