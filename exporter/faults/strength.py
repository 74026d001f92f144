"""Strength: how strong a fault is injected, from the text of ``--inject`` to a typed value.

Promises: every default of the vocabulary is understood. Refuses: what the fault can not mean, with what was
expected and what was found (``ValueError``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.faults.vocabulary import Fault

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

#: Conversions that are no factor.
CONVERSIONS: Final[Mapping[str, Callable[[Floats], Floats]]] = MappingProxyType(
    {
        "celsius_to_fahrenheit": lambda values: values * 1.8 + 32.0,
        "fahrenheit_to_celsius": lambda values: (values - 32.0) / 1.8,
        "log": lambda values: np.log(values),
        "log1p": lambda values: np.log1p(values),
        "log10": lambda values: np.log10(values),
        "exp": lambda values: np.exp(values),
    }
)


@dataclass(frozen=True, slots=True)
class Flood:
    """A share of the entries, and the value they get; without one it is 0, or the most frequent category."""

    share: float
    value: str | None = None


#: shift, clipping, shares, hours: float. scale: float or a key of `CONVERSIONS`. swapped, stuck: text.
#: flood: Flood. category_merge, frozen: int. precision, collapse: float, or None for ``auto``.
Strength: TypeAlias = float | int | str | Flood | None


def parse_strength(fault: Fault, text: str | None = None) -> Strength:
    """What *text* means as the strength of *fault*; the fault's default when it is None or empty.

    >>> from exporter.faults.vocabulary import fault
    >>> parse_strength(fault("flood"), "0.1@-1"), parse_strength(fault("scale"), "log")
    (Flood(share=0.1, value='-1'), 'log')
    >>> parse_strength(fault("null_surge")), parse_strength(fault("precision"))
    (0.1, None)
    """
    given = (text or fault.default).strip()
    return _PARSERS[fault.name](fault, given)


def _refuse(fault: Fault, expected: str, found: str) -> ValueError:
    return ValueError(f"strength of {fault.name}: expected {expected} ({fault.strength}), found {found!r}")


def _number(fault: Fault, text: str, expected: str, allowed: Callable[[float], bool]) -> float:
    try:
        number = float(text)
    except ValueError:
        raise _refuse(fault, expected, text) from None
    if not math.isfinite(number) or not allowed(number):
        raise _refuse(fault, expected, text)
    return number


def _nonzero(fault: Fault, text: str) -> float:
    return _number(fault, text, "a number other than 0", lambda number: number != 0)


def _share(fault: Fault, text: str) -> float:
    return _number(fault, text, "a share above 0, at most 1", lambda number: 0 < number <= 1)


def _part(fault: Fault, text: str) -> float:
    return _number(fault, text, "a share between 0 and 1", lambda number: 0 < number < 1)


def _signed_part(fault: Fault, text: str) -> float:
    return _number(
        fault, text, "a share between 0 and 1, or its negative", lambda number: 0 < abs(number) < 1
    )


def _tilt(fault: Fault, text: str) -> float:
    # The mean rank runs from 0 to 1 with a deviation of 0.289, so no tilt moves it by more than 1.73.
    return _number(fault, text, "a number from -1.6 to 1.6 other than 0", lambda tilt: 0 < abs(tilt) <= 1.6)


def _positive(fault: Fault, text: str) -> float:
    return _number(fault, text, "a number above 0", lambda number: number > 0)


def _scale(fault: Fault, text: str) -> Strength:
    if text in CONVERSIONS:
        return text
    expected = f"a factor other than 0 and 1, or one of {', '.join(CONVERSIONS)}"
    return _number(fault, text, expected, lambda factor: factor not in (0.0, 1.0))


def _text(fault: Fault, text: str) -> str:
    if not text:
        raise _refuse(fault, "a text", text)
    return text


def _flood(fault: Fault, text: str) -> Flood:
    share, at, value = text.partition("@")
    if at and not value.strip():
        raise _refuse(fault, "a value after @", text)
    return Flood(_share(fault, share), value.strip() or None)


def _step(fault: Fault, text: str) -> Strength:
    return None if text == "auto" else _positive(fault, text)


def _spread(fault: Fault, text: str) -> Strength:
    return None if text == "auto" else _number(fault, text, "auto or 0 … 1", lambda number: 0 <= number <= 1)


def _whole(least: int) -> Callable[[Fault, str], int]:
    def parse(fault: Fault, text: str) -> int:
        expected = f"a whole number, at least {least}"
        return int(_number(fault, text, expected, lambda number: number.is_integer() and number >= least))

    return parse


_PARSERS: Final[Mapping[str, Callable[[Fault, str], Strength]]] = MappingProxyType(
    {
        "shift": _nonzero,
        "scale": _scale,
        "swapped": _text,
        "stuck": _text,
        "flood": _flood,
        "clipping": _signed_part,
        "precision": _step,
        "null_surge": _share,
        "type_change": _share,
        "unseen_category": _share,
        "category_merge": _whole(2),
        "category_split": _part,
        "population_change": _tilt,
        "frozen": _whole(1),
        "replayed": _positive,
        "collapse": _spread,
    }
)
