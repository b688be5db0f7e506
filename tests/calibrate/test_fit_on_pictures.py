"""`bapa fit --probe`: pictures of a probe, laid out anew, go through the model's own encoder."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import bapa
from bapa.attach import scheme_of
from bapa.calibrate import calibrate
from bapa.calibrate import guarded as guarded_by
from bapa.calibrate.fit import Batch, _best, following
from bapa.calibrate.session import Session, part
from bapa.calibrate.words import Fit, fit, learn
from bapa.calibrate.words.guards import Guards, judged
from bapa.calibrate.words.names import NAMES
from bapa.calibrate.words.pictures import named, readers
from bapa.calibrate.words.reader import MENTIONS, OPENINGS, halved
from bapa.checkpoints import Loaded, load
from bapa.checkpoints.chat import Chat
from bapa.cli.app import app
from bapa.errors import ConfigError, RunError
from bapa.files import read_json
from bapa.inference.forward import Forward
from bapa.inference.prompts import Prompts
from bapa.probe import Design, Probe, build
from bapa.probe.compose import Pixels
from bapa.report import fitted as page
from bapa.stats import Settings

SMALL = {"steps": 1, "picture_steps": 2, "grids": 6}
CELL = 24


def colour(number: int) -> tuple[int, int, int]:
    return (number * 3, 255 - number * 3, number * 89 % 256)


def drawn(folder: Path, names: tuple[str, ...]) -> str:
    """A folder of one plain picture for each name, in a colour of its own; the first has a second picture."""
    folder.mkdir()
    lines = []
    for number, name in enumerate((*names, names[0])):
        Image.new("RGB", (CELL, CELL), colour(number)).save(folder / f"{number}.png")
        lines.append({"file_name": f"{number}.png", "caption": f"A {name}."})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    return str(folder)


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    home = tmp_path_factory.mktemp("named")
    return build(drawn(home / "pictures", NAMES[:70]), home / "probe", Design(cell=CELL))


@pytest.fixture(scope="module")
def on_words(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("on-words") / "out"
    fit(load(str(home)), out, steps=1, grids=6)
    return out


@pytest.fixture(scope="module")
def on_both(home: Path, probe: Probe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("on-both") / "out"
    fit(load(str(home)), out, probe=probe, **SMALL)
    return out


def test_names_are_the_captions_without_article_and_full_stop(probe: Probe) -> None:
    found = named(probe)
    assert {*found} == {*NAMES[:70]}
    assert sorted(map(len, found.values())) == [*[1] * 69, 2]
    assert len(found[NAMES[0]]) == 2


def test_every_cell_shows_its_name(home: Path, probe: Probe) -> None:
    words, pictures = readers(load(str(home)), probe)
    grids = torch.tensor([[*range(1, 10)], [*range(9, 0, -1)]])
    canvases = pictures.drawn(grids)
    assert canvases.shape == (2, 3 * CELL, 3 * CELL, 3)
    middles = canvases[:, CELL // 2 :: CELL, CELL // 2 :: CELL].flatten(1, 2)
    for grid, row in zip(grids.tolist(), middles.tolist(), strict=True):
        assert row == [[*colour(NAMES.index(words.names[name]))] for name in grid]
    assert torch.equal(canvases, pictures.drawn(grids)), "the same grid shows the same pictures"


def test_the_others_are_told_by_the_same_names(home: Path, probe: Probe) -> None:
    _, pictures = readers(load(str(home)), probe)
    some = pictures.others()
    numbers = torch.tensor([n for n in range(70) if n not in pictures.half])
    assert some.names == [pictures.names[n] for n in numbers]
    assert len(some.half) == 0
    grid = torch.arange(9)[None]
    assert torch.equal(some.drawn(grid), pictures.drawn(numbers[grid]))
    with torch.no_grad():
        whole = pictures.naming(pictures.drawn(numbers[grid]), OPENINGS)
        assert torch.equal(some.naming(some.drawn(grid), OPENINGS), whole[..., numbers])


def test_a_name_is_in_the_same_half_of_every_list() -> None:
    """So that no name that a fit saw as a word judges as a picture."""
    half = {NAMES[n] for n in halved(NAMES)}
    turned = [*reversed(NAMES[:50])]
    assert {turned[n] for n in halved(turned)} == half & {*turned}
    assert 0.4 < len(half) / len(NAMES) < 0.6


def test_pictures_are_read_as_the_model_reads_them(home: Path, probe: Probe) -> None:
    """What a plain forward says to the same canvas and prompt, one after the other; of words it says something else."""
    loaded = load(str(home))
    words, pictures = readers(loaded, probe)
    grids = torch.stack([torch.arange(9), torch.arange(20, 29)])
    canvases = pictures.drawn(grids)
    with torch.no_grad():
        found = pictures.naming(canvases, OPENINGS)
        assert not torch.allclose(found, words.naming(words.drawn(grids), OPENINGS), atol=1e-3)
        after = pictures.mentioning(grids[0], MENTIONS[0])
    for row, canvas in zip(found, canvases.numpy(), strict=True):
        for said, (question, begun) in zip(row, OPENINGS, strict=True):
            plain = _plainly(loaded, probe, canvas, question, begun)
            assert torch.allclose(said, plain[pictures.token], atol=1e-4)
    question, begun = MENTIONS[0]
    plain = _plainly(loaded, probe, canvases[0].numpy(), question, begun.format(thing=pictures.names[4]))
    assert torch.allclose(after[4], plain[pictures.token[:9]], atol=1e-4)


def _plainly(loaded: Loaded, probe: Probe, canvas: Pixels, question: str, begun: str) -> torch.Tensor:
    chat = Chat(opening=begun)
    prompts = Prompts(loaded.processor, (probe.height, probe.width), chat=chat)
    return Forward(loaded.model, prompts, 0).alone(canvas, question).float().log_softmax(-1)


def test_the_fit_on_pictures_begins_where_that_on_words_ends(on_words: Path, on_both: Path) -> None:
    found = read_json(on_both / "fit" / "fit.json")
    assert [*found["fits"]] == ["words", "pictures"]
    assert found["rule"] == found["fits"]["pictures"] != found["fits"]["words"]
    assert found["fits"]["words"] == read_json(on_words / "fit" / "fit.json")["rule"]
    assert [*found["rules"]] == [*found["pictures"]["rules"]]
    assert [*found["rules"]][-2:] == [*found["fits"].values()]
    assert found["pictures"]["names"] == 70 - len(halved(NAMES[:70]))
    scheme = scheme_of(bapa.from_pretrained(on_both))
    assert scheme is not None
    assert scheme.label == found["rule"]


def test_a_model_under_a_fitted_rule_goes_on_from_there(
    on_words: Path, on_both: Path, probe: Probe, tmp_path: Path
) -> None:
    """The same shares as in one go: native positions are the model's without the rule that it stands under."""
    standing = load(str(on_words))
    assert learn.fitted_before(standing.model) == read_json(on_words / "fit" / "fit.json")["rule"]
    found = fit(standing, tmp_path / "out", probe=probe, **SMALL).found
    assert [*found["fits"]] == ["before", "pictures"]
    whole = read_json(on_both / "fit" / "fit.json")
    assert found["rule"] == whole["rule"]
    assert found["rules"] == whole["rules"]
    with bapa.balanced(standing.model, "bapa:blend=0.6"):
        assert learn.fitted_before(standing.model) is None
    again = fit(standing, tmp_path / "more", steps=1, grids=6).found
    assert [*again["fits"]] == ["before", "words"]
    assert len({*again["fits"].values()}) == 2


