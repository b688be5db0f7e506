"""From run folders to a page: names, commands, example pictures, and what is refused."""

from __future__ import annotations

import base64
import io
import json
import re
import shlex
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bapa.cli import options
from bapa.errors import RunError
from bapa.files import alone
from bapa.measure import load_run
from bapa.probe import Design, Probe, build
from bapa.report import again, claims, write
from bapa.report.between import between
from bapa.report.examples import choose, rule
from tests.report.fakes import FLAT, SKEWED, fake_answers, fake_bias, fake_run

TABLES = {"native": SKEWED, "bapa": FLAT}
ITEMS = 20


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return build("digits", tmp_path_factory.mktemp("probe") / "p", Design(items=ITEMS, seed=3))


@pytest.fixture
def run(tmp_path: Path, probe: Probe) -> Path:
    return fake_run(tmp_path / "run", fake_bias(TABLES, items=ITEMS), fake_answers(TABLES, ITEMS), probe)


def test_page_and_heat_maps_and_nothing_else(run: Path) -> None:
    before = {path.name for path in run.iterdir()}
    assert write([run]) == run / "report.html"
    assert {path.name for path in run.iterdir()} - before == {
        *("report.html", "report-items.html", "heatmaps.png", "heatmaps.svg")
    }


def test_files_for_a_paper_where_they_are_wanted(run: Path, tmp_path: Path) -> None:
    write([run], paper=tmp_path / "paper")
    tables = {"overall.csv", "cells.csv", "tests.csv", "overall.tex", "tests.tex"}
    pictures = {"heatmaps.svg", "heatmaps.pdf", "differences.svg", "differences.pdf"}
    assert {path.name for path in (tmp_path / "paper").iterdir()} == tables | pictures


def test_the_same_runs_give_the_same_page(run: Path) -> None:
    first = write([run]).read_bytes()
    assert write([run]).read_bytes() == first


def test_commands_build_the_probe_again(run: Path, probe: Probe) -> None:
    html = write([run]).read_text("utf-8")
    assert f"bapa probe digits --out {probe.path} --cell 24 --background grey --lures cell --prompt" in html
    assert f"--items {ITEMS} --seed 3" in html
    assert f"bapa measure reference:bottom --probe {probe.path} --scheme native --scheme bapa --out {run}" in html
    assert f"--items {ITEMS} --batch-size 4" in html
    assert f"--items {ITEMS} --batch-size 4 --seed" not in html  # an older run names one; nothing is drawn by it
    assert "<td>bapa measure MODEL</td>" in html  # as it was started
    assert '<th scope="row">statistics.seed</th><td>7</td>' in html


def test_pictures_are_those_of_the_probe(run: Path, probe: Probe) -> None:
    html = write([run]).read_text("utf-8")
    found = re.findall(r'id="run0-(\d+)-(\d)" width="72" height="72" href="data:image/png;base64,([^"]+)"', html)
    assert len(found) == 3 * 9
    for number, cell, png in found:
        shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")).astype(int)
        assert abs(shown - probe.compose(probe.items[int(number)], int(cell))).mean() < 6  # 64 colours
    assert len({png for *_, png in found}) == 27


def test_hits_and_misses_are_those_of_the_answers(run: Path) -> None:
    html = write([run]).read_text("utf-8")
    answers = fake_answers(TABLES, ITEMS)
    present = answers[(answers["kind"] == "present") & answers["correct"]]
    rights = present.groupby(["item", "scheme"]).size()
    shown = re.findall(r"item (\d+): .*?<code>(native)</code> (\d) of 9", html, re.DOTALL)
    assert len(shown) == 3
    for number, scheme, right in shown:
        assert rights.get((int(number), scheme), 0) == int(right)


def test_no_pictures_where_the_probe_is_gone_or_another(tmp_path: Path) -> None:
    other = build("digits", tmp_path / "other", Design(items=ITEMS, seed=4))
    run = fake_run(tmp_path / "run", fake_bias(TABLES, items=ITEMS), fake_answers(TABLES, ITEMS), other)
    assert "The pictures themselves" in write([run]).read_text("utf-8")
    (run / "bias.json").write_text((run / "bias.json").read_text().replace(other.fingerprint, "1" * 64))
    html = write([run]).read_text("utf-8")
    assert "The pictures themselves" not in html
    assert f"the folder {other.path} is not there" in html


def test_runs_of_one_model_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    bias, answers = fake_bias(TABLES, items=ITEMS), fake_answers(TABLES, ITEMS)
    runs = [fake_run(tmp_path / name, bias, answers) for name in ("one", "two")]
    html = write(runs, tmp_path / "deep" / "page.html").read_text("utf-8")
    assert "reference:bottom (one)" in html
    assert "reference:bottom (two)" in html


def test_runs_in_folders_of_one_name_are_told_apart_too(tmp_path: Path) -> None:
    bias, answers = fake_bias(TABLES, items=ITEMS), fake_answers(TABLES, ITEMS)
    runs = [fake_run(tmp_path / name / "run", bias, answers) for name in ("one", "two")]
    html = write(runs, tmp_path / "page.html").read_text("utf-8")
    assert "reference:bottom (one/run)" in html
    assert "reference:bottom (two/run)" in html


