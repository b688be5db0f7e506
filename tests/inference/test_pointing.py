"""Places that models write, read from replies in the forms of each family."""

from __future__ import annotations

import pytest

from bapa.inference.pointing import Pointed, Unit, pointed

WIDE, HIGH = 800, 400  # pixels
BOX = (0.25, 0.5, 0.5, 0.75)  # left, top, right, bottom: pixels 200, 200, 400, 300
POINT = (0.375, 0.625, 0.375, 0.625)

REPLIES: list[tuple[str, Unit | None, tuple[float, ...], str]] = [
    ("<ref>the red seven</ref><box>(250,500),(500,750)</box>", None, BOX, "<box>"),  # Qwen-VL
    ("<|object_ref_start|>it<|object_ref_end|><|box_start|>(250,500),(500,750)<|box_end|>", None, BOX, "<|box_start|>"),
    ("<ref>the red seven</ref><box>[[250, 500, 500, 750]]</box>", None, BOX, "<box>"),  # InternVL
    ("It is at <|begin_of_box|>[[250,500,500,750]]<|end_of_box|>.", None, BOX, "<|begin_of_box|>"),  # GLM-V
    ('```json\n[\n\t{"bbox_2d": [200, 200, 400, 300], "label": "red seven"}\n]\n```', "pixels", BOX, "bbox_2d"),
    ('```json\n[\n\t{"bbox_2d": [250, 500, 500, 750], "label": "red seven"}\n]\n```', "thousand", BOX, "bbox_2d"),
    ('{"point_2d": [300, 250], "label": "red seven"}', "pixels", POINT, "point_2d"),
    ('{"point_2d": ["375", "625"], "label": "red seven"}', "thousand", POINT, "point_2d"),
    ('[{"box_2d": [500, 250, 750, 500], "label": "red seven"}]', None, BOX, "box_2d"),  # rows first
    ('[{"point": [625, 375], "label": "red seven"}]', None, POINT, "point"),  # rows first
    ('<point x="37.5" y="62.5" alt="red seven">red seven</point>', None, POINT, "<point>"),  # Molmo
    ('<points x1="37.5" y1="62.5" x2="90.0" y2="10.0" alt="sevens">sevens</points>', None, POINT, "<point>"),
    ("<point>375 625</point>", "thousand", POINT, "<point>"),
    ("Action: click(start_box='(375,625)')", "thousand", POINT, "start_box"),
    ("<loc0512><loc0256><loc0768><loc0512> red seven", None, BOX, "<loc>"),  # PaliGemma: rows first, 1024 bins
    ("red seven<loc_250><loc_500><loc_500><loc_750>", None, BOX, "<loc>"),  # Florence: 1000 bins
    ("The red seven is at [0.25, 0.5, 0.5, 0.75].", None, BOX, "four numbers"),  # Shikra, LLaVA
    ("[[250,500,500,750]]", None, BOX, "four numbers"),  # CogVLM
    ("(250, 500), (500, 750)", None, BOX, "pairs"),
    ("At (0.375, 0.625).", None, POINT, "two numbers"),
    ("(300, 250)", "pixels", POINT, "two numbers"),
]
MISSES = [
    "I do not see a red seven.",
    "In row 2, column 1.",
    "",
    "<box>[[250, 500, 500]]</box>",
    "<box>[[500, 750, 250, 500]]</box>",  # corners the wrong way round
    "[250, 500, 500, 1750]",  # beyond the picture, in pixels
    '<point x="137.5" y="62.5">red seven</point>',
    "[-5, 10, 20, 30]",
]


@pytest.mark.parametrize(("reply", "unit", "box", "form"), REPLIES)
def test_replies_are_read(reply: str, unit: Unit | None, box: tuple[float, ...], form: str) -> None:
    found = pointed(reply, WIDE, HIGH, unit)
    assert found is not None
    assert found.box == pytest.approx(box)
    assert found.form == form


@pytest.mark.parametrize("reply", MISSES)
def test_what_names_no_place_is_a_miss(reply: str) -> None:
    assert pointed(reply, WIDE, HIGH) is None


def test_pixels_and_thousandths_differ_by_what_is_asked_only() -> None:
    reply = '{"bbox_2d": [200, 200, 400, 300]}'
    pixels, thousand = (pointed(reply, WIDE, HIGH, unit) for unit in ("pixels", "thousand"))
    assert pixels is not None
    assert thousand is not None
    assert pixels.centre == pytest.approx((0.375, 0.625))
    assert thousand.centre == pytest.approx((0.3, 0.25))
    beyond = pointed('{"bbox_2d": [1100, 200, 1300, 300]}', 1600, HIGH)
    assert beyond is not None
    assert beyond.centre == pytest.approx((0.75, 0.625))


def test_centre_in_box() -> None:
    assert Pointed(BOX, "").within((0.3, 0.6, 0.4, 0.7))
    assert not Pointed(BOX, "").within((0.4, 0.6, 0.5, 0.7))
    assert not Pointed(BOX, "").within((0.3, 0.7, 0.4, 0.9))
