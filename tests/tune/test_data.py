"""Training rows from files, data sets and probes; what is wrong with a row is said in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from bapa.errors import ConfigError
from bapa.probe import Design, build
from bapa.tune import Settings, read
from tests.tune.processors import picture

GOOD = {
    "image": "a.png",
    "conversations": [{"from": "human", "value": "<image>\nWhat is this?"}, {"from": "gpt", "value": "A seven."}],
}


def write(folder: Path, *rows: Any, name: str = "chats.jsonl") -> Path:
    for number in range(2):
        picture(number).save(folder / f"{'ab'[number]}.png")
    text = json.dumps(list(rows)) if name.endswith(".json") else "\n".join(map(json.dumps, rows))
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("name", ["chats.json", "chats.jsonl"])
def test_llava_files(name: str, tmp_path: Path) -> None:
    several = {
        "images": ["a.png", "b.png"],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "<image> or <image>?"},
            {"role": "assistant", "content": [{"type": "text", "text": "The first."}]},
        ],
    }
    text = {"conversations": [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hello."}]}
    file = write(tmp_path, GOOD, several, text, name=name)
    for source in (file, tmp_path):
        data = read(source)
        assert [row["images"] for row in data.rows] == [["a.png"], ["a.png", "b.png"], []]
        kinds = [[part["type"] for part in message["content"]] for message in data.rows[1]["messages"]]
        assert kinds == [["text"], ["image", "text", "image", "text"], ["text"]]
        assert data.rows[0]["messages"][0]["content"][1]["text"] == "What is this?"
        assert data.open("b.png").tobytes() == picture(1).tobytes()
    assert len(read(file, rows=2).rows) == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image": "c.png"}, r"line 2: image c\.png in .*: no such file"),
        ({"image": "broken.png"}, r"line 2: image broken\.png in .*: not a readable picture"),
        ({"conversations": None, "text": "Hi"}, "its conversation is not a list of turns"),
        ({"image": "../secret.png"}, r"image \.\./secret\.png in .*: leads out of its folder"),
        ({"image": "/etc/hostname"}, r"image /etc/hostname in .*: leads out of its folder"),
        ({"image": 7}, "its image is 7"),
        ({"conversations": [{"from": "human", "value": "Hi"}, *GOOD["conversations"][1:]]}, "1 image and no <image>"),
        ({"image": None}, "its text holds 1 <image>, it comes with 0 images"),
        ({"conversations": GOOD["conversations"][:1]}, "its last turn is no answer"),
        ({"conversations": [{"from": "cat", "value": "Meow"}]}, "a turn is by 'cat'"),
        ({"conversations": []}, "not a list of turns"),
        ({"conversations": [GOOD["conversations"][0], {"from": "gpt", "value": "<image>"}]}, "an answer holds <image>"),
    ],
)
def test_a_bad_row_is_named_or_left_out(change: dict[str, Any], reason: str, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "broken.png").write_bytes(b"\x89PNG, or not")
    file = write(folder, GOOD, {**GOOD, **change})
    with pytest.raises(ConfigError, match=rf"{reason}.*\(1 of 2 rows are bad\).*--skip-bad") as error:
        read(file)
    assert "\n" not in str(error.value)
    data = read(file, skip_bad=True)
    assert len(data.rows) == 1
    assert len(data.left_out) == 1


def test_what_is_no_training_data(tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text('{"a": 1}\n{"a":')
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "words.json").write_text('["a"]')
    (tmp_path / "blank.jsonl").write_text("\n")
    (tmp_path / "fields.json").write_text('[{"image": "a.png", "text": "Hi"}]')
    for name, reason in (
        ("broken.jsonl", "line 2: not JSON"),
        ("empty.json", "no rows"),
        ("words.json", "row 1 is 'a', not an object"),
        ("blank.jsonl", "no rows"),
        ("fields.json", "row 1: it has image, text; the chat is read from messages or conversations"),
        ("missing.json", "no such file"),
    ):
        with pytest.raises(ConfigError, match=reason):
            read(tmp_path / name)
    with pytest.raises(ConfigError, match="holds 5 files of rows; name one"):
        read(tmp_path)
    with pytest.raises(ConfigError, match="cells are chosen in a probe only"):
        read(write(tmp_path, GOOD), cells=[4])


@pytest.mark.parametrize("kind", ["list", "one", "bytes"])
def test_a_data_set_with_a_chat_column(kind: str, tmp_path: Path) -> None:
    picture(3).save(tmp_path / "p.png")
    single = kind == "one"
    feature = (
        datasets.Image() if kind != "bytes" else {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    )
    value: Any = {"bytes": (tmp_path / "p.png").read_bytes(), "path": None}
    rows = {
        "id": [1, 2],
        "conversations": [GOOD["conversations"], [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hi."}]],
        ("image" if single else "images"): [value, None] if single else [[value], []],
    }
    turn = {"from": datasets.Value("string"), "value": datasets.Value("string")}
    features = datasets.Features(
        {
            "id": datasets.Value("int64"),
            "conversations": datasets.List(turn),
            ("image" if single else "images"): feature if single else datasets.List(feature),
        }
    )
    table = datasets.Dataset.from_dict(rows, features=features)
    table.save_to_disk(tmp_path / "saved")
    table.to_parquet(tmp_path / "rows.parquet")
    datasets.DatasetDict({"train": table, "test": table.select([0])}).save_to_disk(tmp_path / "splits")
    for source in (tmp_path / "saved", tmp_path / "rows.parquet", tmp_path / "splits"):
        data = read(source)
        assert [row["images"] for row in data.rows] == [["0/0"], []]
        assert data.open("0/0").tobytes() == picture(3).tobytes()
    assert len(read(tmp_path / "splits", split="test").rows) == 1
    with pytest.raises(ConfigError, match=r"has no split 'val', it has train, test; name one: --split"):
        read(tmp_path / "splits", split="val")


@pytest.mark.parametrize("feature", ["picture", "bytes"])
def test_a_picture_that_breaks_off_is_named(feature: str, tmp_path: Path) -> None:
    picture(3).save(tmp_path / "p.png")
    half = (tmp_path / "p.png").read_bytes()[:-40]
    kind = datasets.Image() if feature == "picture" else {"bytes": datasets.Value("binary")}
    table = datasets.Dataset.from_dict({"messages": [GOOD["conversations"]], "image": [{"bytes": half}]})
    table.cast_column("image", kind).to_parquet(tmp_path / "rows.parquet")
    data = read(tmp_path / "rows.parquet")
    with pytest.raises(
        ConfigError, match=r"rows\.parquet row 0, picture 1: not a readable picture.*goes on from the last"
    ):
        data.open("0/0")
    folder = tmp_path / "files"
    folder.mkdir()
    file = write(folder, GOOD)
    (folder / "a.png").write_bytes(half)
    with pytest.raises(ConfigError, match=r"a\.png in .*: not a readable picture: .*mend it"):
        read(file).open("a.png")


def test_a_data_set_without_a_chat_is_refused(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"text": ["a"]}).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ConfigError, match="has the columns text; the chat is read from messages or conversations"):
        read(tmp_path / "rows.parquet")


def test_a_probe_in_chosen_cells(tmp_path: Path) -> None:
    probe = build("digits", tmp_path / "probe", Design(items=10))
    data = read(tmp_path / "probe", cells=[4])
    assert len(data.rows) == 10 * 3
    first = data.rows[0]
    assert first["images"] == ["0/4"]
    question = probe.questions(probe.items[0], 4)[0]
    assert first["messages"][0]["content"][1]["text"] == question.text
    assert first["messages"][1]["content"][0]["text"] == question.answer
    assert data.open("3/4").tobytes() == probe.compose(probe.items[3], 4).tobytes()
    assert len(read(tmp_path / "probe").rows) == 10 * 9 * 3
    with pytest.raises(ConfigError, match=r"cell 9: .* has cells 0 to 8"):
        read(tmp_path / "probe", cells=[9])


@pytest.mark.parametrize("name", ["packing", "padding_free"])
def test_packing_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: rows with pictures are padded, not packed"):
        Settings(options={name: True})
