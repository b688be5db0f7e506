"""The second language model: rules carried over from the words study, and a page that says what it answered."""

from __future__ import annotations

import pandas as pd
from jinja2 import Environment

from bapa.calibrate.space import space
from bapa.schemes import parse
from studies.aligned.reading import record as by_model
from studies.aligned.reading import together
from studies.gemma import ask, build, page, pictures, run
from studies.words import knowing, reading
from studies.words.ask import CANDIDATES

LAYERS = 18
LATE = ("bapa:layers=20%-100%,blend=0.6", "bapa:layers=30%-100%,blend=0.7")


def layers(label: str, count: int) -> frozenset[int]:
    return parse(label).effects.part.layers.of(count)


def test_rules_are_carried_over_as_the_search_does() -> None:
    """Layers go over as shares of the depth; nothing was picked on this model."""
    for label, here, there in zip(LATE, ask.CANDIDATES, CANDIDATES, strict=False):
        assert label in space(LAYERS)
        assert layers(label, LAYERS) == layers(here, LAYERS)
        assert layers(label, 30) == layers(there, 30)
        assert parse(label).blend == parse(here).blend == parse(there).blend
    assert ask.CANDIDATES[2] == CANDIDATES[2]
    assert ask.RULES[3:5] == reading.REVERSED


def test_pictures_are_asked_about_under_the_same_rules() -> None:
    rules = pictures.GEMMA.rules
    assert {*pictures.GEMMA.near, *reading.REVERSED} <= {*rules}
    assert {*rules} <= {*ask.RULES}
    assert rules[0] == "native"


def test_the_record_is_that_of_the_answers_about_pictures() -> None:
    shares, known = map(pd.read_parquet, pictures.FILES)
    record = page.STUDY.record()["pictures"]
    seed = str(shares["seed"].min())
    one = (shares[shares["seed"] == int(seed)], known[known["seed"] == int(seed)])
    assert by_model(*one, pictures.GEMMA.rules)["models"][seed] == record["models"][seed]
    assert together(record["models"]) == record["together"]
    assert all(
        f"`{rule}`" in page.blocks(page.STUDY.record())["docs/studies/gemma.md"]["pictures, together"]
        for rule in pictures.GEMMA.rules
    )


def test_a_base_model_reads_a_question_as_lines_of_text() -> None:
    content = [{"type": "image"}, {"type": "text", "text": "What is in the picture?"}]
    written = Environment(autoescape=False).from_string(build.TEMPLATE).render(messages=[{"content": content}])
    assert written == "<bos><image>\nWhat is in the picture?\n"


def test_the_record_is_that_of_the_answers() -> None:
    answers, known = pd.read_parquet(run.ANSWERS), pd.read_parquet(run.NEIGHBOURS)
    record = page.STUDY.record()
    maps = reading.read(answers, ask.RULES)
    assert list(maps["all wordings"]) == list(ask.RULES)
    question = next(name for name in maps if name != "all wordings")
    assert reading.figures(maps[question]) == record[question]
    assert knowing.figures(known, ask.RULES) == record["neighbours"]
    assert all(f"`{rule}`" in page.blocks(record)["docs/studies/gemma.md"]["rules"] for rule in ask.RULES)
