from __future__ import annotations

import pytest

from bapa.errors import SchemeError
from bapa.schemes import SCHEMES, make, parse


@pytest.mark.parametrize("text", ["native", "bapa", "bapa:distance=native", "bapa:distance=2.5", "bapa:distance=81"])
def test_a_label_parses_back_to_its_scheme(text: str) -> None:
    assert parse(text).label == text
    assert parse(parse(text)) is parse(text) or parse(parse(text)) == parse(text)


def test_a_default_is_left_out_of_the_label() -> None:
    assert parse("bapa:distance=1") == parse("bapa")
    assert parse("bapa:distance=1").label == "bapa"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bappa", r"unknown scheme 'bappa' \(did you mean 'bapa'\?\); known: native, bapa"),
        ("bapa:distanse=1", r"no option 'distanse' \(did you mean 'distance'\?\); its options: scope, "),
        ("native:distance=1", r"no option 'distance'"),
        ("bapa:81", r"name:option=value"),
        ("bapa:distance=0", r"a positive number or \"native\""),
        ("bapa:distance=-3", r"a positive number"),
        ("bapa:distance=nan", r"a positive number"),
        ("bapa:distance=inf", r"a positive number"),
        ("bapa:distance=far", r"a positive number"),
    ],
)
def test_errors_say_what_was_found_and_what_to_type(text: str, message: str) -> None:
    with pytest.raises(SchemeError, match=message):
        parse(text)


def test_every_scheme_is_listed_under_its_own_name() -> None:
    assert all(scheme.name == name and make(name).name == name for name, scheme in SCHEMES.items())
