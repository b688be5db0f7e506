from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from bapa.probe.slots import Slots
from bapa.report.examples import Example, Grid, _png, _thumbnail
from bapa.report.page import render, section
from bapa.schemes.shares import brief
from bapa.stats.text import percent
from tests.report.fakes import FLAT, LOW, SKEWED, fake_bias

SCHEMES = ("native", "bapa", "bapa:distance=native")
EVIL = "a \"red\" <script>alert(1)</script> & 'seven'"


class Page(HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


SLOTS = Slots("grid", 3, 3)


def example(name: str, question: str, side: int = 400) -> Example:
    rng = np.random.default_rng(0)
    canvases = [_thumbnail(rng.integers(0, 255, (side, side, 3), dtype=np.uint8)) for _ in range(9)]
    grids = [Grid(scheme, [cell != 3 for cell in range(9)], SLOTS) for scheme in SCHEMES]
    pictures = [_png(canvas) for canvas in canvases]
    return Example(name, question, "item 0", SLOTS, 3, 3, canvases[0].width, canvases[0].height, pictures, grids)


@pytest.fixture(scope="module")
def biases() -> list[dict]:
    return [
        fake_bias(dict(zip(SCHEMES, (SKEWED, FLAT, LOW), strict=True))),
        fake_bias(dict(zip(SCHEMES, (SKEWED[::-1], LOW, FLAT), strict=True)), model=EVIL),
    ]


def test_settings_are_told_in_words() -> None:
    bias = fake_bias({"native": SKEWED})
    first = [{"item": 3, "answer": "top", "margin": -0.25}, {"item": 4, "answer": "left", "margin": 3.5762786865e-06}]
    settings = {"written": {"first": first, "none": []}, "geometry": {"tokens": None}, "level": 0.95, "on": True}
    text = Page(render([section("m", bias, settings, [], None)], "")).text
    assert "written.first item 3, answer top, margin -0.25; item 4, answer left, margin 3.57628e-06" in text
    assert "written.none none geometry.tokens none level 0.95 on True" in text


@pytest.fixture(scope="module")
def html(biases: list[dict]) -> str:
    config = {"versions": {"torch": "2.13.0"}, "note": EVIL}
    runs = [
        section(bias["model"]["name"], bias, config, ["bapa measure X"], [example(f"e{i}", EVIL)])
        for i, bias in enumerate(biases)
    ]
    return render(runs, "bapa report A B")


def test_foreign_text_is_escaped(html: str) -> None:
    page = Page(html)
    assert "<script>alert" not in html
    assert len(page.all("script")) == 1
    assert page.text.count(EVIL) >= 4  # title, heading, question, provenance: shown as written
    assert EVIL in {
        attributes.get("aria-label", "").removeprefix("Overall figures of ") for attributes in page.all("div")
    }


def test_nothing_is_fetched(html: str) -> None:
    page = Page(html)
    sources = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert all(
        value and value.startswith(("data:image/png;base64,", "#", "https://arxiv.org/abs/")) for value in sources
    )
    assert {tag for tag, attributes in page.tags if (attributes.get("href") or "").startswith("http")} == {"a"}
    assert not re.search(r"@import|url\((?!#)", html)
    assert "default-src 'none'" in html


def test_ids_are_unique_and_references_lead_somewhere(html: str) -> None:
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    inner = [a["href"][1:] for _, a in page.tags if (a.get("href") or "").startswith("#")]
    assert set(inner) <= set(ids)


def test_every_cell_of_every_scheme_is_on_the_page(html: str, biases: list[dict]) -> None:
    cells = [attributes["aria-label"] for attributes in Page(html).all("g") if attributes.get("class") == "cell"]
    for bias in biases:
        for scheme in bias["schemes"].values():
            for cell in scheme["cells"]:
                start = f"Row {cell['row'] + 1}, column {cell['col'] + 1}: hit rate {percent(cell['hit']['value'])} "
                assert any(label and label.startswith(start) for label in cells)


def test_one_tab_stop_per_map(html: str) -> None:
    page = Page(html)
    maps = [attributes for attributes in page.all("svg") if attributes.get("class") == "map"]
    stops = [a for a in page.all("g") if a.get("class") == "cell" and a.get("tabindex") == "0"]
    assert len(stops) == len(maps) > 0


def test_examples_mark_hits_and_misses(html: str) -> None:
    page = Page(html)
    assert len(page.all("image")) == 2 * 9  # embedded once, used by every scheme
    assert len(page.all("use")) == 2 * 9 * len(SCHEMES)
    assert len([a for a in page.all("g") if a.get("class") == "miss"]) == 2 * len(SCHEMES)
    spoken = [a["aria-label"] for a in page.all("svg") if a.get("class") == "grid"]
    assert all(label and "row 2, column 1" not in label and "row 1, column 1" in label for label in spoken)


def test_six_runs_with_noisy_pictures_stay_below_five_megabytes(biases: list[dict]) -> None:
    runs = [
        section(f"m{i}", biases[0], {}, [], [example(f"e{i}-{k}", "?", side=900) for k in range(3)]) for i in range(6)
    ]
    assert len(render(runs, "").encode()) < 5_000_000


def test_one_run_needs_no_side_by_side(biases: list[dict]) -> None:
    single = render([section("m", biases[0], {}, [], [])], "")
    assert "Side by side" not in single
    assert "The pictures themselves" not in single


def test_thousands_of_shares_are_told_by_their_digest_and_typed_whole() -> None:
    long = "bapa:shares=" + "+".join(f"{layer}:{'0f' * 30}" for layer in range(12))
    typed = f"bapa measure M --scheme {long} --out run"
    html = render([section("m", fake_bias({"native": SKEWED, long: FLAT}), {}, [typed], None)], "")
    shown, _, commands = html.partition("These commands make every figure")
    assert brief(long) in shown
    assert "0f0f0f" not in shown
    assert typed in commands
