"""The page in a real browser: it fetches nothing, can be read by everyone and walked through with the keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from bapa.measure import Run
from bapa.probe import Design, build
from bapa.report import parts, write
from tests.browser import SIZES, browser
from tests.report.fakes import FLAT, LOW, SKEWED, fake_answers, fake_bias, fake_run

pytestmark = pytest.mark.slow

TABLES = {"native": SKEWED, "bapa": FLAT, "bapa:distance=native": LOW}
LOOKS = [(size, scheme) for size in SIZES for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report over two runs, with example pictures and a part of another command."""
    root = tmp_path_factory.mktemp("browser")
    probe = build("digits", root / "probe", Design(items=20, seed=3))
    folders = []
    for name in ("one", "two"):
        bias = fake_bias(TABLES, model=f"model:{name}", items=20)
        folders.append(fake_run(root / name, bias, fake_answers(TABLES, 20), probe))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PARTS", ("tests.report.test_browser",))
        return write(folders, root / "report.html")


def part(run: Run) -> parts.Part:
    """What a further command could show: see :mod:`bapa.report.parts`."""

    def draw(dark: bool) -> Figure:
        figure = Figure(figsize=(3, 2), facecolor="black" if dark else "white")
        figure.subplots().plot([0, 1], [0, 1])
        return figure

    rows = [("encoder", "3 %"), ("positions", "92 %")]
    body = [
        "Positions carry it.",
        parts.picture(draw, "A rising line"),
        parts.table("Shares", ["Factor", "Share"], rows),
    ]
    return parts.Part("Where does it come from?", body)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture(params=LOOKS, ids="-".join)
def look(request: pytest.FixtureRequest, chromium: Any, page_file: Path) -> Iterator[Any]:
    """The page at one width in one colour scheme."""
    size, scheme = request.param
    width, height = SIZES[size]
    context = chromium.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(page_file.as_uri())
    yield page
    context.close()


@pytest.fixture
def page(chromium: Any, page_file: Path) -> Iterator[Any]:
    """The page as a reader opens it, its content security policy in force."""
    opened = chromium.new_page(viewport={"width": 1280, "height": 900})
    opened.goto(page_file.as_uri())
    yield opened
    opened.close()


