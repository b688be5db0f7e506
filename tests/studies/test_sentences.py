"""Figures in README and docs: the same table on both pages, and sentences that say what the tables say."""

from __future__ import annotations

import re
from pathlib import Path

from bapa.stats.text import interval, percent
from studies.coded.page import STUDY as CODED
from studies.figures.page import COLUMNS, PAPER, README, STUDY
from studies.shuffled.page import STUDY as SHUFFLED
from studies.taught.page import STUDY as TAUGHT

ROOT = Path(__file__).parents[2]


def page(name: str) -> str:
    """A page on one line, without the marks of bold and code."""
    return re.sub(r"\s+", " ", re.sub(r"\*\*|`", "", (ROOT / name).read_text("utf-8")))


def marked(name: str, mark: str, heading: str = "") -> list[dict[str, str]]:
    """The rows of the table below ``<!-- mark: ... -->``, of the first below ``heading``, intervals left out."""
    text = (ROOT / name).read_text("utf-8").split(f"<!-- {mark}: ")[1].split("<!-- end of ")[0]
    text = next(part for part in text.partition(heading)[2].split("\n\n") if part[:1] == "|") if heading else text
    lines = [re.sub(r" ?<sub>.*?</sub>| ?\[[^]]*\]|[*`%]", "", line) for line in text.splitlines() if line[:1] == "|"]
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [dict(zip(head, row, strict=True)) for row in rows]


def number(text: str) -> float:
    return float(text.split()[0].replace("−", "-"))


def span(values: list[str], digits: int) -> str:
    """``−4 to 6``: the least and the largest."""
    numbers = sorted(map(number, values))
    return " to ".join(f"{value + 0.0:.{digits}f}".replace("-", "−") for value in (numbers[0], numbers[-1]))


def overall(model: str, scheme: str, quantity: str) -> str:
    (found,) = (
        row[COLUMNS[quantity]]
        for row in marked("README.md", "figures")
        if (row["model"], row["scheme"]) == (f"reference:{model}", scheme)
    )
    return found


def generated(name: str) -> str:
    (found,) = re.findall(
        r"<!-- figures: .*? -->(.*?)<!-- end of figures -->", (ROOT / name).read_text("utf-8"), re.DOTALL
    )
    return found.strip()


def test_both_pages_hold_the_same_table() -> None:
    assert generated(README) in generated(PAPER), "run: make figures"


def test_a_figure_changed_by_hand_is_seen() -> None:
    changed = generated(README).replace(overall("top", "bapa", "hit"), "99.9", 1)
    assert changed not in generated(PAPER)


def test_the_paper_page_says_what_its_tables_say() -> None:
    said = page("docs/paper.md")
    skewed = ("bottom", "top", "center")
    for quantity, wanted in (
        ("auc_range", "the AUC of the three skewed models differs by {} points, that of uniform by {};"),
        ("range", "the hit rate differs by {} points, that of uniform by {}."),
    ):
        spread = span([overall(name, "native", quantity) for name in skewed], 1)
        assert wanted.format(spread, overall("uniform", "native", quantity)) in said
    left = span([overall(name, "bapa", "auc_range") for name in skewed], 1)
    assert f"{left} points of the range of the AUC are left" in said
    for name in skewed:
        assert f"{overall(name, 'native', 'auc')} to {overall(name, 'bapa', 'auc')} % on {name}" in said


def test_the_paper_page_says_what_the_verdicts_say() -> None:
    said, rows = page("docs/paper.md"), marked("docs/origin.md", "verdicts")
    skewed = [row for row in rows if re.match(r"bottom|top|center", row["model and seed"])]
    assert len(skewed) == 6
    assert {row["verdict"] for row in skewed} == {"language model: position"}
    for factor, wanted in (
        ("encoder", "what the encoder saw carries {} % of the spread"),
        ("position", "carries {} % of the spread, their order"),
        ("order", "under the causal mask {} %"),
    ):
        assert wanted.format(span([row[factor] for row in skewed], 0)) in said
    other = [row for row in rows if row["model and seed"].startswith("encoder-bias")]
    assert {f"it gives the encoder {number(row['encoder']):.0f} %" in said for row in other} == {True}
    (turned,) = re.findall(r"turn the map around \((\d+) % of the turned map", page("docs/origin.md"))
    assert f"turn the map around: on bottom, seed 1, by {turned} %" in said


