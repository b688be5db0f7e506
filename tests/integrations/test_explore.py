"""The explorer: its figures, and its page in a real browser."""

from __future__ import annotations

import base64
import io
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import bapa
from bapa.checkpoints import load
from bapa.cli.app import app
from bapa.errors import ConfigError, ModelError, SchemeError
from bapa.integrations.explore.drawing import cards
from bapa.integrations.explore.explorer import Explorer, Shown
from bapa.measure import measure
from bapa.probe import Design, build, digits
from bapa.probe.compose import Pixels
from bapa.probe.records import read_picture
from bapa.probe.slots import Slots
from tests.browser import browser
from tests.measure.test_runner import IN_ORDER

ROOT = Path(__file__).parents[2]
MINUS = str.maketrans("−", "-")


@pytest.fixture(scope="module")
def explorer() -> Explorer:
    return Explorer(load("reference"), ["native", "bapa"])


def test_logits_that_are_not_finite_are_said_and_not_shown_as_nought() -> None:
    broken = load("reference:bottom")
    with torch.no_grad():
        broken.model.lm_head.weight.fill_(float("nan"))
    explorer = Explorer(broken, ["native"])
    with pytest.raises(ModelError, match="gives no answer: the logits are not finite") as error:
        explorer.ask(Image.fromarray(explorer.tiles[0].image), 8, explorer.question(0), True)
    assert "--dtype" not in str(error.value)  # it is float32 already


def test_a_mark_in_the_question_is_one_line(explorer: Explorer) -> None:
    with pytest.raises(ModelError, match="contains <image>"):
        explorer.ask(Image.fromarray(explorer.tiles[0].image), 8, "is there an <image> ?", True)


def test_margins_are_those_of_the_model_and_native_ones_depend_on_the_place(explorer: Explorer) -> None:
    picture, question = Image.fromarray(explorer.tiles[0].image), explorer.question(0)
    native, balanced = explorer.ask(picture, 8, question, True)
    assert (native.scheme, balanced.scheme) == ("native", "bapa")
    assert len(native.margins) == 9
    assert np.ptp(native.margins) > 3 * np.ptp(balanced.margins)
    model, canvas = load("reference"), explorer.canvas(picture, 8, True)
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
    text = model.processor.apply_chat_template(chat, add_generation_prompt=True)
    inputs = model.processor(images=[[Image.fromarray(canvas)]], text=[text], return_tensors="pt")
    for shown in (native, balanced):
        with bapa.balanced(model.model, shown.scheme), torch.no_grad():
            logits = model.model(**inputs).logits[0, -1]
        yes, no = (explorer.answers.tokens([word])[0] for word in ("yes", "no"))
        assert shown.margins[8] == pytest.approx(float(logits[yes].logsumexp(0) - logits[no].logsumexp(0)), abs=1e-3)
        assert shown.text == ("yes" if shown.margins[8] > 0 else "no")
        assert shown.attention is not None
        assert shown.attention.shape == (9, 9)
        assert 0 < shown.attention.sum() < 1
    elsewhere = explorer.ask(picture, 0, question, True)[0]
    assert elsewhere.margins == native.margins
    assert not np.allclose(elsewhere.attention, native.attention)
    assert bapa.scheme_of(explorer.model) is None, "the model is native between two questions"


