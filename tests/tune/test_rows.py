"""Rows as people have them: what can be read is, and what cannot is told before training starts."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from trl import SFTConfig

from bapa.checkpoints import load
from bapa.errors import ConfigError
from bapa.probe.records import read_picture
from bapa.tune import Settings, read, tune
from bapa.tune.settings import TOLD
from tests.tune.processors import picture, saved

CHAT = [{"from": "human", "value": "<image>\nw10"}, {"from": "gpt", "value": "yes"}]
QUICK = Settings(steps=1, batch=2, save_every=0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def chats(folder: Path, **changed: Any) -> Path:
    """Four good rows, and a fifth with ``changed``."""
    folder.mkdir(exist_ok=True)
    rows = [{"image": f"{number}.png", "conversations": CHAT} for number in range(5)]
    for number in range(5):
        picture(number).save(folder / f"{number}.png")
    rows[4] |= changed
    (folder / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "chats.jsonl"


def said(*values: str) -> dict[str, Any]:
    return {"conversations": [{"from": who, "value": text} for who, text in zip(("human", "gpt"), values, strict=True)]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (said("<image>\n<video>\nw10", "yes"), "its text holds <video>, which models do not read as text"),
        (said("<image>\n<|image_pad|> w10", "yes"), r"its text holds <\|image_pad\|>"),
        (said("<image>\nw10", "half \ud83d"), "its text holds half a character"),
        ({"image": None, "video": "a.mp4", **said("w10", "yes")}, "it comes with video; only pictures are trained on"),
        ({"image": None, "audios": ["a.wav"], **said("w10", "yes")}, "it comes with audios"),
    ],
)
def test_words_that_cannot_be_trained_on(change: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"line 5: {reason}.*\(1 of 5 rows are bad\)"):
        read(chats(tmp_path, **change))
    assert len(read(tmp_path / "chats.jsonl", skip_bad=True).rows) == 4


def test_videos_of_a_table_are_no_text_rows(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "w10"}, {"role": "assistant", "content": "yes"}]
    rows = [{"messages": chat, "images": [], "videos": clips} for clips in ([], ["a.mp4"])]
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ConfigError, match="row 1: it comes with videos"):
        read(tmp_path / "rows.parquet")
    assert len(read(tmp_path / "rows.parquet", skip_bad=True).rows) == 1


def _bomb(path: Path) -> None:
    head = b"\x89PNG\r\n\x1a\n"
    for kind, data in (
        (b"IHDR", b"\0\0\x4e\x20\0\0\x4e\x20\x08\0\0\0\0"),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ):
        head += len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    path.write_bytes(head)


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _long_text(path: Path) -> None:
    data = path.read_bytes()
    text = b"k\0\0" + zlib.compress(b" " * 2**21)
    chunk = len(text).to_bytes(4, "big") + b"zTXt" + text + zlib.crc32(b"zTXt" + text).to_bytes(4, "big")
    path.write_bytes(data[:33] + chunk + data[33:])


@pytest.mark.parametrize("spoil", [_bomb, _half, _long_text])
def test_pictures_that_pillow_refuses_are_left_out_before_training(spoil: Any, tmp_path: Path) -> None:
    file = chats(tmp_path / "data")
    spoil(tmp_path / "data" / "4.png")
    model = saved("llava", tmp_path / "base")
    with pytest.raises(ConfigError, match=r"line 5: .*4\.png.*: not a readable picture.*\(1 of 5 rows are bad\)"):
        tune(model, read(file), tmp_path / "out", settings=QUICK)
    assert not (tmp_path / "out").exists()
    out = tune(model, read(file, skip_bad=True), tmp_path / "out", settings=QUICK)
    (told,) = json.loads((out / "tune.json").read_text())["left_out"]
    assert told.startswith("line 5: ")
    assert "goes on from the last checkpoint" not in told


def test_rows_that_a_template_refuses_or_that_are_too_long_are_told_before_training(tmp_path: Path) -> None:
    file = chats(tmp_path / "data", **said("<image>\n" + "w10 " * 600, "yes"))
    model = saved("llava", tmp_path / "base")
    model.model.config.text_config.max_position_embeddings = 500
    with pytest.raises(ConfigError, match=r"line 5: it has 6\d\d tokens, and the model was made for 500 positions"):
        tune(model, read(file), tmp_path / "out", settings=QUICK)
    refusing = model.processor.chat_template
    model.processor.chat_template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn') }}{% endif %}" + refusing
    )
    turns = [{"role": "system", "content": "w11"}, *said("<image>\nw10", "yes")["conversations"]]
    file = chats(tmp_path / "data", conversations=turns)
    with pytest.raises(ConfigError, match=r"line 5: no system turn \(1 of 5 rows are bad\)"):
        tune(model, read(file), tmp_path / "out", settings=QUICK)
    assert not (tmp_path / "out").exists()
    out = tune(model, read(file, skip_bad=True), tmp_path / "out", settings=QUICK)
    assert json.loads((out / "tune.json").read_text())["left_out"] == ["line 5: no system turn"]


@pytest.mark.parametrize("kind", ["bytes", "path", "cell"])
def test_pictures_in_a_parquet_file(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = chats(tmp_path / "data").parent
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    names = [f"{number}.png" for number in range(5)]
    cells: list[Any] = {
        "bytes": [(folder / name).read_bytes() for name in names],
        "path": names,
        "cell": [{"bytes": None, "path": name} for name in names],
    }[kind]
    pq.write_table(pa.Table.from_pylist([{"image": one, "conversations": CHAT} for one in cells]), folder / "x.parquet")
    data = read(folder / "x.parquet")
    assert [data.open(row["images"][0]).tobytes() for row in data.rows] == [picture(n).tobytes() for n in range(5)]
    cells[3] = {"bytes": b"<html>", "path": "../secret.png", "cell": {"bytes": b"<html>", "path": None}}[kind]
    pq.write_table(pa.Table.from_pylist([{"image": one, "conversations": CHAT} for one in cells]), folder / "x.parquet")
    with pytest.raises(ConfigError, match=r"row 3: picture 1: .*(unknown format|leads out).*\(1 of 5 rows are bad\)"):
        read(folder / "x.parquet")
    assert len(read(folder / "x.parquet", skip_bad=True).rows) == 4


def test_tuning_and_probes_see_the_same_pixels(tmp_path: Path) -> None:
    turned = Image.new("RGB", (24, 12), "red")
    turned.paste("blue", (0, 0, 12, 12))
    exif = turned.getexif()
    exif[0x0112] = 6
    folder = chats(tmp_path).parent
    turned.save(folder / "exif.png", exif=exif)
    Image.fromarray(np.full((24, 24, 4), (0, 0, 0, 0), np.uint8)).save(folder / "clear.png")
    Image.fromarray(np.full((24, 24), 40_000, np.uint16)).save(folder / "deep.png")
    for name in ("exif.png", "clear.png", "deep.png"):
        file = chats(tmp_path, image=name)
        rows = [{"image": (folder / name).read_bytes(), "conversations": CHAT}]
        pq.write_table(pa.Table.from_pylist(rows), folder / "x.parquet")
        expected = read_picture(folder / name, 24)
        for data in (read(file), read(folder / "x.parquet")):
            np.testing.assert_array_equal(np.asarray(data.open(data.rows[-1]["images"][0])), expected, err_msg=name)


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
def test_files_as_editors_save_them(mark: str, tmp_path: Path) -> None:
    file = chats(tmp_path, **said("<image>\nw10\u2028w11", "yes"))
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    expected = read(file).fingerprint
    text = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    file.write_bytes(text.encode(mark))
    assert read(file).fingerprint == expected
    file.unlink()
    (tmp_path / "chats.json").write_bytes(json.dumps(rows, ensure_ascii=False).encode(mark))
    assert read(tmp_path / "chats.json").fingerprint == expected


def test_changed_pictures_are_another_run(tmp_path: Path) -> None:
    file = chats(tmp_path / "data")
    before = read(file).fingerprint
    assert read(tmp_path / "data").fingerprint == before
    assert read(f"{tmp_path / 'data'}/").name == read(tmp_path / "data").name
    picture(70).save(tmp_path / "data" / "2.png")
    assert read(file).fingerprint != before


def test_a_tokenizer_without_a_token_to_pad_with(tmp_path: Path) -> None:
    saved("llava", tmp_path / "base")
    config = json.loads((tmp_path / "base" / "tokenizer_config.json").read_text())
    (tmp_path / "base" / "tokenizer_config.json").write_text(
        json.dumps({name: value for name, value in config.items() if name != "pad_token"})
    )
    file = chats(tmp_path / "data", **said("<image>\nw10 w11 w12", "yes"))
    model = load(str(tmp_path / "base"))
    assert model.processor.tokenizer.pad_token_id is None
    out = tune(model, read(file), tmp_path / "out", settings=QUICK)
    assert load(str(out)).processor.tokenizer.pad_token_id is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0, -1])
@pytest.mark.parametrize("name", ["rate", "epochs"])
def test_what_is_no_number_to_train_with_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} = .*: a number above 0 is accepted"):
        Settings(**{name: value})


@pytest.mark.parametrize(("field", "option"), TOLD.items())
def test_a_field_of_trl_does_not_undo_an_option(field: str, option: str) -> None:
    assert field in SFTConfig.__dataclass_fields__ or field.endswith("checkpointing")
    with pytest.raises(ConfigError, match=f"option {field} is said by {option}"):
        Settings(options={field: 1})
