"""Reports of other slots than cells."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from bapa.measure import Run, measure
from bapa.probe import Design, build
from bapa.probe.slots import Slots
from bapa.report import figures, picks, tables, terminal, view, words, write
from bapa.stats import Settings
from bapa.stats.quantities import cell
from bapa.stats.text import percent
from studies.slots.run import planted
from studies.slots.scripted import Scripted
from tests.report.fakes import FLAT, SKEWED, fake_bias


def made(folder: Path, kind: str, **design: object) -> Run:
    probe = build("digits", folder / "probe", Design(slots=kind, items=10, **design))
    quick = Settings(resamples=50)
    return measure(Scripted(planted(probe.cells, "steep")), probe, ["native", "bapa"], folder / "run", statistics=quick)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return made(tmp_path_factory.mktemp("images"), "images:4")


def test_a_strip_is_told_image_by_image(images: Run) -> None:
    shown = view.rate_map(images.bias, "native", cell("auc"))
    assert [one.tip.split(":")[0] for one in shown.cells] == ["Image 1", "Image 2", "Image 3", "Image 4"]
    assert shown.label.startswith("AUC under native. Images in their order: ")
    assert (shown.rows, shown.cols, shown.tall) == (1, 4, 1.0)


def test_a_page_has_regions_in_its_shape() -> None:
    bias = fake_bias({"native": SKEWED, "bapa": FLAT})
    bias["probe"]["slots"] = "page"
    shown = view.rate_map(bias, "native", cell("hit"))
    assert shown.tall == pytest.approx(1.414, abs=1e-3)
    assert shown.cells[5].tip.startswith("Row 2, column 3: ")
    wide, tall = figures.heatmaps([("run", bias)]).get_size_inches()
    square = figures.heatmaps([("run", fake_bias({"native": SKEWED, "bapa": FLAT}))]).get_size_inches()
    assert wide == square[0]
    assert tall > square[1] + 0.7


def test_the_page_speaks_of_images(images: Run) -> None:
    text = write([images.path]).read_text("utf-8")
    plain = re.sub(r"\s+", " ", re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", text, flags=re.DOTALL))
    assert "Does the answer depend on which of several images holds the content?" in plain
    assert "The same content was moved through every image in turn" in plain
    assert "10 items in each of 4 images, from digits" in plain
    assert "All images together" in plain
    assert "Worst image, AUC" in plain
    assert "cell" not in plain.split("How to read this")[1].split("Could this be chance?")[0]
    assert text.count('class="slot"') >= 4 * 2, "the images are numbered"
    keys = re.findall(r'class="key" x="([\d.]+)"', text)
    assert len({*keys[:4]}) == 4, "the outline goes through the strip"


def test_the_page_speaks_of_sizes(tmp_path: Path) -> None:
    run = made(tmp_path, "sizes:4")
    text = write([run.path]).read_text("utf-8")
    plain = re.sub(r"\s+", " ", re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", text, flags=re.DOTALL))
    assert "Does the answer depend on how large the content is?" in plain
    assert "The same content was moved through every size in turn" in plain
    assert "10 items in each of 4 sizes, from digits" in plain
    assert "cell" not in plain.split("How to read this")[1].split("Could this be chance?")[0]
    assert "It is moved through every size in turn while all else stays as it is" in plain
    assert "the place" not in " ".join(words.findings(run.bias))
    own = [float(width) for width in re.findall(r'class="key" x="[\d.]+" y="[\d.]+" width="([\d.]+)"', text)[:4]]
    assert [round(width / own[-1], 2) for width in own] == [0.25, 0.4, 0.63, 1.0], (
        "the outline is as large as the target"
    )
    shown = view.rate_map(run.bias, "native", cell("auc"))
    assert [one.tip.split(":")[0] for one in shown.cells] == ["Size 25 %", "Size 40 %", "Size 63 %", "Size 100 %"]


def test_a_grid_says_what_it_said() -> None:
    bias = fake_bias({"native": SKEWED, "bapa": FLAT})
    assert words.through([bias]) == "every cell of a grid"
    assert words.asked([bias]) == "Does the answer depend on where in the picture the content stands?"
    other = {**bias, "probe": {**bias["probe"], "slots": "scene"}}
    assert words.asked([bias, other]) == "Does the answer depend on where the content stands?"
    assert words.through([bias, other]) == "every slot in turn"


def test_tables_keep_their_columns_and_name_the_slot(images: Run) -> None:
    frame = tables.cells([("run", images.bias)])
    assert list(frame.columns)[:6] == ["run", "scheme", "row", "column", "n", "quantity"]
    assert list(frame["slot"].unique()) == ["image 1", "image 2", "image 3", "image 4"]


def test_the_terminal_names_the_slots(images: Run) -> None:
    console = Console(width=200, record=True, file=None)
    with console.capture() as told:
        console.print(terminal.table(images))
    assert "AUC by image" in told.get()


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return made(tmp_path_factory.mktemp("where"), "images:4", task="where")


def test_a_question_that_is_none_of_yes_and_no_has_its_pictures(where: Run) -> None:
    text = write([where.path]).read_text("utf-8")
    assert "Example pictures are left out" not in text
    assert text.count('<figure class="example">') == 3
    asked = where.answers().query("scheme == 'native'").groupby("item")["correct"].sum()
    shown = re.findall(r"item (\d+): right in (\d) of 4 images under native", text)
    assert [asked[int(item)] for item, _ in shown] == [int(right) for _, right in shown]
    assert "In which image is " in text


def test_pictures_are_said_to_be_left_out_for_the_reason(images: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(images.path, folder)
    answers = images.answers()
    answers.assign(correct=None).to_parquet(folder / "answers.parquet")
    text = write([folder]).read_text("utf-8")
    assert "left out: no item was answered in every image under every scheme." in text


def test_the_terminal_leaves_out_what_the_run_has_not(where: Run) -> None:
    for width in (40, 200):
        shown = io.StringIO()
        Console(file=shown, width=width).print(terminal.table(where))
        assert "hit rate by image" in shown.getvalue()
        assert "–" not in shown.getvalue()
        assert "AUC" not in shown.getvalue()
        assert "image tokens of each image: not told" in shown.getvalue()


def test_which_image_is_named(where: Run) -> None:
    run = where
    part = picks.part(run)
    assert part is not None
    assert part.title == "Which image is named"
    answers = run.answers()
    native = answers[answers["scheme"] == "native"]["answer"]
    shares = re.findall(r"<td>(\d+)</td>", part.body[0])[:4]
    assert shares == [percent((native == sign).mean()) for sign in ("one", "two", "three", "four")]
    assert Slots.of(run.bias["probe"]).kind == "images"


def test_an_answer_and_its_region_have_maps_of_their_own(tmp_path: Path) -> None:
    run = made(tmp_path, "page", task="evidence", cell=64)
    text = write([run.path]).read_text("utf-8")
    assert "Answer and place together" in text
    value = run.bias["together"]["schemes"]["native"]["overall"]["hit"]["value"]
    assert f"native: both right {100 * value:.1f} %" in text