def test_a_picture_of_any_shape_stands_in_its_cell(explorer: Explorer) -> None:
    canvas = explorer.canvas(Image.new("RGBA", (300, 100), "red"), 5, crowded=False)
    red = (canvas == (255, 0, 0)).all(-1)
    rows, cols = np.where(red)
    assert (rows.min() // 24, rows.max() // 24, cols.min() // 24, cols.max() // 24) == (1, 1, 2, 2)
    assert red.sum() == 24 * 8
    with pytest.raises(SchemeError):
        Explorer(load("reference"), ["native", "nix"])


def test_a_picture_is_read_as_a_probe_reads_it(explorer: Explorer, tmp_path: Path) -> None:
    side = explorer.cell
    turned = Image.new("RGB", (side, side), "red")
    turned.paste("blue", (0, 0, side // 2, side))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "exif.png", exif=exif)
    Image.fromarray(np.full((side, side), 40_000, np.uint16)).save(tmp_path / "deep.png")
    Image.new("RGBA", (side, side), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    for name in ("exif.png", "deep.png", "clear.png"):
        seen = explorer.canvas(Image.open(tmp_path / name), 0, crowded=False)[:side, :side]
        np.testing.assert_array_equal(seen, read_picture(tmp_path / name, side), err_msg=name)


@pytest.mark.parametrize("error", [OSError("Cannot find empty port"), ValueError("localhost is not accessible")])
def test_a_page_that_cannot_be_opened_is_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    class Page:
        def launch(self, **options: Any) -> None:
            assert "127.0.0.1" in os.environ["NO_PROXY"]
            raise error

    fake = ModuleType("bapa.integrations.explore.page")
    fake.looks, fake.page = dict, lambda explorer: Page()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bapa.integrations.explore.page", fake)
    monkeypatch.setattr("bapa.cli.explore.find_spec", lambda name: True)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "example.org")
    done = CliRunner().invoke(app, ["explore", "--port", "80"])
    assert done.exit_code == 2
    assert "no page can be opened on 127.0.0.1, port 80" in " ".join(done.output.split())


def test_what_a_model_writes_is_escaped() -> None:
    shown = [Shown("native", "<script>no</script>", [-1.0, 2.0], 0.1, None)]
    drawn = cards(shown, np.zeros((4, 8, 3), np.uint8), 1, Slots("grid", 1, 2))
    assert "<script>" not in drawn
    assert "&lt;script&gt;" in drawn
    assert "ask for" in drawn, "a margin between words the model would not say"
    assert "No overlay" in drawn


KINDS = ("images:3", "page", "scene", "crop", "sizes:3", "aspects:3")


def _shown(drawn: str) -> tuple[Pixels, float, float]:
    """The picture under the first attention overlay, with the width and height at which it is drawn."""
    found = re.search(r'<image href="data:image/png;base64,([^"]+)" width="([\d.]+)" height="([\d.]+)"', drawn)
    assert found is not None
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))))
    return picture, float(found[2]), float(found[3])


@pytest.mark.parametrize("kind", KINDS)
def test_the_slots_of_a_probe_are_shown_as_they_are_measured(kind: str, tmp_path: Path) -> None:
    probe = build("digits", tmp_path / "probe", Design(slots=kind, items=8))
    loaded = load("reference")
    run = measure(loaded, probe, ["native"], tmp_path / "run", items=2, audit=0)
    explorer = Explorer(loaded, ["native"], probe=probe)
    canvases = explorer.of_item(1, probe)
    shown = explorer.look(canvases, probe.cells - 1, explorer.question(1))[0]
    answers = run.answers()
    asked = answers[(answers["item"] == 1) & (answers["kind"] == "present")].sort_values("cell")
    np.testing.assert_allclose(shown.margins, asked["margin"], atol=1e-3)
    drawn = cards([shown], canvases[0], 0, explorer.slots)
    assert f"range over {probe.slots.words}" in drawn
    named = [f"<title>{probe.slots.name(slot)}: margin {margin:+.2f}" for slot, margin in enumerate(shown.margins)]
    assert all(name.replace("-", "−") in drawn for name in named)
    picture, wide, high = _shown(drawn)
    np.testing.assert_array_equal(picture, canvases[0])
    assert wide / high == pytest.approx(picture.shape[1] / picture.shape[0], abs=0.01), "it keeps its shape"
    assert ("Margin at every" in drawn) == probe.slots.varied
    assert shown.attention is not None
    assert shown.attention.shape == ((9, 27) if kind == "images:3" else (9, 9))


def test_a_question_before_the_picture_is_asked_as_it_is_measured(tmp_path: Path) -> None:
    probe = build("digits", tmp_path / "probe", Design(items=4, order="question-first"))
    loaded = load("reference")
    loaded.processor.chat_template = IN_ORDER
    run = measure(loaded, probe, ["native"], tmp_path / "run", items=2, audit=0)
    explorer = Explorer(loaded, ["native"], probe=probe)
    assert explorer.prompts.question_first
    shown = explorer.look(explorer.of_item(1, probe), 4, explorer.question(1))[0]
    answers = run.answers()
    asked = answers[(answers["item"] == 1) & (answers["kind"] == "present")].sort_values("cell")
    np.testing.assert_allclose(shown.margins, asked["margin"], atol=1e-3)


def test_cells_beside_a_probe_are_refused(tmp_path: Path) -> None:
    for option in ("--rows", "--cols"):
        done = CliRunner().invoke(app, ["explore", "--probe", str(tmp_path / "probe"), option, "3"])
        assert done.exit_code == 2
        (line,) = done.stderr.strip().splitlines()
        assert "has its own slots; leave them out, or build another: bapa probe SOURCE --rows N --cols N" in line


