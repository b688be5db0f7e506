"""Writes the table of verdicts in docs/origin.md from finished runs of ``bapa origin``.

    python docs/origin.py RUN [RUN ...]

Everything between the two marks in docs/origin.md is replaced.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bapa.origin import load_origin
from bapa.report.origin_tables import percent

PAGE = Path(__file__).with_name("origin.md")
START, END = "<!-- verdicts: written by docs/origin.py, do not edit -->", "<!-- end of verdicts -->"
_COLUMNS = ("encoder", "order", "position", "remainder")


def row(folder: Path) -> str:
    """One run as a line of the table."""
    found = load_origin(folder).found
    shares = found["attribution"][found["verdict"]["quantity"]]
    verdict = found["verdict"]
    cause = f"{verdict['cause']}: {verdict['detail']}" if verdict["detail"] else verdict["cause"]
    hits = [100 * value for value in found["map"]["hit"]]
    told = cause not in ("none", "unknown")
    cells = [percent(shares[factor]) if told else "–" for factor in _COLUMNS]
    control = f"{found['control']['attributed']} of {found['control']['shuffles']}"
    range_ = f"{max(hits) - min(hits):.0f} (p = {found['spread']['hit']['p']:.2g})"
    return f"| `{folder.name}` | {range_} | **{cause}** | {' | '.join(cells)} | {control} |"


def main() -> None:
    """Replaces the table."""
    lines = [
        START,
        "",
        "| model and seed | range of the hit rate over cells | verdict | encoder | order | position | not additive | "
        "causes found with cells shuffled |",
        "|---|---|---|---|---|---|---|---|",
        *(row(Path(folder)) for folder in sys.argv[1:]),
        "",
        END,
    ]
    text = PAGE.read_text()
    head, tail = text[: text.index(START)], text[text.index(END) + len(END) :]
    PAGE.write_text(head + "\n".join(lines) + tail)


if __name__ == "__main__":
    main()
