"""Words: numbers and times as people read them on the status page.

Promises: never rounds to a claim that is not true: 99.96 % is not ``100 %`` and 0.01 % is not ``0 %``.
"""

from __future__ import annotations

import math
from datetime import datetime, tzinfo

from exporter.traffic import DURATION_BUCKETS

NONE = "–"
"""Stands where there is no number."""


def count(value: int) -> str:
    """A count with its thousands set apart.

    >>> count(48210)
    '48,210'
    """
    return f"{value:,}"


def share(value: float | None) -> str:
    """A share as percentage, with a decimal near both ends.

    >>> [share(value) for value in (0.0, 0.0004, 0.031, 0.47, 0.9996, 1.0, None)]
    ['0 %', '< 0.1 %', '3.1 %', '47 %', '99.9 %', '100 %', '–']
    """
    if value is None:
        return NONE
    percent = 100 * value
    if percent in (0.0, 100.0):
        return f"{percent:.0f} %"
    if percent < 0.1:
        return "< 0.1 %"
    if percent < 10:
        return f"{percent:.1f} %"
    if percent < 99:
        return f"{percent:.0f} %"
    return f"{math.floor(percent * 10) / 10:.1f} %"


def strength(value: float | None, fault: str) -> str:
    """The strength of a fault, in its unit.

    >>> strength(0.5, "shift"), strength(1.25, "scale"), strength(0.02, "null_surge"), strength(None, "flood")
    ('0.5 σ', '× 1.25', '2.0 %', 'never found')
    """
    if value is None:
        return "never found"
    if fault == "shift":
        return f"{value:g} σ"
    return f"× {value:g}" if fault == "scale" else share(value)


def figure(value: float | None) -> str:
    """A number in three significant digits, never in exponents where digits will do.

    >>> [figure(value) for value in (0.01234, 1.926, 41.26, 1404.0, 1234567.0, 0, 4e-7, None)]
    ['0.0123', '1.93', '41.3', '1,404', '1,234,567', '0', '4e-07', '–']
    """
    if value is None or not math.isfinite(value):
        return NONE if value is None or math.isnan(value) else ("∞" if value > 0 else "-∞")
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e9 or size < 1e-4:
        return f"{value:.3g}"
    if size >= 1000 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{float(f'{value:.3g}'):g}"


def ratio(value: float | None) -> str:
    """A score, a PSI or a quotient: as many decimals as its size deserves.

    >>> [ratio(value) for value in (11.63, 1.2862, 0.1792, 0.0168, 0.0004, None)]
    ['11.6', '1.29', '0.18', '0.017', '< 0.001', '–']
    """
    if value is None or not math.isfinite(value):
        return figure(value)
    if 0 < value < 0.001:
        return "< 0.001"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{1 if value >= 10 else 2 if value >= 0.1 else 3}f}"


def tick(value: float) -> str:
    """A number short enough for an axis.

    >>> [tick(value) for value in (250.0, 4983.0, 12500.0, 3.2e6, -0.0421)]
    ['250', '4,983', '12.5k', '3.2M', '-0.0421']
    """
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= factor:
            scale = 1e3 if letter == "k" else factor
            return f"{float(f'{value / scale:.3g}'):g}{letter}"
    return figure(value)


def seconds(value: float | None) -> str:
    """A duration in the unit that suits it; infinity is a duration above every bucket.

    >>> [seconds(value) for value in (0.00042, 0.0034, 0.052, 1.34, 312.0, float("inf"), None)]
    ['0.4 ms', '3.4 ms', '52 ms', '1.3 s', '312 s', '> 60 s', '–']
    """
    if value is None:
        return NONE
    if math.isinf(value):
        return f"> {DURATION_BUCKETS[-1]:g} s"
    if value < 0.01:
        return f"{value * 1e3:.1f} ms"
    if value < 1:
        return f"{value * 1e3:.0f} ms"
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def moment(time: float, now: float, zone: tzinfo) -> str:
    """A time of Unix seconds as seen from *now*: the day is named when it is another one.

    >>> from datetime import UTC
    >>> [moment(time, 1371222000.0, UTC) for time in (1371218700.0, 1371045900.0, 1339596300.0)]
    ['14:05', '12 Jun 14:05', '13 Jun 2012 14:05']
    """
    then, today = datetime.fromtimestamp(time, zone), datetime.fromtimestamp(now, zone)
    if then.date() == today.date():
        return f"{then:%H:%M}"
    if then.year == today.year:
        return f"{then.day} {then:%b %H:%M}"
    return f"{then.day} {then:%b %Y %H:%M}"


def clock(now: float, zone: tzinfo) -> str:
    """The clock in full, with its zone.

    >>> from datetime import UTC
    >>> clock(1371222000.0, UTC)
    '14 Jun 2013 15:00 UTC'
    """
    then = datetime.fromtimestamp(now, zone)
    return f"{then.day} {then:%b %Y %H:%M %Z}"


def spell(window: str) -> str:
    """A sliding window by its length.

    >>> spell("1h"), spell("1d"), spell("6h")
    ('last hour', 'last day', 'last 6h')
    """
    return {"1h": "last hour", "1d": "last day"}.get(window, f"last {window}")


def listing(parts: list[str]) -> str:
    """*parts* as a list in a sentence.

    >>> listing(["a", "b", "c"])
    'a, b and c'
    """
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
