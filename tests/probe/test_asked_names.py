"""Probes that ask what a model sees, and count the names it gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from bapa.errors import ConfigError, ProbeError
from bapa.integrations.explore.explorer import _check_asks
from bapa.integrations.lmms_eval.task import write_task
from bapa.integrations.vlmeval import write_tsv
from bapa.probe import Design, Probe, build
from bapa.probe.questions import bare
from bapa.tune import read
from tests.probe.conftest import reasons, table, write

SMALL = {"rows": 2, "cols": 2, "cell": 16, "task": "name", "near_miss": False}


@pytest.fixture
def named(folder: Path) -> Path:
    """The pictures, called by their nouns: 24 pictures of 16 things."""
    rows = table(folder)
    called = [f"{'an' if n % 2 else 'a'} {row['noun']}{n % 2} {n}" for n, row in enumerate(rows)]
    write(folder, [{**row, "caption": caption} for row, caption in zip(rows, called, strict=True)])
    return folder


@pytest.fixture
def probe(named: Path, tmp_path: Path) -> Probe:
    return build(str(named), tmp_path / "P", Design(**SMALL))


def first(caption: str) -> str:
    return bare(caption).split()[0]


def test_nothing_is_named_in_the_question_and_the_answer_is_begun(probe: Probe) -> None:
    item = probe.items[0]
    questions = probe.questions(item, 1)
    assert [(q.kind, q.answer, q.choices) for q in questions] == [
        ("present", "yes", ("yes", "no")),
        ("absent", "no", ("yes", "no")),
    ]
    assert {q.text for q in questions} == {"What is in this image?"}
    assert [q.name for q in questions] == [bare(text) for text in (item.caption, item.absent)]
    assert probe.design.opening == "There is a"
    assert questions[0].shown == f"What is in this image?\nName: {bare(item.caption)}"
    assert "    What is in this image?\n    There is a ...\n" in (probe.path / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("caption", "name"), [("a cat", "cat"), ("An apple", "apple"), ("the sea", "sea"), ("A cat.", "cat"), ("a a", "a")]
)
def test_a_name_has_no_article(caption: str, name: str) -> None:
    assert bare(caption) == name


def test_what_is_asked_about_begins_like_nothing_else_on_the_canvas(probe: Probe) -> None:
    """A name is told by the token that it begins with: another thing that begins so would be taken for it."""
    captions = {item.target: item.caption for item in probe.items}
    for item in probe.items:
        shown = [first(captions[tile]) for tile in item.layout]
        assert len(set(shown)) == 4
        assert first(item.absent) not in shown


def test_captions_that_all_begin_alike_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match=r"need 16 captions.*has 1 \(photo.*--task match"):
        build(str(folder), tmp_path / "P", Design(**SMALL))


def test_an_opening_of_ones_own(named: Path, tmp_path: Path) -> None:
    given = build(str(named), tmp_path / "P", Design(**SMALL, opening="I see a", prompts=("What do you see?",)))
    assert given.design.opening == "I see a"
    assert Probe.load(given.path).design == given.design
    assert given.questions(given.items[0], 0)[0].text == "What do you see?"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"task": "name", "prompts": ("What is {caption}?",)}, "drop the braces"),
        ({"task": "match", "opening": "I see a"}, "--opening"),
        ({"task": "name", "slots": "page"}, "sentences"),
    ],
)
def test_what_does_not_go_together(options: dict[str, str], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        Design(**options)


def test_other_probes_say_nothing_of_an_opening() -> None:
    assert "opening" not in Design().told()


@pytest.mark.parametrize(
    "use",
    [
        lambda probe, out: write_task(probe, out),
        lambda probe, out: write_tsv(probe, out),
        lambda probe, out: read(str(probe.path)),
        lambda probe, out: _check_asks(probe),
    ],
    ids=["lmms-eval", "VLMEvalKit", "tune", "explore"],
)
def test_uses_that_need_questions_say_so(probe: Probe, tmp_path: Path, use) -> None:
    with pytest.raises(ConfigError, match=r"asks for names.*--task match"):
        use(probe, tmp_path / "out")


def test_a_source_without_usable_pictures_is_one_clear_line(tmp_path: Path) -> None:
    package = tmp_path / "emoji-datasource-none"
    (package / "img" / "none" / "64").mkdir(parents=True)
    (package / "emoji.json").write_text("[]")
    with pytest.raises(ProbeError, match="the source has 0 usable pictures with different captions"):
        build(str(package), tmp_path / "P", Design(**SMALL))
    assert not (tmp_path / "P").exists()


def test_captions_that_hold_no_name_are_left_out(named: Path, tmp_path: Path) -> None:
    rows = table(named)
    nameless = {0: "...", 3: "the .", 6: "?!"}
    for number, nothing in nameless.items():
        rows[number]["caption"] = nothing
    write(named, rows)
    probe = build(str(named), tmp_path / "P", Design(**SMALL))
    assert len(probe.items) == 21
    assert reasons(probe) == {f"0{n}.png": f"its caption {said!r} holds no name" for n, said in nameless.items()}
