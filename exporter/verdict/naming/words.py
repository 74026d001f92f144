"""Words: numbers, shares and units as people read them, the same in every sentence of a verdict."""

from __future__ import annotations

from typing import Final

#: Factors between units that get mixed up, and what that would be called.
UNITS: Final = (
    (1.609344, "miles sent as kilometres"),
    (0.621371, "kilometres sent as miles"),
    (3.28084, "metres sent as feet"),
    (0.3048, "feet sent as metres"),
    (2.20462, "kilograms sent as pounds"),
    (0.453592, "pounds sent as kilograms"),
    (2.54, "inches sent as centimetres"),
    (0.393701, "centimetres sent as inches"),
    (60.0, "minutes sent as seconds"),
    (1 / 60, "seconds sent as minutes"),
    (100.0, "shares sent as percentages"),
    (0.01, "percentages sent as shares"),
    (1000.0, "a unit a thousand times smaller"),
    (0.001, "a unit a thousand times larger"),
)
#: How near a fitted factor must be: an hour of 50 rows fits it to a few per cent.
UNIT_TOLERANCE: Final = 0.04


def number(value: float) -> str:
    """Three significant digits, or all before the point, with thousands separated.

    >>> number(1.6094), number(-1234.5), number(0.000123456), number(3e20)
    ('1.61', '-1,234', '0.000123', '3e+20')
    """
    if 1000 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def percent(share: float) -> str:
    """Two significant digits below ten per cent, none after the point above.

    >>> percent(0.002), percent(0.31), percent(0.0), percent(0.0957)
    ('0.2 %', '31 %', '0 %', '9.6 %')
    """
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 else f"{value:.2g} %"


def unit_of(factor: float) -> str:
    """What a change of unit by *factor* would be called; empty when no unit is near.

    >>> unit_of(1.61), unit_of(1.3)
    ('miles sent as kilometres', '')
    """
    unit, name = min(UNITS, key=lambda entry: abs(factor / entry[0] - 1))
    return name if abs(factor / unit - 1) <= UNIT_TOLERANCE else ""