def test_a_run_named_twice_is_refused(run: Path) -> None:
    with pytest.raises(RunError, match="is named twice; name each run once"):
        write([run, run.parent / "." / run.name])
    assert not (run / "report.html").exists()


def test_examples_are_found_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of a probe is as it was given where the run was measured: beside the run, say."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    probe = build("digits", "probe", Design(items=ITEMS, seed=3))
    assert not probe.path.is_absolute()
    run = fake_run(tmp_path / "runs" / "one", fake_bias(TABLES, items=ITEMS), fake_answers(TABLES, ITEMS), probe)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "The pictures themselves" in write([run]).read_text("utf-8")


def test_commands_name_the_source_as_it_was_given(tmp_path: Path) -> None:
    pictures = tmp_path / "my pictures"
    rows = []
    for number in range(40):
        encoded = io.BytesIO()
        Image.new("RGB", (24, 24), (number * 6, 90, 200 - number * 4)).save(encoded, "png")
        rows.append({"image": {"bytes": encoded.getvalue(), "path": None}, "caption": f"thing {number}"})
    features = datasets.Features(image=datasets.Image(), caption=datasets.Value("string"))
    datasets.DatasetDict(validation=datasets.Dataset.from_list(rows, features=features)).save_to_disk(pictures)
    probe = build(str(pictures), tmp_path / "probe", Design(items=4, rows=2, cols=2), split="validation")
    found = fake_bias({"native": [[0.5, 0.5], [0.5, 0.5]]}, items=4)
    run = fake_run(tmp_path / "run", found, fake_answers({"native": [[0.5, 0.5], [0.5, 0.5]]}, 4), probe)
    (first, _) = again.commands(load_run(run), probe)
    assert first.startswith(f"bapa probe '{pictures}' --out {tmp_path / 'probe'}")
    assert first.endswith("--split validation")


def test_a_probe_that_fits_is_built_from_where_the_pictures_are(tmp_path: Path) -> None:
    found = fake_bias({"native": [[0.5, 0.5], [0.5, 0.5]]}, items=4)
    found["geometry"] = {"tokens": [3, 3], "cell": [1.0, 2.5], "shared": 4}
    assert "bapa probe digits --align" in claims.cut(found)  # of older runs, which do not tell more
    found["probe"]["given"] = {"source": str(tmp_path / "my pictures"), "split": "test"}
    assert f"bapa probe '{tmp_path / 'my pictures'}' --split test --align" in claims.cut(found)


def test_commands_name_the_back_end_and_its_options(run: Path, probe: Probe) -> None:
    record = json.loads((run / "run.json").read_text())
    record["config"]["run"] |= {"backend": "vllm", "dtype": "float32", "max_model_len": "4096"}
    (run / "run.json").write_text(json.dumps(record))
    (*_, last) = again.commands(load_run(run), probe)
    assert "--backend vllm --engine max_model_len=4096" in last
    assert "--device" not in last


def test_commands_address_the_model_as_it_was(run: Path, probe: Probe) -> None:
    told = json.loads((run / "bias.json").read_text())
    asked = {
        "system": "Be brief.",
        "thinking": False,
        "opening": "yes or no?\n",
        "min_pixels": 64,
        "attention": "eager",
    }
    told["model"] |= {"processor": {"tokenizer.json": "ab"}, "trust_remote_code": True, **asked}
    (run / "bias.json").write_text(json.dumps(told))
    (*_, last) = again.commands(load_run(run), probe)
    words = shlex.split(last)
    assert words[words.index("--trust-remote-code") + 1 :][:10] == [
        *("--system", "Be brief.", "--thinking", "off", "--opening", "yes or no?\\n"),
        *("--load", "min_pixels=64", "--load", "attention=eager"),
    ]
    read = options.chat("Be brief.", options.Switch.off, "yes or no?\\n").record
    read |= options.loading(["min_pixels=64", "attention=eager"]).record
    assert read == asked
    assert "tokenizer.json" not in last


def test_commands_let_an_engine_run_code_once(run: Path, probe: Probe) -> None:
    record = json.loads((run / "run.json").read_text())
    record["config"]["run"] |= {"backend": "vllm", "trust_remote_code": "True", "enforce_eager": "True"}
    (run / "run.json").write_text(json.dumps(record))
    (*_, last) = again.commands(load_run(run), probe)
    assert "--trust-remote-code --engine enforce_eager=true" in last


def test_what_is_no_run_is_refused(tmp_path: Path, run: Path) -> None:
    with pytest.raises(RunError, match="no run in"):
        write([run, tmp_path / "none"])
    assert not (run / "report.html").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, run: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"cannot write .*file/page\.html"):
        write([run], tmp_path / "file" / "page.html")
    with pytest.raises(RunError, match=r"cannot write .*file/paper: .* --paper"):
        write([run], paper=tmp_path / "file" / "paper")