def test_axe_finds_nothing(look: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(look).response
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
    assert {"color-contrast", "svg-img-alt", "label"} <= {rule["id"] for rule in found["passes"]}


def test_axe_can_fail(look: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    look.add_style_tag(content=".facts { color: #808080; } html { background: #777 !important; }")
    assert "color-contrast" in {rule["id"] for rule in axe.Axe().run(look).response["violations"]}


def test_nothing_sticks_out_sideways(look: Any) -> None:
    assert look.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("kind", ["frames:12", "sizes:5"])
def test_a_row_of_slots_scrolls_in_itself(chromium: Any, kind: str, tmp_path: Path) -> None:
    slots = Design(slots=kind).cells
    rows = {name: [[0.5 + slot / 100 for slot in range(slots)]] for name in ("native", "bapa")}
    bias = fake_bias(rows, items=20)
    bias["probe"] |= {"slots": kind, "rows": 1, "cols": slots}
    opened = chromium.new_page(viewport={"width": SIZES["phone"][0], "height": SIZES["phone"][1]})
    opened.goto(write([fake_run(tmp_path / "run", bias, fake_answers(rows, 20))]).as_uri())
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert opened.locator(".map .slot").first.is_visible()
    opened.close()


def test_numbers_in_maps_are_large_enough(look: Any) -> None:
    heights = look.evaluate(
        "[...document.querySelectorAll('.run .level .value')].map(t => t.getBoundingClientRect().height).filter(h => h)"
    )
    assert min(heights) >= 11


def test_dark_and_light_differ(look: Any, request: pytest.FixtureRequest) -> None:
    dark = "dark" in request.node.callspec.id
    ground = look.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    shades = [int(part) for part in ground.removeprefix("rgb(").removesuffix(")").split(",")]
    assert (max(shades) < 60) is dark
    source = look.evaluate("document.querySelector('picture.figure img').currentSrc")
    assert (source == look.get_attribute("picture.figure source", "srcset")) is dark


def test_nothing_is_fetched_and_nothing_complains(chromium: Any, page_file: Path) -> None:
    opened = chromium.new_page()
    asked: list[str] = []
    said: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto(page_file.as_uri())
    opened.wait_for_load_state("networkidle")
    assert [url for url in asked if not url.startswith("data:")] == [page_file.as_uri()]
    assert said == []
    opened.close()


def test_intervals_on_hover_and_on_focus(page: Any) -> None:
    tip, cell = page.locator("#tip"), page.locator(".run .level .cell:visible").first
    assert tip.is_hidden()
    cell.hover()
    assert tip.inner_text() == cell.get_attribute("aria-label")
    assert "[" in tip.inner_text()
    page.mouse.move(0, 0)
    assert tip.is_hidden()
    cell.focus()
    assert tip.is_visible()
    page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_arrow_keys_walk_through_a_map(page: Any) -> None:
    def here() -> str:
        return page.evaluate("[document.activeElement.dataset.row, document.activeElement.dataset.col].join()")

    page.locator(".run .level .cell:visible").first.focus()
    walked = []
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
        walked.append(here())
    assert walked == ["0,1", "1,1", "2,1", "2,1", "2,0", "1,0"]  # the edge holds


def test_tab_leads_through_the_whole_page(page: Any) -> None:
    """Every map, table and control is reached, in the order of the page, and shows that it is."""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    reached, places = [], []
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        reached.append(page.evaluate("document.activeElement.getAttribute('class') || document.activeElement.tagName"))
        places.append(page.evaluate("document.activeElement.getBoundingClientRect().top + scrollY"))
    else:
        pytest.fail("Tab does not come to an end")
    maps = page.locator(".map:visible").count()
    assert reached.count("cell") == maps > 0
    assert {"A", "INPUT", "scroll", "PRE", "SUMMARY"} <= set(reached)


def test_the_maps_can_be_switched_without_a_mouse(page: Any) -> None:
    before = page.locator(".run .level .cell:visible").first.get_attribute("aria-label")
    page.locator("#show-hit").focus()
    page.keyboard.press("ArrowRight")
    after = page.locator(".run .level .cell:visible").first.get_attribute("aria-label")
    assert "hit rate" in before.split(":")[1]
    assert "balanced accuracy" in after.split(":")[1]


def test_without_scripts_the_maps_still_speak(chromium: Any, page_file: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert page.locator(".cell title").count() == page.locator(".cell").count() > 0
    context.close()


def test_it_prints_on_a_few_light_pages(page: Any, tmp_path: Path) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") in (
        "rgba(0, 0, 0, 0)",
        "rgb(255, 255, 255)",
    )
    assert page.evaluate("getComputedStyle(document.documentElement).color") == "rgb(0, 0, 0)"
    page.pdf(path=tmp_path / "page.pdf", format="A4")
    pages = (tmp_path / "page.pdf").read_bytes().count(b"/Type /Page\n")
    assert 4 <= pages <= 12


def test_a_row_of_slots_that_goes_on_beyond_a_phone_says_so(chromium: Any, tmp_path: Path) -> None:
    row = {"native": [np.linspace(0.3, 0.9, 12).tolist()], "bapa": [[0.9] * 12]}
    bias = fake_bias(row, items=20)
    bias["probe"]["slots"] = "frames:12"
    page_file = write([fake_run(tmp_path / "run", bias, fake_answers(row, 20))])
    for width, seen in ((390, 2), (1280, 0)):
        page = chromium.new_page(viewport={"width": width, "height": 900})
        page.goto(page_file.as_uri())
        hints = page.locator(".strips .hint")
        assert hints.count() == 2, "one for each scheme"
        assert sum(hint.is_visible() for hint in hints.all()) == seen
        assert page.locator(".strips .difference.more").count() == (1 if seen else 0)
        page.close()
