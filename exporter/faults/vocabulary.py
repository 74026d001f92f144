"""The vocabulary of faults: one declaration for naming, injecting, ``--inject``, documents and metrics.

Promises: names are stable; a new one is added, none changes its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault a column can have."""

    name: str
    """In verdicts, in ``--inject`` and in the label ``fault``."""
    definition: str
    """One sentence: what happened to the values."""
    strength: str
    """What the strength of an injection means, with its unit; empty where there is none."""
    default: str
    """The strength when none is given."""
    aliases: tuple[str, ...] = ()
    """Other words that ``--inject`` understands."""


#: What a verdict says when the distribution changed and none of the names fits.
UNNAMED: Final = "distribution_changed"

FAULTS: Final[tuple[Fault, ...]] = (
    Fault(
        "shift",
        "Every number moved by the same amount.",
        "standard deviations of the column, signed",
        "1",
        ("offset",),
    ),
    Fault(
        "scale",
        "Numbers came in another unit: multiplied by a factor, or converted.",
        "factor, or celsius_to_fahrenheit, fahrenheit_to_celsius, log, log1p, log10, exp",
        "1.609",
        ("unit", "unit_change", "scale_change"),
    ),
    Fault(
        "swapped",
        "The values are those of another column.",
        "name of the other column",
        "",
        ("swap", "swapped_columns"),
    ),
    Fault(
        "stuck",
        "All entries have one value (a prediction's, its most frequent class: collapse).",
        "the value",
        "median",
        ("stuck_value", "constant"),
    ),
    Fault(
        "flood",
        "A share of the entries, not all, was replaced by one default value, or by one category. Of two "
        "categories, any change of their shares is one.",
        "share of the entries, or share@value (0.1@-1, 0.3@median)",
        "0.2",
        ("default", "default_value", "default_value_flood", "spike"),
    ),
    Fault(
        "clipping",
        "Numbers beyond a limit are held at it.",
        "share of the entries beyond it: of the highest, or, negative, of the lowest",
        "0.2",
        ("clip", "saturation", "clipped"),
    ),
    Fault(
        "precision",
        "Numbers were rounded to a coarser step.",
        "the step, or auto: ten times the column's own",
        "auto",
        ("rounding", "truncated", "truncated_precision"),
    ),
    Fault("null_surge", "Entries are missing.", "share of the entries", "0.1", ("null", "nulls", "missing")),
    Fault(
        "type_change",
        "Entries are of another type, as texts where numbers were.",
        "share of the entries",
        "1",
        ("type", "wrong_type"),
    ),
    Fault(
        "unseen_category",
        "Categories that the baseline does not know, and no one category is seen to have lost their rows.",
        "share of the entries",
        "0.1",
        ("unseen", "new_category"),
    ),
    Fault(
        "category_merge",
        "Categories were merged into one that was there before.",
        "how many of the most frequent",
        "2",
        ("merge",),
    ),
    Fault(
        "category_split",
        "One category of several came to be called by two names.",
        "share of the most frequent category's entries that the new name has",
        "0.5",
        ("split",),
    ),
    Fault(
        "population_change",
        "The mixture changed: the same values in other shares, no one of which took from all others.",
        "strength of the tilt towards high (negative: low) ranks, in standard deviations of the rank",
        "1",
        ("population", "mix"),
    ),
    Fault(
        "frozen",
        "The source stopped: the values of one moment are sent again and again, at most half as many "
        "different ones as usual (more look like a population change, one alone is stuck).",
        "rows of the moment that is repeated",
        "20",
        ("freeze", "stale"),
    ),
    Fault(
        "replayed",
        "The values of an earlier time are sent again, hour by hour as they were (a part of them, or some "
        "twice, looks like a population change).",
        "hours earlier",
        "24",
        ("replay",),
    ),
    Fault(
        "collapse",
        "A prediction hardly varies any more: its spread fell, or its most frequent class has nearly all "
        "entries.",
        "factor on the spread, or share of the entries that go to the most frequent class",
        "auto",
        ("prediction_collapse",),
    ),
)


def fault(name: str) -> Fault:
    """The fault called *name*, or by one of its aliases, in any case and with ``-`` or ``_``.

    Raises ValueError that lists the names.

    >>> fault("null-surge").name, fault("clip").name
    ('null_surge', 'clipping')
    """
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    for entry in FAULTS:
        if plain == entry.name or plain in entry.aliases:
            return entry
    raise ValueError(f"fault: expected one of {', '.join(entry.name for entry in FAULTS)}, found {name!r}")
