"""Names: how much likelier than usual, with nothing shared and in batches, under every rule."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from bapa.attach import balanced
from bapa.calibrate import calibrate
from bapa.calibrate.session import Session, part
from bapa.checkpoints import Loaded
from bapa.errors import ConfigError, ModelError
from bapa.inference import usual
from bapa.inference.answers import AnswerSet
from bapa.inference.backend import prompts_of
from bapa.inference.prompts import Prompts
from bapa.inference.reading import from_text
from bapa.inference.vllm import EngineModel
from bapa.origin import Options, explain
from bapa.probe import Design, Probe, Question, build
from bapa.probe.questions import bare
from tests.measure.conftest import QUICK, measured

SCHEMES = ("native", "bapa", "bapa:image_attention=bidirectional")
ASKED = Design(task="name", cell=24, items=20, near_miss=False, opening="there is a")
WORDS = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("red", "orange", "yellow", "green", "blue", "purple", "white", "black", "color", "colour"),
    *("image", "picture", "digit", "top", "middle", "bottom", "left", "right", "row", "column"),
    *("word", "answer", "user", "assistant", "contain", "find", "show", "see", "many", "how"),
]


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> Probe:
    """Pictures of noise, called by words that the model's tokenizer knows."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for word in WORDS:
        Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(folder / f"{word}.png")
    rows = [json.dumps({"file_name": f"{word}.png", "caption": f"a {word} thing"}) for word in WORDS]
    (folder / "metadata.jsonl").write_text("\n".join(rows))
    return build(str(folder), tmp_path_factory.mktemp("names") / "P", ASKED)


