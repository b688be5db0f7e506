"""Rules fitted on grids of words: what is learned is what is measured, and an interruption changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bapa.attach import balanced, scheme_of
from bapa.calibrate.fit import whole
from bapa.calibrate.words import fit, learn
from bapa.calibrate.words.judge import _errors, _evenness, _knowing, _map, _shares, judged
from bapa.calibrate.words.reader import MENTIONS, Reader, Wording, _along, _instead, asking, embedded, reader
from bapa.checkpoints import load
from bapa.errors import ConfigError, ModelError, RunError, UnsupportedModelError
from bapa.inference.forward import Asked, Forward
from bapa.inference.prompts import Prompt
from bapa.schemes import parse
from studies.words import neighbours
from tests.inference.test_forward import FamilyPrompts
from tests.tiny import FAMILIES
from tests.tiny.base import FIRST_TEXT, LAST_TEXT


def reader_of(name: str) -> Reader:
    """A tiny model that reads words which mean nothing to it."""
    prompts, model = FamilyPrompts(FAMILIES[name]), FAMILIES[name].build()
    forward = Forward(model, prompts, 0)  # type: ignore[arg-type]
    token = torch.arange(FIRST_TEXT, LAST_TEXT)
    seen = {count: forward.see(Asked(prompts.inputs([1.0] * count, "what"), [])).inputs for count in (1, 2, 6)}
    pooled = seen[1]["mm_encoder_outputs"]["image"].pooler_output
    count = len(pooled.flatten(0, -2) if isinstance(pooled, torch.Tensor) else torch.cat([*pooled]).flatten(0, -2))

    def prompt(wording: Wording) -> Prompt:
        return prompts(" ".join(wording))

    def shown(image: torch.Tensor, asked: Prompt) -> dict[str, object]:
        inputs = seen[len(image)]
        features = _instead(inputs["mm_encoder_outputs"]["image"], image)
        return {**asking(inputs, asked, len(image)), "mm_encoder_outputs": {"image": features}}

    drawn, half = embedded(model, token, torch.arange(count) * 9 // count), torch.arange(0, len(token), 2)
    return Reader(model, [f"w{one}" for one in token.tolist()], token, half, prompts, prompt, drawn, shown)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tiny() -> Reader:
    return reader_of("llava")


@pytest.mark.parametrize("relation", learn.RELATIONS)
def test_what_is_guarded_is_what_the_study_measures(relation: str) -> None:
    """And far apart, the smooth share of neighbours that score above others is the share itself."""
    logs = torch.randn(3, 9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wanted = neighbours.known(logs.numpy())[relation]
    for one, share in zip(logs, wanted, strict=True):
        assert float(learn.above(learn.centred(one), relation, smooth=False)) == pytest.approx(share)
        assert float(learn.above(1e6 * learn.centred(one), relation, smooth=True)) == pytest.approx(share, abs=1e-6)


def test_grids_are_of_the_names_that_fits_see_alone(tiny: Reader) -> None:
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


def lost(reader: Reader, rule: str) -> float:
    """What a fit lowers, on the grids that it draws, over both wordings."""
    learner = learn.Learner(reader, torch.Generator().manual_seed(0))
    drawn, near = learner.drawn(learn.GRIDS), learner.drawn(learn.MENTIONED)
    with torch.no_grad():
        others = learner.drawn(learn.MEANS).split(learn.GRIDS)
        learner.usual = [torch.cat([learner.named(some, n) for some in others]).mean(0) for n in range(2)]
        natively = [[learner.knowing(one, form) for one in near] for form in range(2)]
        with balanced(reader.model, rule):
            maps = [learner.naming(drawn, wording) for wording in range(2)]
            under = [[learner.knowing(one, form) for one in near] for form in range(2)]
    even = [learn.NAMED * loss.mean() - share.mean() + (share - share.mean()).norm() for share, loss in maps]
    kept = [
        max(float(before[name] - after[name] + learn.MARGIN), 0)
        for one, two in zip(natively, under, strict=True)
        for before, after in zip(one, two, strict=True)
        for name in learn.GUARDED
    ]
    return float(torch.stack(even).mean()) + learn.KEEP * sum(kept) / 2 / learn.MENTIONED


def test_a_fit_lowers_what_it_is_to_lower(tiny: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """On grids that do not change, so that a model which reads nothing can show it; uphill it gets worse."""
    drawn = learn.Learner.drawn

    def same(learner: learn.Learner, grids: int) -> torch.Tensor:
        return drawn(learn.Learner(learner.reader, torch.Generator().manual_seed(grids)), grids)

    monkeypatch.setattr(learn.Learner, "drawn", same)
    start = f"bapa:shares={whole([0, 1], 16).replace('f', '9')}"
    assert learn.sizes(tiny.model) == ([0, 1], 2, 8)
    before = lost(tiny, start)
    assert lost(tiny, learn.fitted(tiny, steps=12, start=start)) < before - 0.005
    monkeypatch.setattr(torch.optim.Adam, "step", uphill(torch.optim.Adam.step))
    assert lost(tiny, learn.fitted(tiny, steps=12, start=start)) > before + 0.005


def test_what_is_guarded_can_be_another_thing(tiny: Reader) -> None:
    """That one grid is answered as natively: a fit told to keep that moves further from the rule it begins with."""
    (grid,) = learn.Learner(tiny, torch.Generator().manual_seed(3)).drawn(1)
    with torch.no_grad():
        natively = tiny.mentioning(grid, MENTIONS[0])

    def alike() -> dict[str, torch.Tensor]:
        return {"alike": (-30 * (tiny.mentioning(grid, MENTIONS[0]) - natively).abs().mean()).exp()}

    def under(rule: str) -> float:
        with torch.no_grad(), balanced(tiny.model, rule):
            return float(alike()["alike"])

    start = f"bapa:shares={whole([0, 1], 16).replace('f', '9')}"
    told = [learn.fitted(tiny, steps=12, start=start, guard=lambda _, guard=guard: guard) for guard in ([alike], [])]
    assert under(told[0]) > under(told[1]) + 0.05


def uphill(step: Callable[..., Any]) -> Callable[..., Any]:
    def stepped(optimizer: torch.optim.Adam) -> Any:
        for group in optimizer.param_groups:
            for one in group["params"]:
                one.grad.neg_()
        return step(optimizer)

    return stepped


def test_numbers_that_are_not_finite_end_it_and_are_not_kept(
    tiny: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn, "KEPT", 1)
    naming, kept = learn.Learner.naming, tmp_path / "shares.safetensors"
    learn.fitted(tiny, steps=1, kept=kept)
    whole = kept.read_bytes()
    monkeypatch.setattr(learn.Learner, "naming", lambda *given: [one * torch.inf for one in naming(*given)])
    with pytest.raises(ModelError, match=r"step 2 of the fit gives numbers that are not finite$"):  # in float32 already
        learn.fitted(tiny, steps=2, kept=kept)
    assert kept.read_bytes() == whole


def test_layers_without_attention_take_no_share() -> None:
    """Qwen3.5 has linear attention in some layers; the others are fitted."""
    reader = reader_of("qwen3_5")
    layers, _, _ = learn.sizes(reader.model)
    assert 0 < len(layers) < reader.model.config.get_text_config().num_hidden_layers
    told = parse(learn.fitted(reader, steps=1)).effects.part.shares.layers
    assert {layer for layer, _ in told} <= {*layers}


@pytest.mark.parametrize("name", ["video_llama_3", "qwen2_5_omni_thinker"])
def test_models_that_answer_otherwise_from_a_cache_are_refused(name: str) -> None:
    with pytest.raises(UnsupportedModelError, match="as it answers each alone"):
        reader_of(name).checked()


def test_others_are_read_as_alone(tiny: Reader) -> None:
    assert tiny.checked() is tiny
    assert reader_of("qwen2_5_vl").checked()


@pytest.mark.parametrize("side", [3, 7, 8, 10, 16, 24])
def test_cells_are_of_one_size(side: int) -> None:
    along = _along(side)
    counts = torch.bincount(along[along >= 0], minlength=3)
    assert counts.tolist() == [side // 3] * 3
    inside = (along >= 0).nonzero()[:, 0]
    assert inside.tolist() == [*range(int(inside[0]), int(inside[-1]) + 1)]
    assert along[inside].tolist() == sorted(along[inside].tolist())
    assert abs(int(inside[0]) - (side - 1 - int(inside[-1]))) <= 1, "in the middle"


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
    uneven, noise = np.linspace(0.6, 0.8, 9), rng.normal(0, 0.05, (60, 9))
    found = _evenness(uneven + noise, _map(0.7 + rng.normal(0, 0.05, (60, 9))), 0.95)
    assert found["range"]["low"] < 0.2 < found["range"]["high"]
    assert found["worst"]["low"] < 0.6 < found["worst"]["high"]
    assert found["change"]["range"]["low"] < 0.2 < found["change"]["range"]["high"]
    assert found["change"]["worst"]["low"] < -0.1 < found["change"]["worst"]["high"] < 0
    values = rng.normal(0, 1, 40)
    assert np.sqrt((_errors(values) ** 2).sum()) == pytest.approx(values.std(ddof=1) / np.sqrt(40))


def test_what_is_kept_is_the_share_beyond_chance() -> None:
    rng = np.random.default_rng(1)
    native = torch.tensor(0.9 + rng.normal(0, 0.02, (2, len(learn.RELATIONS), 40)))
    native[0, 1] = 0.5 + torch.tensor(rng.normal(0, 0.1, 40)).clamp(-0.3, 0.3) - 0.05  # the left, not known
    under = 0.5 + (native - 0.5) / 2
    found = _knowing(under, native, 0.95)[MENTIONS[0][1]]
    assert found["left"]["kept"] is None
    assert found["right"]["kept"]["value"] == pytest.approx(0.5)
    assert found["right"]["auc"]["value"] == pytest.approx(0.7, abs=0.01)
    assert _knowing(native, native, 0.95)[MENTIONS[0][1]]["row"]["kept"]["low"] == 1


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


def test_what_a_fit_kept_and_is_damaged_is_named(tmp_path: Path) -> None:
    file = tmp_path / "shares-words.safetensors"
    save_file({"done": torch.tensor(10)}, file)
    assert learn.read_tensors(file, "done")["done"] == 10
    whole = file.read_bytes()
    for content, needed in ((whole[:20], ()), (b"", ()), (whole, ("draws",))):
        file.write_bytes(content)
        with pytest.raises(RunError, match=r"shares-words\.safetensors is damaged; delete it"):
            learn.read_tensors(file, *needed)