def test_calibrated_and_tuned_figures_are_those_of_their_studies() -> None:
    readme = page("README.md")
    rows = [row for row in marked("docs/calibration.md", "native") if row["model"].startswith("center")]
    told = {
        "native": "is natively",
        "native, threshold refitted": "with a refitted threshold",
        "chosen rule": "calibrated",
    }
    for column, start in told.items():
        assert f"{start} {', '.join(row[column] for row in rows)} %" in readme
    assert f"({', '.join(row['change'].partition('(')[2].rstrip(')') for row in rows)})" in readme
    rows = [row for row in marked("docs/studies/calibration.md", "verdict") if row["model"].startswith("center")]
    three, native = (
        ", ".join(row["mean hit"] for row in rows if row["rule"].startswith(rule)) for rule in ("bapa", "native")
    )
    said = f"On 200 other items the paper's rule lowers their mean hit rate from {native} % natively to {three} %"
    assert said in readme
    rows = marked("docs/studies/tuning.md", "figures", "### `center`")
    tuned = {row["rule"]: row for row in rows if row[""] == "tuned"}
    balanced, native = tuned["bapa"], tuned["native"]
    told = f"{balanced['hits']} % under BaPA and {native['hits']} % natively"
    alarms = f"{balanced['false alarms']} against {native['false alarms']} %"
    assert told in readme
    assert alarms in readme
    said = page("docs/paper.md")
    assert f"finds {balanced['hits']} % in the other cells under BaPA and {native['hits']} %" in said
    assert f"false alarms of {balanced['false alarms']} and {native['false alarms']} %" in said


def test_the_figures_are_of_the_models_that_ship() -> None:
    from bapa import reference

    kept = STUDY.record()
    assert {run["model"].removeprefix("reference:") for run in kept} <= set(reference.NAMES)
    assert {tuple(run["schemes"]) for run in kept} == {("native", "bapa", "bapa:distance=native")}
    assert {run["items"] for run in kept} == {200}


def test_what_taught_models_keep_is_said_as_the_record_has_it() -> None:
    its = TAUGHT.record()["together"]
    keeps = {
        rule: f"{percent(found['row']['kept']['value'])} %{{}} {interval(found['row']['kept'])}"
        for rule, found in its["places"].items()
        if rule != "native"
    }
    unbiased, limits, study = page("docs/unbiased.md"), page("docs/limits.md"), page("docs/studies/taught.md")
    assert f"keep {keeps['fitted on drawings'].format(' of them')} under the rule fitted on drawings" in unbiased
    assert f"{keeps['blend'].format('')} under the rule in part and {keeps['bapa'].format('')} under bapa" in unbiased
    for rule in ("blend", "fitted on drawings", "cross"):
        kept = keeps[rule].split(" %")[0]
        assert re.search(rf"{kept} %( of them)? {re.escape(interval(its['places'][rule]['row']['kept']))}", limits)
    left = its["rules"]["cross"]["range"], its["rules"]["native"]["range"]
    one, all_ = (f"{percent(found['value'], 1)}{{}} {interval(found, 1)}" for found in left)
    assert f"({one.format(' points')} of {all_.format('')})" in study
    guarded, turned = (its["rules"][rule]["range"] for rule in ("fitted with rows", "reverse with rows"))
    rows = percent(its["places"]["fitted with rows"]["row"]["kept"]["value"])
    for where in (unbiased, limits, page("docs/where.md"), study):
        assert f"{percent(guarded['value'], 1)}" in where
        assert interval(guarded, 1) in where
        assert f"{rows} % " in where
        assert "reversed" in where
    for where in (unbiased, page("docs/where.md"), study):
        assert f"{percent(turned['value'], 1)}" in where
        assert interval(turned, 1) in where
        assert interval(its["places"]["reverse with rows"]["row"]["kept"]) in where
    loss, position = its["fits"].values()
    assert f"{percent(loss['row']['value'], 1)} points more rows are right {interval(loss['row'], 1)}" in study
    assert f"range {percent(position['range']['value'], 1)} {interval(position['range'], 1)}" in study
    planned = [its["rules"][rule]["change"] for rule in [*its["rules"]][1:6]]
    for what, name in (("mean", "mean"), ("worst", "worst cell")):
        values = sorted(change[what]["value"] for change in planned)
        assert f"{name} +{percent(values[0], 1)} to +{percent(values[-1], 1)}" in study
        assert min(change[what]["low"] for change in planned) > 0


def test_what_pointing_models_keep_is_said_as_the_record_has_it() -> None:
    its = CODED.record()["together"]
    native, bapa, cross = (its["places"][rule] for rule in ("native", "bapa", "cross"))
    unbiased, limits, where, study = map(
        page, ("docs/unbiased.md", "docs/limits.md", "docs/where.md", "docs/studies/coded.md")
    )
    boxes = [percent(rule["box"]["right"]["value"], 1) for rule in (native, bapa)]
    assert f"{boxes[0]} % of the boxes are right natively and {boxes[1]} % under" in unbiased
    assert f"boxes right from {boxes[0]} to {boxes[1]} %" in limits
    rows, pointed = (
        f"{percent(bapa[what]['kept']['value'])} % is kept {interval(bapa[what]['kept'])}" for what in ("row", "box")
    )
    assert f"of rows {rows}" in where
    assert f"of pointing {pointed.replace(' is kept', '')}: {boxes[0]} to {boxes[1]} %" in where
    stands, coded = (its["whose"]["native"]["row"][of] for of in ("stands", "coded"))
    told = [f"{percent(one['value'], 1)} %{{}} {interval(one, 1)}" for one in (stands, coded)]
    assert told[0].format(" of rows right") in limits
    assert told[1].format(" right by the codes") in limits
    for one in (native["box"]["right"], bapa["box"]["right"], cross["box"]["right"], stands, coded):
        assert f"{percent(one['value'], 1)} % {interval(one, 1)}" in study
    for one in (bapa["row"]["kept"], bapa["box"]["kept"], cross["row"]["kept"], cross["box"]["kept"]):
        assert f"{percent(one['value'])} % {interval(one)}" in study
    for what in ("mean", "worst", "range"):
        changed = its["rules"]["bapa"]["change"][what]
        assert f"{percent(changed['value'], 1)} {interval(changed, 1)}" in study