@pytest.mark.parametrize("kind", ["scene", "crop"])
def test_a_transparent_target_can_be_recognised_among_the_pictures_to_pick(kind: str, tmp_path: Path) -> None:
    probe = build("digits", tmp_path / "probe", Design(slots=kind, items=8))
    target = Explorer(load("reference"), ["native"], probe=probe).tiles[0].image
    opacity = probe.tile(probe.items[0].target)[..., 3]
    assert (target[opacity == 0] == digits.GROUND).all()
    assert (target[opacity == 255] == probe.tile(probe.items[0].target)[opacity == 255, :3]).all()
    assert 0 < (opacity == 0).mean() < 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_gives_the_picture_and_the_map_of_every_kind(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="gradio is not installed; make test-browser sets it up")
    from bapa.integrations.explore.page import page

    probe = build("digits", tmp_path / "probe", Design(slots=kind, items=8))
    explorer = Explorer(load("reference"), ["native", "bapa"], probe=probe)
    blocks = page(explorer)
    assert ("the window moves until" in str(blocks.get_config_file()["components"])) == (kind == "crop")
    look = next(its.fn for its in blocks.fns.values() if its.fn is not None and its.fn.__name__ == "look")
    target, slot = Image.fromarray(explorer.tiles[2].image), probe.cells - 2
    canvas, drawn = look(target, slot, explorer.question(2), False, 2)
    expected = probe.compose(probe.items[2], slot)
    times = canvas.width // expected.shape[1]
    np.testing.assert_array_equal(np.asarray(canvas)[::times, ::times], expected)
    np.testing.assert_array_equal(_shown(drawn)[0], expected)
    assert drawn.count("bapa-here") == 2
    assert drawn.count("<title>") >= 2 * probe.cells
    with pytest.raises(Exception, match="ask something"):
        look(target, slot, " ", False, 2)


def test_a_probe_that_cannot_be_explored_is_one_line(explorer: Explorer, tmp_path: Path) -> None:
    loaded = load("reference")
    which = build("digits", tmp_path / "which", Design(slots="images:3", task="where", items=8))
    with pytest.raises(ConfigError, match=r"asks for where.*build it without --task"):
        Explorer(loaded, ["native"], probe=which)
    clips = build("digits", tmp_path / "clips", Design(slots="frames:3", items=8))
    with pytest.raises(ModelError, match="takes no videos"):
        Explorer(loaded, ["native"], probe=clips)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    pytest.importorskip("gradio", reason="gradio is not installed; make test-browser sets it up")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "bapa", "explore", "--port", str(port)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "NO_PROXY": "127.0.0.1"}
    with subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = next((line for line in process.stdout if "http://" in line), "")
        assert line, "the page did not open"
        yield line.split()[-1]
        process.terminate()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_placed_picture_changes_the_margins(chromium: Any, address: str, scheme: str, tmp_path: Path) -> None:
    page = chromium.new_page(color_scheme=scheme, viewport={"width": 1360, "height": 1000})
    page.set_default_timeout(120_000)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    margin = page.locator(".bapa-card[data-scheme=native] .bapa-margin")
    margin.wait_for(timeout=120_000)
    before = float(margin.inner_text().translate(MINUS))
    canvas = page.locator("#canvas img")
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] / 6, "y": box["height"] / 6})
    page.wait_for_function(
        "before => document.querySelector('.bapa-card .bapa-margin').innerText != before", arg=margin.inner_text()
    )
    after = float(margin.inner_text().translate(MINUS))
    assert before > 0 > after, "reference:bottom finds the picture below, and not above"
    balanced = page.locator(".bapa-card[data-scheme=bapa] .bapa-margin").inner_text()
    assert float(balanced.translate(MINUS)) > 0
    assert page.locator(".bapa-says").all_inner_texts() == ["no", "yes"]
    assert page.locator(".bapa-card[data-scheme=native] .bapa-attention rect").count() == 81
    # Another question, typed; then another picture.
    box = page.locator("#question textarea")
    box.fill("Is there a white nine in the image? Answer yes or no.")
    box.press("Enter")
    page.wait_for_function("document.querySelectorAll('.bapa-says')[1].innerText == 'no'")
    page.locator("#tiles button").nth(2).click()
    page.wait_for_function("document.querySelectorAll('.bapa-says')[1].innerText == 'yes'")
    shade = page.evaluate("getComputedStyle(document.querySelector('.bapa-card')).backgroundColor")
    light = sum(map(int, re.findall(r"\d+", shade)[:3])) > 3 * 128
    assert light == (scheme == "light")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    cut = "(w => w.scrollWidth > w.clientWidth)(document.querySelector('#tiles .grid-wrap'))"
    assert not page.evaluate(cut), "all pictures to pick can be seen on a phone"
    page.set_viewport_size({"width": 1280, "height": 900})
    tops = page.locator(".bapa-card").evaluate_all("cards => cards.map(card => card.getBoundingClientRect().top)")
    assert tops[0] == tops[1], "schemes stand side by side"
    page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == [], "the page works offline"
    page.close()
    with urllib.request.urlopen(address) as reply:
        assert reply.status == 200
