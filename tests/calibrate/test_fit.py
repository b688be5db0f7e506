"""Shares fitted to a model: what is fitted lowers the loss, and the model stays what it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from bapa.attach import balance, balanced, scheme_of
from bapa.calibrate import calibrate, fit
from bapa.calibrate.session import Session
from bapa.checkpoints import Loaded, load
from bapa.errors import ConfigError, SchemeError
from bapa.probe import Design, build
from bapa.schemes import parse
from bapa.schemes.shares import brief, read_shares, written

ITEMS = 2


@pytest.fixture(scope="module")
def bottom() -> Loaded:
    return load("reference:bottom")


@pytest.fixture(scope="module")
def matches(bottom: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("fit")
    return Session(bottom, build("digits", folder / "probe", Design(items=6, seed=5)), folder / "rounds", 18)


def loss(session: Session, rule: str) -> float:
    model = session.model.model
    with torch.no_grad(), balanced(model, rule):
        each = [batch.loss(fit.following(model, batch)) for batch in fit.batches(session, ITEMS)]
    return float(torch.stack(each).mean())


def test_a_fit_answers_better_and_leaves_the_model_alone(
    bottom: Loaded, matches: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a model that a shared position evens, as it was skewed on purpose."""
    monkeypatch.setattr(fit, "RULES", ("bapa",))
    monkeypatch.setattr(fit, "STEPS", 12)
    before = {name: value.clone() for name, value in bottom.model.state_dict().items()}
    wanting = [parameter.requires_grad for parameter in bottom.model.parameters()]
    (label,) = fit.fitted(matches, [], ITEMS, 0, tmp_path / "one.json")
    assert parse(label).label == label
    assert loss(matches, label) < 0.8 * loss(matches, "native"), (loss(matches, label), loss(matches, "native"))
    assert scheme_of(bottom.model) is None
    assert wanting == [parameter.requires_grad for parameter in bottom.model.parameters()]
    assert all(torch.equal(value, before[name]) for name, value in bottom.model.state_dict().items())
    assert fit.fitted(matches, [], ITEMS, 0, tmp_path / "two.json") == [label], "the same seed fits the same"


def test_gradients_are_those_of_the_shares(bottom: Loaded, matches: Session) -> None:
    """Against the difference that a small step makes, where that difference is largest."""
    model, batch = bottom.model, next(fit.batches(matches, ITEMS))
    layers, heads, pairs = fit.sizes(model)
    wanted = [torch.full((heads * pairs,), 0.4, requires_grad=True) for _ in layers]

    def lost(shares: list[torch.Tensor]) -> torch.Tensor:
        with balanced(model, f"bapa:shares={fit.whole(layers, heads)}"), fit.frozen(model):
            fit.attention.mix(model, dict(zip(layers, shares, strict=True)))
            return batch.loss(fit.following(model, batch))

    gradients = torch.autograd.grad(lost(wanted), wanted)
    layer = max(layers, key=lambda one: float(gradients[one].abs().max()))
    place = int(gradients[layer].abs().argmax())
    moved = [[one.detach().clone() for one in wanted] for _ in range(2)]
    for shares, step in zip(moved, (0.01, -0.01), strict=True):
        shares[layer][place] += step
    with torch.no_grad():
        difference = (lost(moved[0]) - lost(moved[1])) / 0.02
    assert float(gradients[layer][place]) == pytest.approx(float(difference), rel=0.05)


def test_of_a_guard_only_what_is_natively_right_counts(bottom: Loaded, matches: Session) -> None:
    model = bottom.model
    batch = next(fit.batches(matches, ITEMS))  # what is there, asked in every cell: the skewed model misses some
    with torch.no_grad():
        (kept,) = fit._natively_right(model, batch)
        logits = fit.following(model, batch)
    right = [
        told is not None and fit._best(row, told[0]) == told[1] for row, told in zip(logits, batch.choices, strict=True)
    ]
    assert 0 < sum(right) < len(right)
    assert [told is not None for told in kept.choices] == right


def test_what_is_right_natively_is_asked_so_of_a_model_that_records_a_rule(tmp_path: Path) -> None:
    model = load("reference:places")
    where = build("digits", tmp_path / "probe", Design(task="where", items=4, seed=6))
    session = Session(model, where, tmp_path / "rounds", 18)

    def right() -> list[bool]:
        _, known = fit._asked(session, [session], 4)
        return [told is not None for batch in known for told in batch.choices]

    natively = right()
    balance(model.model, "bapa")  # as a folder whose config records it loads
    assert right() == natively
    assert str(scheme_of(model.model)) == "bapa"


def test_digits_are_read_as_they_are_written() -> None:
    text = written({2: [0.0, 1.0, 0.34], 0: [0.0, 0.01, 0.0], 1: [0.66, 0.5, 0.0]})
    assert text == "1:a80+2:0f5"
    read = read_shares(text)
    assert read is not None
    assert read.layers == ((1, "a80"), (2, "0f5"))


def test_pages_show_long_shares_by_layers_and_a_digest() -> None:
    long, other = (
        "bapa:shares=0:0123456789abcdef+12:fedcba9876543210",
        "bapa:shares=0:0123456789abcdee+12:fedcba9876543210",
    )
    assert brief(long).startswith("bapa:shares=0+12:…")
    assert brief(long) != brief(other)
    assert brief(f"{long},distance=2") == f"{brief(long)},distance=2"
    assert brief("bapa:shares=0:0f00") == "bapa:shares=0:0f00"


def test_each_fit_is_kept_as_it_ends(matches: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended in the second of two, the same call goes on with that one."""
    begun: list[str] = []

    def fitting(model: object, asked: object, rule: str, seed: int) -> dict[int, torch.Tensor]:
        begun.append(rule)
        if begun == ["bapa", "native"]:
            raise KeyboardInterrupt
        return {0: torch.tensor([1.0, 0.0, 0.0, 0.0])}

    monkeypatch.setattr(fit, "RULES", ("bapa", "native"))
    monkeypatch.setattr(fit, "_fit", fitting)
    monkeypatch.setattr(fit, "_label", lambda rule, shares: f"{rule}-fitted")
    with pytest.raises(KeyboardInterrupt):
        fit.fitted(matches, [], ITEMS, 0, tmp_path / "fitted.json")
    for _ in range(2):
        assert fit.fitted(matches, [], ITEMS, 0, tmp_path / "fitted.json") == ["bapa-fitted", "native-fitted"]
    assert begun == ["bapa", "native", "native"]


def test_where_nothing_can_be_fitted_it_says_what_to_leave_out(
    matches: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "sizes", lambda model: ([0, 1, 2, 3], 3, 16))
    with pytest.raises(SchemeError, match=r"reference:bottom, so leave out --fit: shares have 48 digits"):
        fit.fitted(matches, [], ITEMS, 0, tmp_path / "fitted.json")


def test_a_fit_needs_a_promise(bottom: Loaded, matches: Session, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"say what share of native .* --keep 0.9 --guard WHERE"):
        calibrate(bottom, matches.probe, tmp_path / "out", items=4, fit=True)
