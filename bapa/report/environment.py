"""The templates of the pages, one environment for all: what is put into a page is escaped, what is missing an error."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bapa.stats.text import interval, percent


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bapa.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, interval=interval)
    return environment


def page(template: str, **values: Any) -> str:
    """The page of a template, ``page.html.j2`` say, filled with ``values``."""
    return _environment().get_template(template).render(**values)
