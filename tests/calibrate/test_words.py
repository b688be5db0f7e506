"""Rules fitted on grids of words: what is learned is what is measured, and an interruption changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bapa.attach import scheme_of
from bapa.calibrate.words import fit, learn
from bapa.calibrate.words.judge import _errors, _evenness, _shares, judged
from bapa.calibrate.words.reader import MENTIONS, Reader, Wording, embedded, reader
from bapa.checkpoints import load
from bapa.errors import ConfigError, ModelError
from bapa.inference.prompts import Prompt
from bapa.schemes import parse
from studies.words import neighbours
from tests.inference.test_forward import FamilyPrompts
from tests.tiny import FAMILIES
from tests.tiny.base import FIRST_TEXT, LAST_TEXT

FAMILY = FAMILIES["llava"]


@pytest.fixture(scope="module")
def tiny() -> Reader:
    """A tiny model that reads words which mean nothing to it."""
    prompts, model = FamilyPrompts(FAMILY), FAMILY.build()
    token = torch.arange(FIRST_TEXT, LAST_TEXT)

    count = int((prompts.inputs([1.0], "what")["input_ids"] == model.config.image_token_id).sum())

    def prompt(wording: Wording) -> Prompt:
        return prompts(" ".join(wording))

    def shown(image: torch.Tensor, asked: Prompt) -> dict[str, object]:
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        ids = torch.tensor(asked.ids).expand(len(image), -1)
        features = BaseModelOutputWithPooling(pooler_output=list(image))
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_encoder_outputs": {"image": features}}

    drawn = embedded(model, token, torch.arange(count) * 9 // count)
    return Reader(model, [f"w{one}" for one in token.tolist()], token, prompts, prompt, drawn, shown)  # type: ignore[arg-type]


@pytest.mark.parametrize("relation", learn.RELATIONS)
def test_what_is_guarded_is_what_the_study_measures(relation: str) -> None:
    """And far apart, the smooth share of neighbours that score above others is the share itself."""
    logs = torch.randn(3, 9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wanted = neighbours.known(logs.numpy())[relation]
    for one, share in zip(logs, wanted, strict=True):
        assert float(learn.above(learn.centred(one), relation, smooth=False)) == pytest.approx(share)
        assert float(learn.above(1e6 * learn.centred(one), relation, smooth=True)) == pytest.approx(share, abs=1e-6)


def test_grids_are_of_every_second_name_alone(tiny: Reader) -> None:
    drawn = learn.Learner(tiny, torch.Generator().manual_seed(1)).drawn(50)
    assert drawn.shape == (50, 9)
    assert (drawn % 2 == 0).all()
    assert all(len(set(row)) == 9 for row in drawn.tolist())


def test_names_score_above_absent_ones_of_the_same_half(tiny: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """A map that is right in all cells but one: the smooth share says so, and names never drawn do not count."""
    count = len(tiny.token)
    learner = learn.Learner(tiny, torch.Generator().manual_seed(1), usual=[torch.zeros(count)])
    grids = learner.drawn(4)
    scores = torch.zeros(4, count).scatter(1, grids, 50.0)
    scores[torch.arange(4), grids[:, 4]] = -50.0  # the middle
    scores[:, 1::2] = 1000.0  # of the other half
    monkeypatch.setattr(learn.Learner, "named", lambda *_: scores)
    share, loss = learner.naming(grids, 0)
    assert share.round().tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 1]
    assert loss.argmax() == 4


def test_a_fit_that_was_stopped_goes_on_as_it_was(
    tiny: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn, "KEPT", 2)
    before = {name: value.clone() for name, value in tiny.model.state_dict().items()}
    kept = tmp_path / "shares.safetensors"
    learn.fitted(tiny, steps=3, kept=kept)
    resumed, whole = learn.fitted(tiny, steps=5, kept=kept), learn.fitted(tiny, steps=5)
    assert resumed == whole
    assert parse(whole).label == whole
    assert whole != learn.fitted(tiny, steps=5, seed=1), "other grids fit another rule"
    assert scheme_of(tiny.model) is None
    assert all(torch.equal(value, before[name]) for name, value in tiny.model.state_dict().items())


def test_rules_are_judged_on_the_same_grids(tiny: Reader) -> None:
    found = judged(tiny, ["native", "bapa:blend=0", "bapa"], 6, 0, 0.95)
    assert found["native"] == found["bapa:blend=0"]
    assert found["native"]["cells"] != found["bapa"]["cells"]
    assert all(len(found["bapa"]["known"][form]) == len(learn.RELATIONS) for _, form in MENTIONS)


def test_a_planted_map_is_found() -> None:
    rng = np.random.default_rng(1)
    found = _evenness(np.linspace(0.6, 0.8, 9) + rng.normal(0, 0.05, (60, 9)), 0.95)
    assert found["range"]["low"] < 0.2 < found["range"]["high"]
    assert found["worst"]["low"] < 0.6 < found["worst"]["high"]
    values = rng.normal(0, 1, 40)
    assert np.sqrt((_errors(values) ** 2).sum()) == pytest.approx(values.std(ddof=1) / np.sqrt(40))


def test_shares_count_absent_names_alone() -> None:
    logs = torch.zeros(2, 20)
    drawn = torch.stack([torch.arange(9), torch.arange(9, 18)])
    logs[0, :9], logs[1, 9:18] = 1.0, -1.0
    shares = _shares(logs, drawn)
    assert (shares[0] == 1).all()
    assert (shares[1] == 0).all()


def test_who_cannot_be_fitted_is_told_why(tmp_path: Path) -> None:
    loaded = load("reference:top")
    with pytest.raises(ModelError, match="common English nouns"):
        reader(loaded)
    with pytest.raises(ConfigError, match="6 grids"):
        fit(loaded, tmp_path / "out", grids=2)