def plain(model: Loaded, probe: Probe, item: int, cell: int) -> torch.Tensor:
    """Log probabilities of what follows the begun answer, by the model's own processor: (vocabulary,)."""
    processor = model.processor
    content = [{"type": "image"}, {"type": "text", "text": probe.questions(probe.items[0], 0)[0].text}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    picture = Image.fromarray(probe.compose(probe.items[item], cell))
    inputs = processor(images=[[picture]], text=[text + "there is a"], return_tensors="pt")
    with torch.no_grad():
        return model.model(**inputs).logits[0, -1].float().log_softmax(-1)


@pytest.mark.parametrize("batch_size", [1, 18])
def test_a_margin_is_how_much_likelier_a_name_is_than_usual(tiny: Loaded, names: Probe, tmp_path: Path, batch_size):
    """Against a plain computation with the model's own processor."""
    answers = measured(tiny, names, tmp_path / "run", SCHEMES, items=3, batch_size=batch_size).answers()
    vocabulary = tiny.processor.tokenizer.get_vocab()
    for scheme in SCHEMES:
        with balanced(tiny.model, scheme):
            # The first ten pictures, items and cells going on together; the middle of the middle two.
            pictures = torch.stack([plain(tiny, names, n, n % 9) for n in range(10)])
            yardstick = pictures.sort(0).values[4:6].mean(0)
            for index in range(3):
                for cell in (0, 7):
                    seen = plain(tiny, names, index, cell)
                    for question in names.questions(names.items[index], cell):
                        token = vocabulary[question.name.split()[0]]
                        (row,) = answers.query(
                            "item == @index and cell == @cell and scheme == @scheme and kind == @question.kind"
                        ).to_dict("records")
                        expected = float(seen[token] - yardstick[token])
                        assert row["margin"] == pytest.approx(expected, abs=2e-4)
                        assert row["answer"] == ("yes" if row["margin"] > 0 else "no")
                        assert row["correct"] == (row["answer"] == question.answer)
                        assert row["mass"] is None or np.isnan(row["mass"])


def test_the_yardstick_is_that_of_the_whole_probe(tiny: Loaded, names: Probe, tmp_path: Path):
    """A search asks about few items at a time: what is usual must not be what these few show."""
    whole = measured(tiny, names, tmp_path / "run", ["native"]).answers().query("item >= 10")
    session = Session(tiny, names, tmp_path / "rounds", 4)
    few = session.ask("few", 10, 12, ["native"])
    both = whole.merge(few, on=["item", "cell", "question"])
    assert len(both) == 2 * 9 * 2
    assert np.allclose(both["margin_x"], both["margin_y"], atol=1e-4)
    alone = Session(tiny, part(names, 10, 12), tmp_path / "part", 4).ask("few", 0, 2, ["native"])
    assert np.allclose(alone["margin"], few["margin"], atol=1e-4)
    cut = part(names, 10, 12)
    cut.whole = cut.items
    other = Session(tiny, cut, tmp_path / "alone", 4).ask("few", 0, 2, ["native"])
    assert not np.allclose(other["margin"], few["margin"], atol=1e-4), "or this shows nothing"


def test_the_median_of_the_yardstick_does_not_follow_one_picture(tiny: Loaded, names: Probe, monkeypatch):
    session = Session(tiny, names, Path("unused"), 4)
    text = names.questions(names.items[0], 0)[0].text
    before = usual.Usual(session.forward, names).of("native", [text])[text]
    alone, calls = session.forward.alone, []

    def one_shows_it(canvas, asked):
        calls.append(asked)
        return alone(canvas, asked) + (50.0 * torch.eye(len(before))[3] if len(calls) == 1 else 0)

    monkeypatch.setattr(session.forward, "alone", one_shows_it)
    after = usual.Usual(session.forward, names).of("native", [text])[text]
    assert len(calls) == usual.PICTURES
    assert float((after - before)[3].abs()) < 0.5


def test_batches_are_audited_without_what_the_model_would_write(tiny: Loaded, names: Probe, tmp_path: Path):
    run = measured(tiny, names, tmp_path / "run", audit=5)
    assert run.config["audit"]["answers"] == 5 * 2 * 2
    assert run.config["audit"]["flips"] == []
    assert not run.bias.get("written")


def test_written_answers_are_searched_for_the_name(tiny: Loaded, names: Probe, tmp_path: Path):
    answers = measured(tiny, names, tmp_path / "run", generate=6, items=2).answers()
    assert set(answers["answer"]) <= {"yes", "no"}
    assert answers["error"].isna().all()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("There is a cat on a mat.", "yes"),
        ("two CATS", "yes"),
        ("a dog, a mat and a **cat**", "yes"),
        ("a caterpillar", "no"),
        ("no cat is there", "no"),
        ("There isn't any cat, but a dog.", "no"),
        ("a room without a cat", "no"),
        ("no dogs or cats", "no"),
        ("no dog, but a cat", "yes"),
        ("not only a dog but a cat", "yes"),
        ("There is never a cat", "no"),
        ("concatenated", "no"),
    ],
)
def test_a_text_mentions_a_name_as_a_word(text: str, answer: str):
    found = from_text(text, Question("present", "present", "?", "yes", ("yes", "no"), "cat"))
    assert (found.answer, found.correct) == (answer, answer == "yes")


def test_likelier_names_gain_nothing():
    """What is added to a name whatever is seen stands in its usual probability too."""

    class Tokenizer:
        def get_vocab(self):
            return {"cat": 0, "dog": 1, "other": 2}

        def convert_ids_to_tokens(self, ids):
            return [list(self.get_vocab())[number] for number in ids]

    answers, asked = AnswerSet(Tokenizer()), Question("present", "present", "?", "yes", ("yes", "no"), "dog")
    logits, liked = torch.tensor([0.0, 1.0, 1.2]), torch.tensor([0.0, 4.0, 0.0])
    usual_of = lambda bias: (torch.tensor([0.0, 0.5, 1.0]) + bias).log_softmax(-1)  # noqa: E731
    one, two = (answers.read_name(logits + bias, asked, 1, usual_of(bias)) for bias in (0 * liked, liked))
    assert (one.answer, one.top, one.mass) == ("yes", "other", None)
    assert two.margin > 0
    assert two.top == "dog"
    assert answers.read_name(torch.tensor([0.0, torch.nan, 0.0]), asked, 1, logits).error


def test_a_name_that_the_tokenizer_does_not_know(tiny: Loaded, names: Probe):
    prompts = prompts_of(tiny, names)
    text = names.questions(names.items[0], 0)[0].text
    assert prompts.begins(text, "red thing") == tiny.processor.tokenizer.get_vocab()["red"]
    for name in ("zebra", "猫"):
        with pytest.raises(ModelError, match=rf"the name '{name}'.*--task match"):
            prompts.begins(text, name)


