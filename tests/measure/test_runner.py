"""What a run writes, what it refuses, and how it fails."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

import bapa
from bapa.errors import ModelError, RunError
from bapa.inference.answers import UNREAD
from bapa.inference.forward import Forward
from bapa.inference.hf import ModelAsker
from bapa.measure import load_run
from bapa.probe import Design, build
from bapa.report import claims
from bapa.report.terminal import table
from bapa.report.words import findings
from bapa.stats import Settings
from bapa.stats.bias import bias
from tests.measure.conftest import measured
from tests.report.fakes import SKEWED, fake_answers, fake_bias, fake_run


def test_a_run_holds_every_answer_once_in_the_order_of_the_probe(run, probe):
    answers = run.answers()
    expected = [
        (item.item, cell, question.question_id, scheme, question.answer)
        for item in probe.items
        for cell in range(9)
        for question in probe.questions(item, cell)
        for scheme in ("native", "bapa")
    ]
    found = answers[["item", "cell", "question", "scheme", "expected"]].itertuples(index=False, name=None)
    assert list(found) == expected
    assert (answers["row"] * 3 + answers["col"] == answers["cell"]).all()
    assert ((answers["margin"] > 0) == (answers["answer"] == "yes")).all()
    assert (answers["correct"] == (answers["answer"] == answers["expected"])).all()
    assert answers["mass"].between(0, 1).all()
    assert answers["error"].isna().all()


def test_margins_are_those_of_the_plain_model(run, tiny, probe):
    """Without any of our machinery: one chat, one forward, two logits."""
    rows = run.answers().sample(12, random_state=0)
    words = tiny.processor.tokenizer
    for row in rows.itertuples():
        question = next(q for q in probe.questions(probe.items[row.item], row.cell) if q.question_id == row.question)
        content = [
            {"type": "image", "image": probe.compose(probe.items[row.item], row.cell)},
            {"type": "text", "text": question.text},
        ]
        inputs = tiny.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            add_generation_prompt=True,
        )
        with bapa.balanced(tiny.model, row.scheme), torch.no_grad():
            logits = tiny.model(**inputs).logits[0, -1]
        yes, no = (logits[words.convert_tokens_to_ids(word)] for word in ("yes", "no"))
        assert row.margin == pytest.approx(float(yes - no), abs=1e-4)
        assert row.mass == pytest.approx(
            float(logits.softmax(-1)[[words.convert_tokens_to_ids("yes"), words.convert_tokens_to_ids("no")]].sum()),
            abs=1e-4,
        )


def test_schemes_differ_and_are_taken_off_again(run, tiny, probe, tmp_path):
    answers = run.answers().pivot_table(index=["item", "cell", "question"], columns="scheme", values="margin")
    assert (answers["native"] - answers["bapa"]).abs().max() > 0.01
    bapa.balance(tiny.model, "bapa:distance=native")
    measured(tiny, probe, tmp_path / "run", items=1)
    assert bapa.scheme_of(tiny.model).label == "bapa:distance=native"


def test_without_schemes_native_is_set_beside_the_one_on_record(tiny, probe, tmp_path, run):
    bapa.balance(tiny.model, "bapa:distance=native")
    tiny.model.save_pretrained(tmp_path / "model")
    tiny.processor.save_pretrained(tmp_path / "model")
    recorded = bapa.checkpoints.load(str(tmp_path / "model"))
    found = measured(recorded, probe, tmp_path / "run", None)
    assert list(found.bias["schemes"]) == ["native", "bapa:distance=native"]
    assert bapa.scheme_of(recorded.model).label == "bapa:distance=native"
    assert recorded.model.config.bapa["scheme"] == "bapa"
    one, two = (each.answers().query("scheme == 'native'")["margin"].to_numpy() for each in (run, found))
    np.testing.assert_array_equal(one, two, err_msg="native must be native, whatever the config records")


def test_without_schemes_and_record_it_is_native_and_bapa(tiny, probe, tmp_path):
    assert list(measured(tiny, probe, tmp_path / "run", None, items=1).bias["schemes"]) == ["native", "bapa"]


def test_the_record_says_what_was_done(run, probe, tiny):
    config = run.config
    assert config["model"]["fingerprint"] == tiny.fingerprint
    assert config["probe"]["fingerprint"] == probe.fingerprint
    assert config["prefill"] == "shared"
    assert config["audit"]["answers"] == 5 * 3 * 2
    assert config["audit"]["flips"] == []
    assert config["audit"]["largest_margin_difference"] < 1e-4
    assert config["versions"]["bapa"] == bapa.__version__
    assert run.bias["probe"]["rows"] == 3
    assert list(run.bias["schemes"]) == ["native", "bapa"]


def test_batches_and_ways_do_not_change_answers(run, tiny, probe, tmp_path, monkeypatch):
    monkeypatch.setattr(ModelAsker, "sharing_holds", lambda self: False)
    other = measured(tiny, probe, tmp_path / "run", batch_size=7)
    assert other.config["prefill"] == "separate"
    one, two = run.answers(), other.answers()
    pd.testing.assert_frame_equal(one.drop(columns=["margin", "mass"]), two.drop(columns=["margin", "mass"]))
    np.testing.assert_allclose(one["margin"], two["margin"], atol=1e-4)


IN_ORDER = (
    "{% for part in messages[0]['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %} "
    "{% endfor %}ASSISTANT:"
)


def test_a_question_before_the_image_is_asked_separately(tiny, tmp_path):
    tiny.processor.chat_template = IN_ORDER
    probe = build("digits", tmp_path / "probe", Design(items=2, order="question-first"))
    seen = []
    tiny.model.model.register_forward_pre_hook(lambda _, __, inputs: seen.append(inputs["input_ids"]), with_kwargs=True)
    run = measured(tiny, probe, tmp_path / "run", audit=3)
    words = tiny.processor.tokenizer
    row = words.decode(next(ids[0] for ids in reversed(seen) if ids.shape[1] > 1))  # behind it come written tokens
    assert row.index("answer yes or no") < row.index("<image>")
    assert run.config["prefill"] == "separate"
    assert run.config["audit"]["flips"] == []
    assert run.bias["schemes"]["native"]["slopes"]["text_distance"] == run.bias["schemes"]["native"]["slopes"]["raster"]


@pytest.mark.parametrize("cluster", ["auto", "item", "group"])
@pytest.mark.parametrize("first", [True, False])
def test_an_older_run_keeps_its_unit_and_the_order_of_its_prompt(cluster, first, tmp_path):
    answers = fake_answers({"native": SKEWED}, 24)
    answers["group"] = (answers["item"] // 2).map("class {}".format)
    before = bias(answers, rows=3, cols=3, question_first=first, settings=Settings(cluster=cluster))
    folder = fake_run(tmp_path / "run", {**fake_bias({"native": SKEWED}, items=24), **before, "version": 1}, answers)
    told = json.loads((folder / "run.json").read_text())
    told["config"]["statistics"]["cluster"] = cluster
    (folder / "run.json").write_text(json.dumps(told))
    found = load_run(folder).bias
    assert found["version"] == 2
    assert found["clusters"] == before["clusters"]
    assert found["schemes"]["native"]["slopes"]["text_distance"]["value"] != 0
    assert found["schemes"] == before["schemes"]


def test_a_template_that_ignores_the_order_is_an_error(tiny, tmp_path):
    probe = build("digits", tmp_path / "probe", Design(items=2, order="question-first"))
    with pytest.raises(ModelError, match=r"puts the image before the question.*--order image-first"):
        measured(tiny, probe, tmp_path / "run")
    mended = build("digits", tmp_path / "mended", Design(items=2))
    assert measured(tiny, mended, tmp_path / "run").config["failed"] == 0, "the folder must not be taken"


def test_sharing_that_does_not_hold_is_found_out(tiny, probe, tmp_path, monkeypatch):
    shared = Forward.continued
    monkeypatch.setattr(Forward, "continued", lambda self, asked: shared(self, asked) + 0.01 * torch.randn(1))
    assert measured(tiny, probe, tmp_path / "run").config["prefill"] == "separate"


def test_every_flip_of_the_audit_is_reported(tiny, probe, tmp_path, monkeypatch):
    alone = Forward.alone
    monkeypatch.setattr(ModelAsker, "sharing_holds", lambda self: True)
    monkeypatch.setattr(Forward, "alone", lambda self, *asked: -alone(self, *asked))
    audit = measured(tiny, probe, tmp_path / "run", audit=2).config["audit"]
    assert len(audit["flips"]) == audit["answers"] == 2 * 3 * 2
    assert audit["flips"][0]["answer"] != audit["flips"][0]["alone"]["answer"]


def test_the_audit_asks_for_words_too(tiny, probe, tmp_path):
    """What is written is read by the one reader; a text that names no choice counts as such, and the page says so."""
    words = tiny.processor.tokenizer
    found = measured(tiny, probe, tmp_path / "run", items=1, audit=2)
    for label in ("native", "bapa"):
        its = found.bias["written"][label]
        assert its["answers"] == found.config["audit"]["answers"] // 2
        assert its["agree"] + its["unread"] <= its["answers"]
        assert its["unread"] > 0, "random weights hardly ever say yes or no"
        assert its["first"][0]["text"]
    assert "name no choice" in claims.written(found.bias)
    assert "bapa measure --generate 16" in claims.written(found.bias)
    console = Console(width=300)
    with console.capture() as capture:
        console.print(table(found))
    assert f"in words: {claims.written(found.bias)[:60]}" in capture.get()
    assert any(claims.written(found.bias) in line for line in findings(found.bias))

    said = measured(saying(tiny, words), probe, tmp_path / "sure", items=1, audit=2)
    its = said.bias["written"]["native"]
    assert its["agree"] == its["answers"] > 0
    assert "say in words what the logits say" in claims.written(said.bias)
    assert "--generate" not in claims.written(said.bias)


def saying(tiny, words):
    """The model made to say yes, and nothing else."""
    with torch.no_grad():
        tiny.model.lm_head.weight.zero_()
        yes = words.convert_tokens_to_ids("yes")
        tiny.model.lm_head.bias = torch.nn.Parameter(torch.zeros(tiny.model.lm_head.out_features))
        tiny.model.lm_head.bias[yes] = 9.0
    return tiny


def test_choices_are_read_from_their_letters(tiny, tmp_path):
    tiny = with_letters(tiny)
    probe = build("digits", tmp_path / "probe", Design(items=3, task="where", answers="letters"))
    answers = measured(tiny, probe, tmp_path / "run", audit=2).answers()
    assert set(answers["kind"]) == {"where_row", "where_col"}
    assert set(answers["answer"]) <= {"A", "B", "C"}
    assert (answers["correct"] == (answers["margin"] > 0)).all()


def with_letters(tiny):
    words = tiny.processor.tokenizer
    vocabulary = words.get_vocab()
    renamed = {"picture": "A", "any": "B", "does": "C"}
    words.get_vocab = lambda: {renamed.get(word, word): number for word, number in vocabulary.items()}
    return tiny


def test_a_model_may_write_its_answers(tiny, probe, tmp_path):
    with torch.no_grad():  # random weights hardly ever say yes or no
        tiny.model.lm_head.weight[tiny.processor.tokenizer.convert_tokens_to_ids(["yes", "no"])] *= 5
    run = measured(tiny, probe, tmp_path / "run", items=2, generate=3, audit=2)
    answers = run.answers()
    unread = answers["error"].notna()
    assert 0 < unread.sum() < len(answers)
    assert answers[unread]["error"].str.startswith(UNREAD).all()
    assert answers[unread]["answer"].isna().all()
    assert answers["margin"].isna().all()
    assert run.config["failed"] == 0, "a reply that nobody can read is no failure"
    assert run.config["unread"]["answers"] == unread.sum()
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table(run))
    shown = capture.get()
    assert f"not read: {unread.sum()} of {len(answers)} answers" in shown
    assert run.config["unread"]["first"][0] in shown
    assert run.config["audit"]["flips"] == []


def test_load_run_says_what_is_missing(run, tmp_path):
    with pytest.raises(RunError, match=r"run\.json is missing"):
        load_run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    (tmp_path / "bias.json").write_text("{}")
    (tmp_path / "answers.parquet").write_text("")
    with pytest.raises(RunError, match="not JSON"):
        load_run(tmp_path)
    assert load_run(str(run.path)).bias == run.bias


def test_the_table_shows_every_scheme(run):
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table(run))
    shown = capture.get()
    hit = run.bias["schemes"]["bapa"]["overall"]["hit"]["value"]
    assert "native" in shown
    assert f"{100 * hit:.1f}" in shown
    assert "AUC by cell" in shown


def test_words_the_model_cannot_read_are_counted(run, tiny, probe, tmp_path):
    assert run.config["prompts"]["unknown"] == 0
    strange = build("digits", tmp_path / "probe", Design(items=2, prompts=("Is there a gryphon near {caption}?",)))
    found = measured(tiny, strange, tmp_path / "run")
    words = 2 * sum(len(strange.questions(item, 0)) for item in strange.items)  # gryphon and near
    assert found.config["prompts"]["unknown"] == found.bias["prompts"]["unknown"] == words
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table(found))
    assert f"unread: {words} of the" in capture.get()


def test_the_table_tells_audit_failures_and_floor(run, tiny, probe, tmp_path, monkeypatch):
    alone = Forward.alone
    monkeypatch.setattr(ModelAsker, "sharing_holds", lambda self: True)
    monkeypatch.setattr(Forward, "alone", lambda self, *asked: -alone(self, *asked))
    found = measured(tiny, probe, tmp_path / "run", ["native", "null"], items=1, audit=1)
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table(found))
    shown = capture.get()
    assert "audit: 6 answers asked again one by one, 6 flipped" in shown
    assert shown.count("  flipped: item 0, row 1, column 1, ") == 6
    assert "floor: 0 of 27 answers flip from native to null" in shown  # about the target, its lure and what is absent


def test_json_files_hold_no_numbers_that_json_does_not_know(run):
    for name in ("run.json", "bias.json"):
        json.loads((run.path / name).read_text(), parse_constant=lambda constant: pytest.fail(constant))
