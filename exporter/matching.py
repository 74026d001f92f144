"""Matching: does the traffic have the columns that the baseline was trained on: names, kinds and order?

Told once, after the first rows, since each of these makes every later verdict worthless: a renamed column
looks like a vanished one, a number sent as text like a column of mismatches, and two swapped columns like
drift of both.

Promises: pure; a sentence for each finding, the gravest first (missing, kinds, order, extra); silent where
there are too few rows to say anything.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np

from exporter.baseline import Baseline, BaselineColumn
from exporter.profile import Layout, infer_kind
from exporter.rows import Role, Values
from exporter.schema import Kind, ModelSpec

ColumnKey: TypeAlias = tuple[Role, str]

#: Rows that must have been seen before anything is said of a column's values.
ROWS: Final = 50
#: Of the present entries, to call a column of another kind.
KIND_SHARE: Final = 0.9
#: Divergence from the own baseline, in nats, from which a column is taken to hold something else: a shift of
#: a standard deviation has 0.5, all of it in two of sixteen bins 2.1.
MISFIT: Final = 1.0
#: And from another column's, below which it is taken to hold that.
FIT: Final = 0.25
#: Columns that may be taken for another, and among how many: 0.1 ms for each pair.
_MISFITS: Final = 16
_OTHERS: Final = 64
#: Likeness of names, 0 to 1, from which one is taken for the other misspelt.
_LIKE: Final = 0.75
_KINDS: Final[Mapping[Kind, str]] = {
    "numeric": "numbers",
    "categorical": "categories",
    "boolean": "true and false",
    "text": "text",
    "embedding": "embeddings",
}


Reason: TypeAlias = Literal["missing", "kind", "order", "extra"]


class Finding(NamedTuple):
    """One thing that does not match."""

    reason: Reason
    role: Role
    column: str
    """The baseline's, or when `reason` is ``extra`` that of the traffic."""
    sentence: str
    columns: int = 1
    """Columns it is said of."""


def mismatch(baseline: Baseline, spec: ModelSpec | None, seen: Mapping[ColumnKey, Values]) -> list[str]:
    """The sentences of `findings`."""
    return [finding.sentence for finding in findings(baseline, spec, seen)]


def findings(baseline: Baseline, spec: ModelSpec | None, seen: Mapping[ColumnKey, Values]) -> list[Finding]:
    """What of *seen*, the first rows of each column, does not match *baseline*.

    *spec* are the model's declarations: columns that it leaves unmonitored are not missed, and with
    `only_declared` none is extra. Empty *seen* gives nothing: no traffic is no mismatch.
    """
    if not seen:
        return []
    declared = (
        {} if spec is None else {(role, each.name): each for role in _ROLES for each in spec.specs(role)}
    )
    ignored = {key for key, each in declared.items() if not each.monitored}
    wanted = {key: column for key, column in baseline.columns.items() if key not in ignored}
    roles = {role for role, _ in seen}  # of a role without any traffic nothing is known yet
    missing = [key for key in wanted if key not in seen and key[0] in roles]
    only = spec is not None and spec.only_declared
    extra = [
        key for key in seen if key not in wanted and key not in ignored and not (only and key not in declared)
    ]
    both = {key: (wanted[key], seen[key]) for key in wanted if key in seen}
    return [
        *_names(missing, extra),
        *_kinds(both),
        *_order(both),
        *(
            Finding("extra", role, name, f"{role} {name!r} is not in the baseline: it is learnt, not judged")
            for role, name in extra
        ),
    ]


_ROLES: Final[tuple[Role, ...]] = ("feature", "prediction")


def _names(missing: Sequence[ColumnKey], extra: Sequence[ColumnKey]) -> list[Finding]:
    found = []
    for role, name in missing:
        others = {_plain(other): other for kind, other in extra if kind == role}
        near = difflib.get_close_matches(_plain(name), others, n=1, cutoff=_LIKE)
        hint = f"; {others[near[0]]!r} does, did you mean that?" if near else ""
        sentence = f"{role} {name!r} of the baseline does not come{hint}"
        found.append(Finding("missing", role, name, sentence))
    return found


def _plain(name: str) -> str:
    """A name without case and separators, so that passengerCount and passenger_count are the same."""
    return "".join(character for character in name.casefold() if character.isalnum())


def _kinds(both: Mapping[ColumnKey, tuple[BaselineColumn, Values]]) -> list[Finding]:
    found = []
    for (role, name), (column, values) in both.items():
        kind = infer_kind(values)
        if kind is None or kind == column.kind:
            continue
        tally = Layout(column.kind).read(values)[0]
        present = tally.rows - tally.missing
        if present < ROWS or tally.type_mismatch < KIND_SHARE * present:
            continue
        described = _described(kind, values)
        sentence = f"{role} {name!r} comes as {described}, the baseline has {_KINDS[column.kind]}"
        found.append(Finding("kind", role, name, sentence))
    return found


def _described(kind: Kind, values: Values) -> str:
    texts = [value for value in values if isinstance(value, str)][:ROWS]
    if texts and all(_is_number(text) for text in texts):
        return "numbers in quotes"
    return _KINDS[kind]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _order(both: Mapping[ColumnKey, tuple[BaselineColumn, Values]]) -> list[Finding]:
    """Columns that hold what another held in training, as a client that sends them in another order does."""
    fitting: dict[ColumnKey, BaselineColumn] = {}
    misfits: list[ColumnKey] = []
    for key, (column, values) in both.items():
        if column.valid >= ROWS:
            fitting[key] = column
            own = _divergence(column, values)
            if own is not None and own > MISFIT:
                misfits.append(key)
    takes: dict[ColumnKey, ColumnKey] = {}
    likely = list(dict.fromkeys((*misfits, *fitting)))[:_OTHERS]  # those taken for another are misfits, too
    for key in misfits[:_MISFITS]:
        others = {
            other: divergence
            for other in likely
            if other != key and other[0] == key[0]
            if (divergence := _divergence(fitting[other], both[key][1])) is not None
        }
        best = min(others, key=lambda each: others[each], default=None)
        if best is not None and others[best] < FIT:
            takes[key] = best
    found = []
    for key, other in takes.items():
        if takes.get(other) == key:
            if key < other:
                sentence = (
                    f"{key[0]}s {key[1]!r} and {other[1]!r} look swapped: each fits the other's baseline"
                )
                found.append(Finding("order", *key, sentence, 2))
        elif other in misfits:
            sentence = f"{key[0]} {key[1]!r} looks like {other[1]!r} of the baseline: is the order another?"
            found.append(Finding("order", *key, sentence))
    return found


def _divergence(column: BaselineColumn, values: Values) -> float | None:
    """Kullback-Leibler divergence, in nats, of *values* from the baseline over its bins, less chance.

    None where too few of them are of its kind. Likelihood would not do: quantile bins are equally likely.
    """
    counts = Layout(column.kind, column.bins).read(values)[0].bin_counts
    if counts is None or counts.sum() < ROWS:
        return None
    n = int(counts.sum())
    p = counts / n
    q = (column.counts + 0.5) / (column.valid + 0.5 * column.bins.size)
    some = p > 0
    chance = (column.bins.size - 1) / (2 * n)  # of 2 n KL, which has the χ² distribution
    return float((p[some] * np.log(p[some] / q[some])).sum()) - chance