def test_items_are_chosen_by_rule() -> None:
    hits = pd.Series({item: item % 10 for item in range(101)})
    chosen = choose(hits)
    assert [hits[item] for item in chosen] == [0, 4, 8]
    assert choose(pd.Series({5: 1})) == [5]


def test_examples_are_counted(tmp_path: Path) -> None:
    assert rule(3, "native").startswith("Three items, chosen by rule: put in order of how many cells native got right")
    for count, told in (
        (1, "The one item answered in all cells under every scheme."),
        (2, "The two items answered in"),
    ):
        probe = build("digits", tmp_path / f"probe-{count}", Design(items=count, seed=3))
        found = fake_bias({"native": SKEWED}, items=count)
        run = fake_run(tmp_path / f"run-{count}", found, fake_answers({"native": SKEWED}, count), probe)
        html = write([run]).read_text("utf-8")
        assert html.count('<figure class="example">') == count
        assert told in html
        assert "Three items" not in html


def test_the_spread_over_seeds_stands_beside_the_first_run(run: Path, probe: Probe, tmp_path: Path) -> None:
    other = fake_bias({"native": FLAT, "bapa": FLAT}, items=ITEMS)
    other["model"]["fingerprint"] = "e" * 64
    seed = fake_run(tmp_path / "seed-2", other, fake_answers(TABLES, ITEMS), probe)
    html = write([run, seed], seeds=[seed]).read_text("utf-8")
    rates = [
        json.loads((folder / "bias.json").read_text())["schemes"]["native"]["overall"]["hit"]["value"]
        for folder in (run, seed)
    ]
    low, high = (f"{100 * rate:.1f}" for rate in sorted(rates))
    assert f"seeds {low} to {high}, sd {100 * np.std(rates, ddof=1):.1f}" in html
    first, second = html.split('id="run-2"')[0], html.split('id="run-2"')[1]
    assert "over 2 models that differ by their seed" in " ".join(first.split())
    assert "seeds " not in second.split("</table>")[0], "only the first run is of those seeds"
    assert f"--noise-floor {seed}" in html
    with pytest.raises(RunError, match="same weights"):
        write([run], seeds=[run])


def test_a_command_repeats_its_lines_and_answers(tmp_path: Path) -> None:
    probe = build("digits", tmp_path / "where", Design(items=6, task="where", lines=("row",)))
    command = " ".join(again._probe(probe))
    assert "--task where --lures cell --line row --answers words" in command


def test_one_page_is_written_by_one_process_at_a_time(run: Path) -> None:
    with alone(run / "report.html"), pytest.raises(RunError, match="another process writes"):
        write([run])
    assert write([run]).is_file()


def test_runs_of_one_probe_are_compared_item_by_item(tmp_path: Path) -> None:
    probe = build("digits", tmp_path / "probe", Design(items=20, seed=3))
    tables = {"one": {"native": SKEWED}, "two": {"native": FLAT, "bapa": FLAT}}
    folders = [
        fake_run(tmp_path / name, fake_bias(table, model=name, items=20), fake_answers(table, 20), probe)
        for name, table in tables.items()
    ]
    (pair,) = between([(folder.name, load_run(folder)) for folder in folders])
    assert (pair.first, pair.second, pair.items) == ("one", "two", 20)
    assert {row.scheme for row in pair.rows} == {"native"}  # what both were asked under
    hits = next(row for row in pair.rows if row.quantity == "Mean hit rate")
    assert float(hits.size) == pytest.approx(100 * (np.mean(FLAT) - np.mean(SKEWED)), abs=6)
    other = fake_run(
        tmp_path / "three", fake_bias(tables["one"], model="three", items=20), fake_answers(tables["one"], 20)
    )
    assert list(between([("one", load_run(folders[0])), ("three", load_run(other))])) == []


def test_runs_that_share_one_item_are_compared_without_bounds(tmp_path: Path) -> None:
    probe = build("digits", tmp_path / "probe", Design(items=20, seed=3))
    tables = {"one": ({"native": SKEWED}, 20), "two": ({"native": FLAT}, 1)}
    folders = [
        fake_run(tmp_path / name, fake_bias(table, model=name, items=count), fake_answers(table, count), probe)
        for name, (table, count) in tables.items()
    ]
    (pair,) = between([(folder.name, load_run(folder)) for folder in folders])
    assert pair.items == 1
    assert pair.rows
    assert {row.direction for row in pair.rows} == {0}


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ("check.json", "holds a check: its page is"),
        ("tune.json", "holds a tuning run: its page is .*tuning.html"),
        ("fit/fit.json", "holds a fitted rule, which has no page; bapa measure"),
        ("origin.json", "holds what bapa origin found and no run; bapa measure"),
    ],
)
def test_a_folder_of_another_command_is_told_by_what_it_holds(record: str, says: str, tmp_path: Path) -> None:
    (tmp_path / record).parent.mkdir(exist_ok=True)
    (tmp_path / record).write_text("{}")
    with pytest.raises(RunError, match=says):
        write([tmp_path])
