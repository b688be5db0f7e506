"""Sentences of README and docs about tuned and fitted models say what the records say."""

from __future__ import annotations

from bapa.stats.text import interval, percent
from studies.coded.page import STUDY as CODED
from studies.mixed.page import STUDY as MIXED
from studies.taught.page import STUDY as TAUGHT
from tests.studies.test_sentences import page


def test_what_tuning_on_names_and_places_does_is_said_as_the_record_has_it() -> None:
    its = MIXED.record()["together"]
    before, native, under = (its["arms"][arm] for arm in ("before, native", "natively, native", "under bapa, bapa"))
    unbiased, limits, tune, study, log = map(
        page, ("docs/unbiased.md", "docs/limits.md", "docs/tune.md", "docs/studies/mixed.md", "CHANGELOG.md")
    )
    old, new, ruled = (
        {what: percent(arm[what]["value"], 1) for what in ("mean", "worst", "range", "row", "column", "box")}
        for arm in (before, native, under)
    )
    assert (
        f"rises from {old['mean']} to {new['mean']}, the worst cell from {old['worst']} to {new['worst']}" in unbiased
    )
    assert f"{ruled['mean']}, {ruled['worst']} and {ruled['range']}" in unbiased
    assert f"({ruled['column']} % right, natively {new['column']}" in unbiased
    for text in (unbiased, limits, tune, log):
        assert f"{old['range']} to {new['range']}" in text
        assert f"{old['worst']} to {new['worst']}" in text
    kept = its["kept"]["natively, native, of before, native"]["row"]
    for text in (unbiased, tune):
        assert f"{percent(kept['value'])} % of the rows" in text
        assert interval(kept) in text
    for text in (limits, tune):
        assert f"{ruled['range']} and {ruled['worst']}" in text
    assert f"rows are {ruled['row']} and {new['row']} % right and boxes {ruled['box']} and {new['box']}" in tune
    beside = its["less"]["under bapa, bapa, less natively, native"]
    assert f"(range {percent(beside['range']['value'], 1)} points {interval(beside['range'], 1)})" in unbiased
    for what in ("mean", "worst", "range", "row", "box"):
        assert f"{percent(beside[what]['value'], 1)}" in study
        assert interval(beside[what], 1) in study
    for name in ("natively, native, less before, native", "under bapa, bapa, less places alone, under bapa, bapa"):
        for what in ("row", "box") if "alone" in name else ("mean", "worst", "range"):
            assert interval(its["less"][name][what], 1) in study
    assert interval(its["goals"]["half"]["natively, native"], 1) in study
    switched = its["less"]["natively, bapa, less natively, native"]["range"]
    for text in (unbiased, tune, limits):
        assert f"+{percent(switched['value'], 1)} points {interval(switched, 1)}" in text
    assert f"rises by {percent(switched['value'], 1)} points {interval(switched, 1)}" in study
    cells = [
        after - first
        for model in MIXED.record()["models"].values()
        for first, after in zip(
            *(model["arms"][arm]["cells"] for arm in ("before, native", "natively, native")), strict=True
        )
    ]
    assert min(cells) > 0
    assert "every cell gains, in every model" in study


def test_what_a_rule_fitted_with_boxes_keeps_is_said_as_the_record_has_it() -> None:
    its = CODED.record()["together"]
    unbiased, where, study, log = map(
        page, ("docs/unbiased.md", "docs/where.md", "docs/studies/coded.md", "CHANGELOG.md")
    )
    rule, kept = its["rules"]["fitted with places"], its["places"]["fitted with places"]
    ranges = f"{percent(its['rules']['native']['range']['value'], 1)} to {percent(rule['range']['value'], 1)} points"
    rows, boxes = (kept[what]["kept"] for what in ("row", "box"))
    for text in (unbiased, where, study, log):
        assert ranges in text
    for text in (unbiased, where, log):
        assert f"{percent(rows['value'])} % of the rows" in text
        assert f"{percent(boxes['value'])} % of the boxes" in text
    change = rule["change"]
    for text in (unbiased, where, study):
        for one, digits in ((change["range"], 1), (rows, 0), (boxes, 0)):
            assert interval(one, digits) in text
    for what in ("worst", "mean"):
        assert f"{percent(change[what]['value'], 1)}" in study
        assert interval(change[what], 1) in study
    beside = its["fits"]["fitted with places, not blend"]
    for what in ("row", "box", "range"):
        assert f"{percent(beside[what]['value'], 1)}" in study
        assert interval(beside[what], 1) in study
    half = its["goals"]["half"]["fitted with places"]
    assert f"{percent(-half['value'], 1)} points below half" in study


