"""Probes that are answered in writing, in the commands that read logits: each works or is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from bapa.calibrate.words.names import NAMES
from bapa.calibrate.words.pictures import readers
from bapa.checkpoints import load
from bapa.cli.app import app
from bapa.errors import ConfigError
from bapa.integrations.lmms_eval.task import write_task
from bapa.integrations.vlmeval import write_tsv
from bapa.probe import Design, Probe, build
from studies.reference import build as reference

WRITTEN = ("point", "vqa")
CELL = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Probes of both tasks, and of one with choices, of pictures that say what to ask about them."""
    out, lines = tmp_path_factory.mktemp("written"), []
    (out / "pictures").mkdir()
    for number, name in enumerate(NAMES[:70]):
        colour = (number * 3, 255 - number * 3, number * 89 % 256)
        Image.new("RGB", (CELL, CELL), colour).save(out / "pictures" / f"{number}.png")
        about = {"file_name": f"{number}.png", "caption": f"A {name}.", "question": "What is it?", "answer": name}
        lines.append(json.dumps(about))
    (out / "pictures" / "metadata.jsonl").write_text("\n".join(lines), "utf-8")
    for task in (*WRITTEN, "match"):
        build(str(out / "pictures"), out / task, Design(task=task, cell=CELL, items=40))  # type: ignore[arg-type]
    return out


REFUSED = {
    "calibrate MODEL --probe PROBE": "a calibration reads its answers from logits; take one with choices",
    "fit MODEL --probe match --guard PROBE": "a fit learns from the logits of answers; take one with choices",
    "origin MODEL --probe PROBE": "this probe asks for free answers; they have no margin; use match, choice or where",
    "tune MODEL --data match --probe PROBE": "this probe asks for free answers; leave out --probe, and run bapa "
    "measure --generate afterwards",
    "measure MODEL --probe PROBE": "this probe asks for free answers; let the model write them: --generate 16",
    "check MODEL --pictures PROBE": "is a probe, which was built from pictures; name a folder with the pictures",
}
ONE_TASK = {
    ("calibrate MODEL --probe match --guard PROBE --items 4", "vqa"): "of task vqa, is answered in writing, and a "
    "side-effect probe is read from logits, or from places that the model points at; accepted are tasks with choices",
    ("calibrate MODEL --probe match --guard PROBE --items 4 --keep 0.9", "vqa"): "accepted are tasks with choices, "
    "and point: bapa probe SOURCE --task where --out WHERE",
    ("calibrate MODEL --probe match --guard PROBE --items 4 --keep 0.9", "point"): "of task point, is answered in "
    "writing: it can judge the choice, not guide it",
    ("tune MODEL --data PROBE", "point"): "knows where to point, not how the model writes it; write its boxes as the "
    "model does into a file of chats",
}
CASES = [(typed, task, says) for typed, says in REFUSED.items() for task in WRITTEN]
CASES += [(typed, task, says) for (typed, task), says in ONE_TASK.items()]


@pytest.mark.parametrize(("typed", "task", "says"), CASES, ids=[f"{typed} {task}" for typed, task, _ in CASES])
def test_what_reads_logits_refuses_it_in_one_line(
    folder: Path, typed: str, task: str, says: str, tmp_path: Path
) -> None:
    named = {"MODEL": "reference:top", "PROBE": str(folder / task), "match": str(folder / "match")}
    words = [named.get(word, word) for word in typed.split()]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")])
    assert done.exit_code == 2, done.output
    told = [line for line in done.stderr.splitlines() if "bapa:" in line]
    assert len(told) == 1
    assert says in told[0]
    assert not [*tmp_path.rglob("*.jsonl")], "something was asked"


def test_a_fit_lays_the_pictures_of_any_probe_out_anew(folder: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        patch.setattr(reference, "WORDS", (*reference.WORDS, *NAMES[:80]))
        torch.manual_seed(0)
        reference.model().save_pretrained(tmp_path)
        reference.processor().save_pretrained(tmp_path)
    model, grids = load(str(tmp_path)), torch.arange(9)[None]
    for task in WRITTEN:
        _, seen = readers(model, Probe.load(folder / task))
        assert seen.drawn(grids).shape == (1, 3 * CELL, 3 * CELL, 3)
        assert len(seen.names) > 60


@pytest.mark.parametrize("task", WRITTEN)
def test_benchmarks_of_others_refuse_it(folder: Path, task: str, tmp_path: Path) -> None:
    probe = Probe.load(folder / task)
    with pytest.raises(ConfigError, match=f"asks {task}, image-first; .* must ask questions with choices"):
        write_task(probe, tmp_path / "task")
    with pytest.raises(ConfigError, match=r"asks no question with yes or no; build one: .* --task match"):
        write_tsv(probe, tmp_path / "set.tsv")
    assert not [*tmp_path.iterdir()]