def test_a_model_that_stands_under_another_rule_is_another_fit(
    home: Path, on_words: Path, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bapa.calibrate.words import runner

    monkeypatch.setattr(runner, "judged", lambda *given: pytest.fail("stopped here"))
    loaded = load(str(home))
    with pytest.raises(pytest.fail.Exception):
        fit(loaded, tmp_path / "out", steps=1, grids=6)
    bapa.balance(loaded.model, read_json(on_words / "fit" / "fit.json")["rule"])
    with pytest.raises(RunError, match="--out"):
        fit(loaded, tmp_path / "out", steps=1, grids=6)


def test_stopped_between_words_and_pictures_it_goes_on(
    home: Path, probe: Probe, on_both: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bapa.calibrate.words import runner

    learned = runner.fitted

    def stopped(*given: object, **options: object) -> str:
        if options.get("pictures") is not None:
            raise KeyboardInterrupt
        return learned(*given, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "fitted", stopped)
    with pytest.raises(KeyboardInterrupt):
        fit(load(str(home)), tmp_path / "out", probe=probe, **SMALL)
    asked: list[object] = []
    monkeypatch.setattr(
        runner, "fitted", lambda *given, **options: asked.append(options["pictures"]) or learned(*given, **options)
    )
    found = fit(load(str(home)), tmp_path / "out", probe=probe, **SMALL).found
    assert len(asked) == 1, "the fit on words was there"
    assert found["rule"] == read_json(on_both / "fit" / "fit.json")["rule"]


def test_the_command_tells_words_and_pictures_apart(home: Path, probe: Probe, tmp_path: Path) -> None:
    arguments = ["fit", str(home), "--probe", str(probe.path), "--out", str(tmp_path / "out")]
    arguments += ["--steps", "1", "--picture-steps", "1", "--grids", "6"]
    shown = CliRunner().invoke(app, arguments, terminal_width=10_000)
    assert shown.exit_code == 0, shown.output
    said = " ".join(shown.stdout.split())
    assert "On grids of pictures that it was not fitted on" in said
    on_words, on_pictures = page.tables(read_json(tmp_path / "out" / "fit" / "fit.json"))
    rules = ["native", "bapa", "bapa:layers=20%-100%,blend=0.6", "fitted on words", "fitted on pictures"]
    assert [*on_words.columns[0].cells] == [*on_pictures.columns[0].cells] == rules
    refused = CliRunner().invoke(app, [*arguments, "--picture-steps", "0"])
    assert refused.exit_code == 2


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return build("digits", tmp_path_factory.mktemp("where") / "probe", Design(cell=CELL, task="where", items=16))


@pytest.fixture(scope="module")
def guarded(home: Path, probe: Probe, where: Probe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("guarded") / "out"
    fit(load(str(home)), out, probe=probe, guards=[where], **SMALL)
    return out


def test_a_guarded_fit_is_another_and_says_what_is_kept(on_both: Path, guarded: Path, where: Probe) -> None:
    before, found = (read_json(out / "fit" / "fit.json") for out in (on_both, guarded))
    assert found["fits"]["words"] == before["fits"]["words"], "words have neighbours in their loss"
    assert found["rule"] != before["rule"]
    (guard,) = found["guards"]
    assert guard["probe"]["task"] == "where"
    assert [its["candidate"] for its in guard["rules"]] == [*found["rules"]]
    assert {its["items"] for its in guard["rules"]} == {8}
    assert guard["rules"][0]["kept"]["value"] == 1
    *_, shown = page.tables(found)
    assert shown.title == "Right answers to where, on items that no fit saw"
    assert [*shown.columns[0].cells][-2:] == ["fitted on words", "fitted on pictures"]
    assert any("where, on items that it was not fitted on" in one for one in page.sentences(Fit(guarded, found)))


def test_every_question_about_the_first_half_of_the_items_is_guarded(home: Path, where: Probe, tmp_path: Path) -> None:
    loaded = load(str(home))
    guards = Guards.of(loaded, [where, where], tmp_path)
    rows = Session(loaded, part(where, 0, 8), tmp_path, 18).ask("all", 0, 8, ["native"])
    for its in guards.asked:
        answered = [
            _best(row, told[0]) == told[1]
            for batch in its
            for row, told in zip(following(loaded.model, batch), batch.choices, strict=True)
            if told
        ]
        assert (len(answered), sum(answered)) == (len(rows), rows["correct"].sum())
    drawn = guards(torch.Generator().manual_seed(1))
    assert [name for known in drawn for name in known()] == ["0", "0", "1", "1"]


def test_a_guard_is_asked_behind_what_the_answers_to_it_begin_with(
    home: Path, where: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = Chat(opening="there is")
    monkeypatch.setattr(guarded_by, "addressed", lambda model, probe: opening if probe is where else Chat())
    loaded = load(str(home))
    behind = loaded.processor.tokenizer(opening.opening, add_special_tokens=False)["input_ids"]
    guards = Guards.of(loaded, [where], tmp_path)
    for batch in guards.asked[0]:
        for ids, mask in zip(batch.inputs["input_ids"], batch.inputs["attention_mask"], strict=True):
            assert ids[mask.bool()][-len(behind) :].tolist() == behind
    (told,) = judged(loaded, [where], ["native", "bapa"], tmp_path, Settings())
    assert read_json(tmp_path / "guard-1" / "progress" / "config.json")["model"]["opening"] == opening.opening
    assert [rule["candidate"] for rule in told["rules"]] == ["native", "bapa"]


@pytest.mark.parametrize("task", ["name", "match"])
def test_a_guard_beside_names_is_asked_behind_an_opening_of_its_own(
    home: Path, probe: Probe, where: Probe, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded_by, "addressed", lambda model, probe: Chat(opening="there is"))
    asked = named_task(tmp_path) if task == "name" else probe
    calibrate(load(str(home)), asked, tmp_path / "out", items=4, held_out=4, steps=3, guards=[where])
    (told,) = (tmp_path / "out").rglob("guard-1/progress/config.json")
    assert read_json(told)["model"].get("opening", "") == ("there is" if task == "name" else "")


def test_how_much_is_known_is_the_mean_probability_of_the_right_choice() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, 9.0], [9.0, 9.0, 9.0, 9.0], [3.0, 0.0, 0.0, 0.0]])
    one, two, three = (torch.tensor(ids) for ids in ([0], [1], [2, 3]))
    found = Batch({}, [([one, two], 1), None, ([three, one], 0)]).right(logits)
    wanted = [math.e / (1 + math.e), 2 / (2 + math.e**3)]
    assert float(found) == pytest.approx(sum(wanted) / 2)


def test_guards_that_cannot_be_judged_are_refused(home: Path, probe: Probe, where: Probe, tmp_path: Path) -> None:
    loaded = load(str(home))
    with pytest.raises(ConfigError, match="add --probe PROBE"):
        fit(loaded, tmp_path / "out", guards=[where], **SMALL)
    with pytest.raises(ConfigError, match="has 15 items, and a side-effect probe of a fit needs 16"):
        fit(loaded, tmp_path / "out", probe=probe, guards=[part(where, 0, 15)], **SMALL)
    with pytest.raises(ConfigError, match="of task match, is no side-effect probe"):
        fit(loaded, tmp_path / "out", probe=probe, guards=[probe], **SMALL)
    with pytest.raises(ConfigError, match="learns from the answers to questions"):
        fit(loaded, tmp_path / "out", probe=probe, guards=[named_task(tmp_path)], **SMALL)
    assert not (tmp_path / "out").exists()


def named_task(folder: Path) -> Probe:
    return build(drawn(folder / "named", NAMES[:70]), folder / "N", Design(cell=CELL, task="name", items=20))


def test_probes_of_other_things_are_refused(home: Path, probe: Probe, tmp_path: Path) -> None:
    loaded, pictures = load(str(home)), drawn(tmp_path / "few", NAMES[:30])
    few = build(pictures, tmp_path / "P", Design(cell=CELL))
    with pytest.raises(ConfigError, match=r"of 30 captions .* 30 by one token"):
        fit(loaded, tmp_path / "out", probe=few, **SMALL)
    square = build(pictures, tmp_path / "Q", Design(rows=2, cols=2, cell=CELL))
    with pytest.raises(ConfigError, match="2 x 2 slots of kind grid"):
        fit(loaded, tmp_path / "out", probe=square, **SMALL)
    with pytest.raises(ConfigError, match="lies in the probe"):
        fit(loaded, probe.path / "out", probe=probe, **SMALL)
    assert not (tmp_path / "out").exists()
    assert not (probe.path / "out").exists()