def test_a_name_that_begins_with_a_bare_space_tells_nothing(tiny: Loaded, names: Probe, monkeypatch):
    prompts = prompts_of(tiny, names)
    text = names.questions(names.items[0], 0)[0].text
    monkeypatch.setattr(prompts.processor.tokenizer, "decode", lambda ids: " ")
    with pytest.raises(ModelError, match="token by token"):
        prompts.begins(text, "red")


def test_names_are_looked_at_before_anything_is_asked(tiny: Loaded, names: Probe, tmp_path: Path, monkeypatch):
    """So one unknown name does not cost the run that comes upon it."""
    last = names.items[len(names.items) - 1].caption

    def begins(self, text, name):
        if name == bare(last):
            raise ModelError("unknown")
        return 5

    monkeypatch.setattr(Prompts, "begins", begins)
    with pytest.raises(ModelError, match="unknown"):
        measured(tiny, names, tmp_path / "run")
    assert not list((tmp_path / "run").rglob("*.jsonl"))


def test_origin_moves_what_names_follow(tiny: Loaded, names: Probe, tmp_path: Path):
    options = Options(rules=("native", "bapa"), statistics=QUICK, items=8)
    found = explain(tiny, names, tmp_path / "run", options).found
    assert set(found["not_done"]) == {"occlusion", "flow"}, found["not_done"]
    assert found["encoder"] is not None
    native = measured(tiny, names, tmp_path / "other", ["native"], items=8).answers()
    asked = explain(tiny, names, tmp_path / "run", options).path
    moved = pd.read_parquet(asked / "origin" / "answers" / "answers.parquet")
    same = native.merge(moved[moved["scheme"] == "native"], on=["item", "cell", "question"])
    assert np.allclose(same["margin_x"], same["margin_y"], atol=1e-4)
    other = native.merge(moved[moved["scheme"] == "positions/0"], on=["item", "cell", "question"])
    assert not np.allclose(other["margin_x"], other["margin_y"], atol=1e-4)


def test_calibrate_picks_by_names(tiny: Loaded, names: Probe, tmp_path: Path):
    guard = build("digits", tmp_path / "where", Design(task="where", items=8, lines=("row",)))
    options = {"items": 6, "steps": 2, "statistics": QUICK, "also": [SCHEMES[2]]}
    found = calibrate(tiny, names, tmp_path / "out", guards=[guard], **options)
    assert {"native", "bapa", SCHEMES[2]} <= set(found.held_out)
    assert SCHEMES[2] not in {point["candidate"] for point in found.curve}
    assert SCHEMES[2] in {rule["candidate"] for rule in found.guards[0]["rules"]}
    picked = {point["candidate"]: point["mean"] for point in found.curve if point["items"] == 6}
    native = found.found["native"][0]["mean"]
    assert found.chosen == "native" or picked[found.chosen] >= native
    with pytest.raises(ConfigError, match=r"--fit.*--task match"):
        calibrate(tiny, names, tmp_path / "fit", items=6, guards=[guard], keep=0.9, fit=True)


def test_vllm_lets_the_model_write_or_says_so(names: Probe, tiny: Loaded):
    engine = EngineModel.__new__(EngineModel)
    with pytest.raises(ConfigError, match=r"asks for names.*--generate"):
        engine.asker(prompts_of(tiny, names), names, None, ["native"]).__enter__()


def test_what_is_usual_is_asked_first_with_progress_and_once(
    tiny: Loaded, names: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It takes ten pictures for each rule, and a search has many rules."""
    monkeypatch.setattr("bapa.progress.FIRST", 0.0)
    monkeypatch.setattr("bapa.progress.EVERY", 0.0)
    measured(tiny, names, tmp_path / "run", SCHEMES, items=1)
    said = capsys.readouterr().err.splitlines()
    what = "what the model says anyway, by rule"
    assert [line.split(",")[1] for line in said if line.startswith(what)] == [" by rule: 1 of 3", " by rule: 2 of 3"]
    assert said[0].startswith(what)
    measured(tiny, names, tmp_path / "run", SCHEMES, items=1)
    assert "anyway" not in capsys.readouterr().err
