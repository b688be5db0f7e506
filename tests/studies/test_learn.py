"""Teaching is the same whether it was interrupted or not, and goes on from the adapter it is given."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import load_file

from bapa.files import read_json
from studies.pretrained.scenes import TOKENS, Asker
from studies.taught import learn
from studies.taught.learn import STATE, Teaching, teach
from studies.taught.lessons import Lesson, Subject
from tests.tiny import FAMILIES
from tests.tiny.base import FIRST_TEXT, IMAGE

PREFIX, ANSWERS = [FIRST_TEXT, FIRST_TEXT + 1], [FIRST_TEXT + 2, FIRST_TEXT + 3, FIRST_TEXT + 4]
TEACHING = Teaching(steps=6, batch=2, rank=2, warm_up=1, every=2, tried=2, enough=float("inf"))


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Any:
    family = FAMILIES["llava"]
    width = family.build().get_input_embeddings().embedding_dim
    pack: Any = SimpleNamespace(prefix=PREFIX, image=IMAGE, end=0)

    def lesson(_: Any, subject: Subject, count: int, generator: torch.Generator) -> Lesson:
        said = torch.randint(3, (count,), generator=generator).tolist()
        rows = Asker.pack(pack, [[([FIRST_TEXT + 5], [ANSWERS[one]], 0)] for one in said])
        image = torch.randn(count, TOKENS, width, generator=generator)
        return Lesson(rows, image, torch.arange(count), torch.tensor([ANSWERS] * count))

    monkeypatch.setattr(learn, "lesson", lesson)
    monkeypatch.setattr(learn, "load", lambda *_, dtype, **__: SimpleNamespace(model=family.build().to(dtype)))
    loaded = SimpleNamespace(name="tiny", fingerprint="a-b-float32")
    bench = SimpleNamespace(asker=SimpleNamespace(prefix=PREFIX), dtype=torch.bfloat16)
    return SimpleNamespace(loaded=loaded, bench=bench)


def adapter(home: Path) -> dict[str, torch.Tensor]:
    return load_file(home / SAFETENSORS_WEIGHTS_NAME)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_teaching_that_was_interrupted_ends_with_the_same_adapter(
    reader: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = teach(reader, tmp_path / "whole", 3, teaching=TEACHING)
    taken: list[int] = []
    take = learn.Pupil.take

    def stopped(pupil: learn.Pupil) -> float:
        if pupil.step == 3:
            raise KeyboardInterrupt
        taken.append(pupil.step)
        return take(pupil)

    monkeypatch.setattr(learn.Pupil, "take", stopped)
    with pytest.raises(KeyboardInterrupt):
        teach(reader, tmp_path / "again", 3, teaching=TEACHING)
    assert taken == [0, 1, 2]
    assert (tmp_path / f"again.{STATE}").is_file()
    assert not (tmp_path / "again").exists()
    monkeypatch.setattr(learn.Pupil, "take", take)
    again = teach(reader, tmp_path / "again", 3, teaching=TEACHING)
    assert same(adapter(whole), adapter(again))
    assert not same(adapter(whole), adapter(teach(reader, tmp_path / "other", 4, teaching=TEACHING)))
    assert not (tmp_path / f"again.{STATE}").exists()
    tried = read_json(tmp_path / "again.json")["tried"]
    assert [one["step"] for one in tried] == [2, 4, 6]
    assert [one["right"] for one in tried] == [one["right"] for one in read_json(tmp_path / "whole.json")["tried"]]


def test_teaching_goes_on_from_the_adapter_that_it_is_given(reader: Any, tmp_path: Path) -> None:
    still = Teaching(steps=1, batch=2, rank=2, rate=0.0, every=1, tried=2, enough=float("inf"))
    first = teach(reader, tmp_path / "first", 3, teaching=TEACHING)
    kept = teach(reader, tmp_path / "kept", 5, teaching=still, begun=first)
    anew = teach(reader, tmp_path / "anew", 5, teaching=still)
    assert same(adapter(first), adapter(kept))
    assert not same(adapter(first), adapter(anew))


def test_a_folder_that_is_there_is_not_taught_again(reader: Any, tmp_path: Path) -> None:
    home = teach(reader, tmp_path / "first", 3, teaching=TEACHING)
    before = adapter(home)
    assert same(before, adapter(teach(reader, home, 9, teaching=TEACHING)))


def test_positions_are_those_of_the_scheme_taught_under(reader: Any, tmp_path: Path) -> None:
    taught = {
        scheme: adapter(teach(reader, tmp_path / scheme, 3, Subject(scheme=scheme), TEACHING))
        for scheme in ("native", "bapa")
    }
    assert not same(taught["native"], taught["bapa"])
