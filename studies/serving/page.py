"""The table of docs/serve.md, from the record.

The record: ``vllm`` and ``transformers``, their versions; ``ran``: family -> ``axes``, ``dtype``, the number of
``prompts``, and by scheme how many have equal ``tokens``, equal ``positions`` and a part of themselves ``cached``;
``batch``, the most requests in one forward; ``chunked``, whether prompts came in pieces; ``stopped``: family -> why it
did not run, in the error's words.
"""

from __future__ import annotations

import re
from typing import Any

from studies.study import Blocks, Study, table

PAGE = "docs/serve.md"
HEAD = ["family", "axes", "weights in", "tokens equal", "positions equal", "prefix cache", "chunked prefill", "batch"]


def blocks(record: dict[str, Any]) -> Blocks:
    """The texts of the page."""
    rows = [
        [
            name,
            str(its["axes"]),
            its["dtype"],
            share(its["tokens"], its["prompts"]),
            share(its["positions"], its["prompts"]),
            share(its["cached"]),
            "✓" if its["chunked"] else "no",
            str(its["batch"]),
        ]
        for name, its in record["ran"].items()
    ]
    stopped = [f"- **{name}**: {escaped(why)}" for name, why in record["stopped"].items()]
    text = f"vLLM {record['vllm']}, transformers {record['transformers']}.\n\n{table(HEAD, rows)}"
    return {PAGE: {"serving": text, "stopped": "\n".join(stopped) or "None."}}


def share(found: dict[str, int], prompts: int | None = None) -> str:
    """How many of the prompts, under each scheme; one mark where it is all of them under every scheme."""
    if prompts is not None and set(found.values()) == {prompts}:
        return f"✓ {prompts}"
    counts = " · ".join(str(count) for count in found.values())
    return counts if prompts is None else f"{counts} of {prompts}"


def escaped(text: str) -> str:
    """An error's words as Markdown shows them."""
    return re.sub(r"([_*<>])", r"\\\1", text)


STUDY = Study("serving", blocks)
