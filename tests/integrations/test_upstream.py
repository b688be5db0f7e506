"""The files of ``upstream/`` in the projects they are for, on a shipped model: answer by answer what ``bapa measure``
says.

VLMEvalKit comes as ``ms-vlmeval`` from the package index; it does not name all that it imports.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from bapa.checkpoints import load
from bapa.checkpoints.locate import locate
from bapa.errors import ConfigError
from bapa.integrations.vlmeval import write_tsv
from bapa.measure import measure
from bapa.probe import Design, Probe, build
from bapa.stats import Settings

MODEL = "reference:bottom"
ROOT = Path(__file__).parents[2]
FOLDER = str(Path(locate(MODEL).path).resolve())
KEY = ["item", "row", "col", "question"]


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return build("digits", tmp_path_factory.mktemp("upstream") / "probe", Design(items=3))


def measured(probe: Probe, scheme: str, out: Path) -> dict[tuple[str, ...], bool]:
    """By item, row, column and text of the question: whether the written answer is right."""
    run = measure(load(MODEL), probe, [scheme], out, generate=4, audit=0, statistics=Settings(resamples=50))
    texts = {
        (item.item, cell, question.question_id): question.text
        for item in probe.items
        for cell in range(probe.cells)
        for question in probe.questions(item, cell)
    }
    return {
        (str(one.item), *divmod(one.cell, probe.cols), texts[one.item, one.cell, one.question]): bool(one.correct)
        for one in run.answers().itertuples()
    }


def test_a_data_set_holds_every_question_and_every_canvas_once(probe: Probe, tmp_path: Path) -> None:
    table = pd.read_csv(write_tsv(probe, tmp_path / "BapaProbe.tsv"), sep="\t")
    questions = sum(len(probe.questions(item, cell)) for item in probe.items for cell in range(probe.cells))
    assert len(table) == questions
    whole = table[table["image"].str.len() > 64]
    assert len(whole) == len(probe.items) * probe.cells
    assert set(table["image"]) - set(whole["image"]) == set(whole["index"].astype(str))
    assert set(table["answer"]) == {"yes", "no"}


def test_a_probe_without_yes_and_no_is_refused(tmp_path: Path) -> None:
    asks = build("digits", tmp_path / "probe", Design(items=1, task="count"))
    with pytest.raises(ConfigError, match="no question with yes or no"):
        write_tsv(asks, tmp_path / "BapaProbe.tsv")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("vlmeval") is None, reason="VLMEvalKit is not installed: pip install ms-vlmeval")
def test_vlmevalkit_runs_both_schemes(probe: Probe, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_tsv(probe, tmp_path / "data" / "BapaProbe.tsv")
    script = Path(__file__).with_name("vlmeval_with_upstream.py")
    asked = ["--model", "m-native", "m-bapa", "--data", "BapaProbe", "--work-dir", str(tmp_path / "out")]
    environment = {**os.environ, "LMUData": str(tmp_path / "data"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), FOLDER, "native", "bapa", "--", *asked]
    subprocess.run(command, env=environment, cwd=tmp_path, check=True)
    for scheme in ("native", "bapa"):
        wanted = measured(probe, scheme, tmp_path / scheme)
        table = pd.read_excel(tmp_path / "out" / f"m-{scheme}" / f"m-{scheme}_BapaProbe.xlsx")
        said = table["prediction"].str.lower().str.strip()
        found = {
            (str(one.item), one.row, one.col, one.question): right
            for one, right in zip(table.itertuples(), said == table["answer"], strict=True)
        }
        assert found == wanted
        hits = table.assign(hit=said == "yes")[table["answer"] == "yes"]
        scored = pd.read_csv(tmp_path / "out" / f"m-{scheme}" / f"m-{scheme}_BapaProbe_acc.csv").iloc[0]
        assert scored["hits"] == pytest.approx(100 * hits["hit"].mean())
        assert scored["hits row 0 column 0"] == pytest.approx(
            100 * hits[(hits["row"] == 0) & (hits["col"] == 0)]["hit"].mean()
        )


@pytest.mark.skipif(find_spec("lmms_eval") is None, reason="lmms-eval is not installed; make test-lmms sets it up")
def test_lmms_eval_runs_the_task(probe: Probe, tmp_path: Path) -> None:
    import json
    import shutil

    from bapa.integrations.lmms_eval.task import write_questions

    task = Path(shutil.copytree(ROOT / "upstream" / "lmms_eval" / "bapa_probe", tmp_path / "tasks" / "bapa_probe"))
    write_questions(probe, task / "questions.parquet")
    command = f"--model bapa --model_args pretrained={FOLDER},scheme=bapa --include_path {tmp_path / 'tasks'}"
    more = f"--tasks bapa_probe --batch_size 8 --output_path {tmp_path / 'out'} --log_samples"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-m", "lmms_eval", *command.split(), *more.split()], env=environment, cwd=task, check=True
    )
    (results,) = (tmp_path / "out").rglob("*results.json")
    found = json.loads(results.read_text())["results"]["bapa_probe"]
    wanted = measured(probe, "bapa", tmp_path / "bapa")
    assert found["score,none"] == pytest.approx(sum(wanted.values()) / len(wanted))