def test_what_models_keep_that_read_places_from_image_tokens_is_said_as_the_record_has_it() -> None:
    its = SHUFFLED.record()["together"]
    native, bapa = (its["places"][rule] for rule in ("native", "bapa"))
    unbiased, limits, where, study = map(
        page, ("docs/unbiased.md", "docs/limits.md", "docs/where.md", "docs/studies/shuffled.md")
    )
    row, box = (
        f"{percent(bapa[what]['kept']['value'])} %{{}} {interval(bapa[what]['kept'])}" for what in ("row", "box")
    )
    for text in (unbiased, limits):
        assert f"{row.format(' of the rows')} and {box.format(' of the boxes')} under bapa" in text
    assert f"of rows {row.format(' is kept')}, of pointing {box.format('')}" in where
    boxes = [percent(rule["box"]["right"]["value"], 1) for rule in (native, bapa)]
    assert f"{boxes[0]} to {boxes[1]} % of the boxes right" in where
    assert f"they keep {row.format('')} of the rows and {box.format('')} of the boxes" in study
    for rule in ("cross", "own distance"):
        for what in ("row", "box"):
            one = its["places"][rule][what]["kept"]
            assert f"{percent(one['value'])} % {interval(one)}" in study
    one = its["places"]["own distance"]["row"]["kept"]
    assert f"{percent(one['value'])} % of the rows {interval(one)}" in limits
    assert f"of rows {percent(one['value'])} % {interval(one)}" in where
    one = its["rules"]["own distance"]["change"]["range"]
    assert f"{percent(one['value'], 1)} points {interval(one, 1)}" in study
    for rule, what in (("native", "row"), ("bapa", "row")):
        for of in ("coded", "stands"):
            one = its["whose"]["shuffled"][rule][what][of]
            assert f"{percent(one['value'], 1)} %" in study
            assert interval(one, 1) in study
    for what in ("mean", "worst"):
        changed = its["rules"]["bapa"]["change"][what]
        assert f"{percent(changed['value'], 1)}" in study
        assert interval(changed, 1) in study


def test_what_tuning_under_the_rule_gives_back_is_said_as_the_record_has_it() -> None:
    its = SHUFFLED.record()["together"]
    tuned, native = its["arms"]["under bapa, bapa"], its["arms"]["natively, native"]
    unbiased, limits, tune, where, study, claims, log = map(
        page,
        (
            "docs/unbiased.md",
            *(f"docs/{name}.md" for name in ("limits", "tune", "where", "studies/shuffled", "claims")),
            "CHANGELOG.md",
        ),
    )
    before = its["arms"]["before, native"]
    rows, wanted, old = (percent(its["row"]["value"], 1) for its in (tuned, native, before))
    boxes, all_boxes, old_boxes = (percent(its["box"]["value"], 1) for its in (tuned, native, before))
    beside, missing = (its["less"][f"under bapa, bapa, less {arm}, native"] for arm in ("natively", "before"))
    turned = f"{rows} % right {interval(tuned['row'], 1)}, natively {old} before and {wanted} after as many native"
    assert turned in unbiased
    assert f"Boxes rise to {boxes} %" in unbiased
    assert f"the {old_boxes} before cannot be told ({percent(missing['box']['value'], 1)} points" in unbiased
    assert interval(missing["box"], 1) in unbiased
    assert f"as many native steps give {all_boxes} %" in unbiased
    assert f"{rows} % right, natively {old} before and {wanted} after as many native steps" in limits
    assert f"({boxes}, natively {old_boxes} and {all_boxes})" in limits
    assert f"{rows} % of the rows and {boxes} % of the boxes (natively {old} and {old_boxes} before" in where
    assert f"{wanted} and {all_boxes} after as many native steps" in where
    assert f"({rows} and {wanted} %)" in tune
    assert f"({boxes} and {all_boxes} %)" in tune
    assert f"{boxes} % of the boxes (natively {old_boxes} before, {all_boxes} after as many native steps)" in log
    mean, worst = (f"{percent(beside[what]['value'], 1)}{{}} {interval(beside[what], 1)}" for what in ("mean", "worst"))
    assert mean.format(" points higher") in tune
    assert f"{mean.format(' points')} and the worst cell by {worst.format('')}" in study
    for what in ("row", "box"):
        assert interval(beside[what], 1) in claims
    assert interval(missing["box"], 1) in claims
    for arm in (tuned, native):
        for what in ("row", "box"):
            assert f"{percent(arm[what]['value'], 1)} % " in study
            assert interval(arm[what], 1) in study
    earlier = its["less"]["under bapa, bapa, less before, bapa"]
    for one in (beside["range"], earlier["row"], earlier["box"], earlier["mean"]):
        assert interval(one, 1) in study