def test_the_control_of_that_fit_is_told_beside_it() -> None:
    its = CODED.record()["together"]
    unbiased, where, study = map(page, ("docs/unbiased.md", "docs/where.md", "docs/studies/coded.md"))
    kept = its["places"]["reverse with places"]
    rows, boxes = (kept[what]["kept"] for what in ("row", "box"))
    for text in (unbiased, where, study):
        assert f"{percent(its['rules']['reverse with places']['range']['value'], 1)} points" in text
        assert interval(its["rules"]["reverse with places"]["range"], 1) in text
        assert f"{percent(rows['value'])} %" in text
        assert f"{percent(boxes['value'])} %" in text
    for one in (rows, boxes):
        assert interval(one, 0) in where
        assert interval(one, 0) in study
    beside = its["fits"]["fitted with places, not reverse with places"]
    for what in ("range", "box", "mean"):
        assert interval(beside[what], 1) in study
    assert beside["range"]["low"] < 0 < beside["range"]["high"]
    assert beside["mean"]["low"] > 0


def test_what_central_names_do_is_said_as_the_record_has_it() -> None:
    its = MIXED.record()["together"]
    pages = "docs/unbiased.md", "docs/limits.md", "docs/tune.md", "docs/studies/mixed.md", "CHANGELOG.md"
    unbiased, limits, tune, study, log = map(page, pages)
    ranges = [its["arms"][arm]["range"] for arm in ("natively, central, native", "under bapa, central, bapa")]
    for text in (unbiased, limits, tune, study):
        for one in ranges:
            assert f"{percent(one['value'], 1)} {interval(one, 1)}" in text.replace(" points [", " [")
    for one in ranges:
        assert percent(one["value"], 1) in log
    beside = its["less"]["under bapa, central, bapa, less natively, central, native"]
    for what in ("range", "worst", "mean", "row", "box"):
        assert percent(beside[what]["value"], 1) in study
        assert interval(beside[what], 1) in study
    before = its["less"]["natively, central, native, less before, native"]["range"]
    assert f"+{percent(before['value'], 1)} points {interval(before, 1)}" in study
    for name in ("natively, central, native", "under bapa, central, bapa"):
        assert interval(its["middle"][name], 1) in study
    learned = its["middle less"]["natively, central, native, less natively, native"]
    under = its["middle less"]["under bapa, central, bapa, less under bapa, bapa"]
    for one in (learned, under):
        assert f"{percent(one['value'], 1)} {interval(one, 1)}" in study.replace(" points [", " [")
    out = its["middle less"]["under bapa, central, bapa, less natively, central, native"]
    assert f"middle {percent(out['value'], 1)} points {interval(out, 1)}" in study
    assert f"{percent(-its['more']['range']['value'], 1)} points more off the range" in study
    switched = its["less"]["natively, central, bapa, less natively, central, native"]
    for text in (unbiased, limits, tune, study):
        assert f"{percent(switched['range']['value'], 1)} {interval(switched['range'], 1)}" in text.replace(
            " points [", " ["
        )
    for what in ("worst", "mean"):
        for text in (tune, study):
            assert f"{percent(switched[what]['value'], 1)} {interval(switched[what], 1)}" in text
    assert interval(switched["row"], 1) in study
    assert interval(its["middle less"]["natively, central, bapa, less natively, central, native"], 1) in study


