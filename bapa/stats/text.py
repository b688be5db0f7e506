"""Figures as text, the same everywhere: fractions in per cent, a true minus, intervals in brackets."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

Estimated = Mapping[str, float | None]  # value, low, high


def rounded(number: float, digits: int = 0) -> str:
    """``number`` with so many decimals: halves go away from zero, ``2.5`` -> ``3``; a true minus, and no minus zero."""
    exact = Decimal(f"{number:.9f}")  # of what is a half but for the arithmetic
    text = str(exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))
    return text.replace("-", "−") if text.strip("-0.") else text.lstrip("-")


def percent(number: float | None, digits: int = 0) -> str:
    """A fraction in per cent, without the sign: ``0.983`` -> ``98``; an en dash where there is none."""
    return "–" if number is None else rounded(100 * number, digits)


def points(number: float | None, digits: int = 0) -> str:
    """The same as a difference without its sign: ``1 point``, ``0 points``, ``2.5 points``."""
    text = percent(number, digits)
    return f"{text} {'point' if text in ('1', '−1') else 'points'}"


def signed(number: float | None, digits: int = 0) -> str:
    """The same for a difference, with its sign."""
    text = percent(number, digits)
    return text if number is None or text.startswith("−") or not text.strip("0.") else f"+{text}"


def interval(estimate: Estimated, digits: int = 0) -> str:
    """``[27, 40]``; empty where there is no interval."""
    low, high = estimate["low"], estimate["high"]
    return "" if low is None or high is None else f"[{percent(low, digits)}, {percent(high, digits)}]"


def with_interval(estimate: Estimated, digits: int = 0, unit: str = "") -> str:
    """Value and interval: ``97 [91, 103]``, or ``97 % [91, 103]`` where ``unit`` is `` %``; an en dash for no value."""
    value = percent(estimate["value"], digits)
    return value if estimate["value"] is None else f"{value}{unit} {interval(estimate, digits)}".rstrip()


def p_value(p: float) -> str:
    """``p = 0.03``, or ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
