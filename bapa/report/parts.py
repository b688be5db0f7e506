"""Further parts of the page: what other commands left in a run folder, each shown by a module of its own.

A module gives one function, ``part(run) -> Part | None``: it reads its file in the run folder, say, and returns None
where there is none. Its name goes into :data:`PARTS`; the page shows the parts in that order, after the tests and
before the example pictures. Pictures and tables come from :func:`picture`, :func:`vector` and :func:`table`, which
escape what they are given.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module

from markupsafe import Markup
from matplotlib.figure import Figure

from bapa.measure import Run
from bapa.report.figures import save

PARTS: tuple[str, ...] = ("bapa.report.together", "bapa.report.picks", "bapa.report.origin", "bapa.report.tuning")


@dataclass(frozen=True)
class Part:
    """A heading and what stands below it; text that is not :class:`~markupsafe.Markup` is escaped, as a paragraph.

    ``commands``: those that made it, for the list at the end of the page.
    """

    title: str
    body: Sequence[str]
    commands: Sequence[str] = ()


def parts(run: Run) -> Iterator[Part]:
    """The parts that ``run`` has."""
    for name in PARTS:
        found: Part | None = import_module(name).part(run)
        if found is not None:
            yield found


def picture(draw: Callable[[bool], Figure], words: str) -> Markup:
    """A figure as an inline vector picture, once for light pages and once for dark ones.

    ``draw``: makes the figure, given whether the page is dark (colours: :data:`bapa.report.figures.PAPER`).
    ``words``: what it shows, for those who cannot see it.
    """
    return vector(_svg(draw(False)), _svg(draw(True)), words)


def vector(light: bytes, dark: bytes, words: str) -> Markup:
    """The same from two finished SVG files."""
    return Markup(
        '<div class="scroll" tabindex="0" role="group" aria-label="Figure"><picture class="figure">'
        '<source media="(prefers-color-scheme: dark)" srcset="{dark}"><img src="{light}" alt="{words}"></picture></div>'
    ).format(dark=_inline(dark), light=_inline(light), words=words)


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table with row headings in its first column."""
    line = Markup('<tr><th scope="row">{}</th>{}</tr>')
    body = Markup("").join(
        line.format(row[0], Markup("").join(map(Markup("<td>{}</td>").format, row[1:]))) for row in rows
    )
    names = Markup("").join(map(Markup('<th scope="col">{}</th>').format, head))
    return Markup(
        '<div class="scroll" tabindex="0" role="group" aria-label="{caption}"><table><caption>{caption}</caption>'
        "<thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>"
    ).format(caption=caption, names=names, body=body)


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    save(figure, buffer, "svg")
    return buffer.getvalue()


def _inline(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode('ascii')}"