def test_what_cross_does_to_a_learned_placement_is_said_as_the_record_has_it() -> None:
    its, study = MIXED.record()["together"], page("docs/studies/mixed.md")
    name, native = "natively, central, cross", "natively, central, native"
    told = {"middle": its["middle less"][f"{name}, less {native}"], **its["less"][f"{name}, less {native}"]}
    for what in ("middle", "range", "worst", "mean"):
        value = percent(told[what]["value"], 1)
        points = "points " if what == "middle" else ""
        assert f"{value if value[0] == '−' else '+' + value} {points}{interval(told[what], 1)}" in study
    kept = its["kept"][f"{name}, of {native}"]
    assert f"of rows {percent(kept['row']['value'])} % is kept {interval(kept['row'])}" in study
    assert f"of boxes {percent(kept['box']['value'])} % {interval(kept['box'])}" in study
    assert f"+{percent(its['switched on']['cross']['value'], 1)} {interval(its['switched on']['cross'], 1)}" in study


def test_what_tells_the_middle_is_said_as_the_record_has_it() -> None:
    its = MIXED.record()["moved"]["together"]
    natively, under, switched = its["carried"].values()
    unbiased, limits, paper, bench, study, log, claims = map(
        page,
        (
            "docs/unbiased.md",
            "docs/limits.md",
            "docs/paper.md",
            "docs/studies/pretrained.md",
            "docs/studies/mixed.md",
            "CHANGELOG.md",
            "docs/claims.md",
        ),
    )
    shared = f"{percent(under['codes']['value'], 1)} of {percent(under['advantage']['value'], 1)} points"
    own = f"{percent(natively['codes']['value'], 1)} of {percent(natively['advantage']['value'], 1)}"
    for text in (unbiased, limits, log):
        assert shared in text
        assert own in text
    for part in ("codes", "positions", "order", "left"):
        assert f"{percent(natively[part]['value'], 1)}" in study
        assert interval(natively[part], 1) in study
    for part, unit in (("codes", ""), ("positions", "points "), ("order", "")):
        assert f"{percent(natively[part]['value'], 1)} {unit}{interval(natively[part], 1)}" in paper
    assert f"{percent(natively['positions']['value'], 1)} points {interval(natively['positions'], 1)}" in bench
    assert f"({percent(natively['left']['value'], 1)} points left {interval(natively['left'], 1)})" in claims
    assert f"{percent(switched['codes']['value'], 1)} points {interval(switched['codes'], 1)}" in study
    for arm in ("natively, central", "under bapa, central"):
        for told in its["more than half"][arm].values():
            assert interval(told, 1) in study
    assert its["more than half"]["natively, central"]["positions"]["high"] < 0  # the sentence stays struck
    moved = its["moved"]["natively, central: positions"]
    assert f"(range {percent(moved['range']['value'], 1)} points {interval(moved['range'], 1)}" in study
    control = its["control"]["bapa less positions moved"]["range"]
    assert control["low"] < 0 < control["high"]
    assert f"{percent(control['value'], 1)} {interval(control, 1)}" in study


def test_the_short_list_of_the_readme_says_what_the_records_say() -> None:
    readme = page("README.md")
    taught = TAUGHT.record()["together"]["places"]
    rows = [
        f"{percent(one['value'])} %{{}} {interval(one)}"
        for one in (taught[rule]["row"]["kept"] for rule in ("bapa", "blend"))
    ]
    assert f"keep {rows[0].format(' of them')} under bapa and {rows[1].format('')} under the rule in part" in readme
    its = MIXED.record()["together"]
    before, after = (percent(its["arms"][arm]["range"]["value"], 1) for arm in ("before, native", "natively, native"))
    kept = its["kept"]["natively, native, of before, native"]["row"]
    assert (
        f"from {before} to {after} points and kept {percent(kept['value'])} % of their rows {interval(kept)}" in readme
    )
