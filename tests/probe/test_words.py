"""What may be a caption or a prompt."""

from __future__ import annotations

from pathlib import Path

import pytest

from bapa.errors import ConfigError, ProbeError
from bapa.probe import Design, build

from .conftest import SMALL, captions, reasons, table, write


def test_values_that_are_no_text(folder: Path, tmp_path: Path) -> None:
    rows = table(folder)
    odd = [float("nan"), {"en": "a cat"}, True, [], [None, " "], ["", "a second"], 7, 3.0, None, [["a nest"]]]
    for row, value in zip(rows, odd, strict=False):
        row["caption"] = value
    write(folder, rows)
    probe = build(str(folder), tmp_path / "P", SMALL)
    found = reasons(probe)
    assert {name: found[name] for name in ("00.png", "03.png", "04.png", "08.png")} == dict.fromkeys(
        ("00.png", "03.png", "04.png", "08.png"), "no caption"
    )
    assert found["01.png"] == "its caption is {'en': 'a cat'}, which is no text"
    assert found["02.png"] == "its caption is True, which is no text"
    assert found["09.png"] == "its caption is ['a nest'], which is no text"
    assert {"a second", "7", "3"} <= captions(probe)


@pytest.mark.parametrize("task", ["match", "evidence", "choice", "where", "order", "point", "vqa"])
def test_captions_of_dots_alone_are_left_out(folder: Path, tmp_path: Path, task: str) -> None:
    rows = table(folder)
    wordless = {0: "...", 3: "the .", 6: ". ."}
    for number, nothing in wordless.items():
        rows[number]["caption"] = nothing
    rows[7]["caption"] = "!?"  # may be what a picture shows
    write(folder, rows)
    probe = build(str(folder), tmp_path / "P", SMALL.model_copy(update={"task": task}))
    assert len(probe.items) == 21
    assert reasons(probe) == {f"0{n}.png": f"its caption {said!r} holds no word" for n, said in wordless.items()}
    with pytest.raises(ProbeError, match=r"3 pictures cannot be used, .* holds no word"):
        build(str(folder), tmp_path / "Q", SMALL.model_copy(update={"task": task}), strict=True)


def test_the_answer_given_most_often_is_the_answer(folder: Path, tmp_path: Path) -> None:
    write(folder, [{**row, "answer": ["grey", row["answer"], row["answer"]]} for row in table(folder)])
    probe = build(str(folder), tmp_path / "P", SMALL.model_copy(update={"task": "vqa"}))
    assert all(item.answer in item.caption for item in probe.items)


def test_marks_of_pictures_in_words(folder: Path, tmp_path: Path) -> None:
    rows = table(folder)
    marks = ("<image>", "<|image_pad|>", "[IMG]", "<start_of_image>", "<|im_end|>", "<IMG_CONTEXT>", "<video>", "</s>")
    for row, mark in zip(rows, marks, strict=False):
        row["caption"] += f" {mark}"
    rows[10]["caption"] += " < 3 [sic] <3 image"
    write(folder, rows)
    probe = build(str(folder), tmp_path / "P", SMALL)
    assert reasons(probe) == {
        f"{n:02}.png": f"its caption holds {mark}, which models do not read as text" for n, mark in enumerate(marks)
    }
    with pytest.raises(ConfigError, match=r"prompt '<image> \{caption\} \?': it holds <image>"):
        Design(prompts=("<image> {caption} ?",))


def test_half_a_character_and_names_that_are_no_text(folder: Path, tmp_path: Path) -> None:
    rows = table(folder)
    rows[3]["caption"] = "a kettle \ud83d"
    write(folder, rows)
    (folder / "caf\udce9.png").write_bytes((folder / "00.png").read_bytes())
    probe = build(str(folder), tmp_path / "P", SMALL)
    assert reasons(probe) == {
        "03.png": r"its caption holds half a character: 'a kettle \ud83d'",
        r"caf\udce9.png": "no caption",
    }
