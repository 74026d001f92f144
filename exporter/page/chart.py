"""Chart: the distribution of the baseline and of the window drawn over each other, as inline SVG.

Promises: one drawing for any width (bars scale, text does not), no script, no style attribute (so the
page's CSP needs no exception), every label escaped. Bins have equal width whatever they span: quantile
bins make the baseline nearly flat, so what stands out is what moved; an atom or a far tail stays visible,
which no linear axis could show.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from markupsafe import Markup, escape

from exporter.page.status import Bin, Column
from exporter.page.words import count, share, spell, tick
from exporter.schema import Kind

HEIGHT = 108
"""Pixels of the plot, without the axis below it."""

#: Pixels of the narrowest plot, on a phone of 360 px, and of a character at 11 px. Labels that would collide
#: there are left out everywhere; the table of numbers under each chart has all of them.
NARROWEST, CHARACTER = 264.0, 6.4

_TOP = 1000.0
"""Units of height in the coordinates of the bars; one bin is one unit wide."""

_INTERVAL = re.compile(r"[\[(](?P<low>[^,]+), (?P<high>.+)\)")
_ATOM = re.compile(r"= (?P<value>.+)")
_ABOVE = re.compile(r">=? (?P<low>.+)")
_NUMBERED = re.compile(r"\d+ ")


def plain(label: str) -> str:
    """A bin's label without the number that makes it sort.

    >>> plain("03 [100, 250)")
    '[100, 250)'
    """
    return _NUMBERED.sub("", label, count=1)


def draw(column: Column) -> Markup:
    """The chart of *column*, or nothing when it has no bins."""
    bins = visible(column.bins)
    if not bins:
        return Markup()
    top = max(max(b.baseline or 0.0, b.window or 0.0) for b in bins) * 1.06 or 1.0
    line, scale = _grid(top)
    return Markup(
        f'<div class="chart"><svg class="drawing" role="img" height="{HEIGHT + 22}" '
        f'aria-label="{escape(describe(column))}">{line}{_bars(bins, top)}{_axis(column.kind, bins)}</svg>'
        f'<svg class="scale" height="{HEIGHT + 22}" aria-hidden="true">{scale}</svg></div>'
    )


def visible(bins: Sequence[Bin]) -> tuple[Bin, ...]:
    """The bins that hold something; between the atoms of whole numbers there is often nothing to hold."""
    return tuple(b for b in bins if b.baseline or b.count) or tuple(bins)


def describe(column: Column) -> str:
    """What the chart shows, in words, for who can not see it."""
    bins = visible(column.bins)
    last = spell(column.window)
    known = any(b.baseline is not None for b in bins)
    where = f"in the baseline and in the {last}" if known else f"in the {last}"
    about = f"{column.column}: shares of {len(bins)} bins {where}"
    if not column.rows:
        return f"{about}. No rows in the {last}."
    if not known:
        most = sorted(bins, key=lambda b: -(b.window or 0.0))
        return f"{about}. Most: {'; '.join(f'{plain(b.label)}: {share(b.window)}' for b in most[:3])}."
    moved = sorted(bins, key=lambda b: -abs((b.window or 0.0) - (b.baseline or 0.0)))
    changes = "; ".join(f"{plain(b.label)}: {share(b.baseline)} to {share(b.window)}" for b in moved[:3])
    return f"{about}. Largest changes: {changes}."


def _grid(top: float) -> tuple[str, str]:
    """A line at a round share, and its label for the margin, so that heights can be read."""
    step = next((s for s in (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005) if s < 0.95 * top), None)
    if step is None:
        return "", ""
    y = round(HEIGHT * (1 - step / top), 1)
    return (
        f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>',
        f'<text class="tick" x="6" y="{y + 4:.1f}">{100 * step:g} %</text>',
    )


def _bars(bins: Sequence[Bin], top: float) -> str:
    def height(value: float | None) -> float:
        return round(_TOP * (value or 0.0) / top, 1)

    # Few bins get slim bars: three bars of a third of the page each would look like flags.
    inset = 0.16 if len(bins) > 6 else 0.3
    steps = "".join(f"H{at}V{_TOP - height(b.baseline):g}H{at + 1}" for at, b in enumerate(bins))
    outline = f"M0 {_TOP:g}{steps}V{_TOP:g}"
    view_box = f'viewBox="0 0 {len(bins)} {_TOP:g}" preserveAspectRatio="none"'
    parts = [
        f'<svg class="plot" width="100%" height="{HEIGHT}" {view_box}>',
        f'<path class="reference-area" d="{outline}Z"/>',
    ]
    for at, b in enumerate(bins):
        tall = height(b.window)
        where = f'x="{at + inset:g}" y="{_TOP - tall:g}" width="{1 - 2 * inset:g}" height="{tall:g}"'
        words = f"{plain(b.label)}: baseline {share(b.baseline)}, now {share(b.window)} ({count(b.count)})"
        parts.append(
            f'<g class="bin"><title>{escape(words)}</title>'
            f'<rect class="hit" x="{at}" y="0" width="1" height="{_TOP:g}"/><rect class="live" {where}/></g>'
        )
    parts.append(f'<path class="reference-line" d="{outline}"/></svg>')
    return "".join(parts) + f'<line class="base" x1="0" x2="100%" y1="{HEIGHT}" y2="{HEIGHT}"/>'


@dataclass(frozen=True, slots=True)
class _Tick:
    at: float
    """Position, 0 to 1."""
    text: str
    anchor: str = "middle"


def _axis(kind: Kind, bins: Sequence[Bin]) -> str:
    ticks = _numeric_ticks if kind in ("numeric", "text", "embedding") else _category_ticks
    shown: list[_Tick] = []
    taken: list[tuple[float, float]] = []
    for entry in map(_inside, ticks(bins)):
        low, high = _extent(entry)
        if not any(low < end and start < high for start, end in taken):
            shown.append(entry)
            taken.append((low, high))
    return "".join(
        f'<text class="tick" x="{100 * entry.at:.2f}%" y="{HEIGHT + 16}" text-anchor="{entry.anchor}">'
        f"{escape(entry.text)}</text>"
        for entry in sorted(shown, key=lambda entry: entry.at)
    )


def _inside(entry: _Tick) -> _Tick:
    """*entry*, moved to an end of the axis when it would reach over it."""
    low, high = _extent(entry)
    if low < 0:
        return _Tick(0.0, entry.text, "start")
    return _Tick(1.0, entry.text, "end") if high > 1 else entry


def _extent(entry: _Tick) -> tuple[float, float]:
    """From where to where *entry* reaches on the narrowest plot, with a gap."""
    width = (len(entry.text) * CHARACTER + 8) / NARROWEST
    low = entry.at - {"start": 0.0, "middle": width / 2, "end": width}[entry.anchor]
    return low, low + width


def _numeric_ticks(bins: Sequence[Bin]) -> Iterable[_Tick]:
    """Edges and atoms: the lowest and highest first, then atoms, then the rest evenly."""
    edges: list[_Tick] = []
    atoms: list[_Tick] = []
    k = len(bins)
    for at, b in enumerate(bins):
        label = plain(b.label)
        if match := _ATOM.fullmatch(label):
            atoms.append(_Tick((at + 0.5) / k, _number(match["value"])))
        elif label.startswith(("[", ">=")) and (
            match := _INTERVAL.fullmatch(label) or _ABOVE.fullmatch(label)
        ):
            # "(" and ">" follow an atom, which is labelled itself.
            edges.append(_Tick(at / k, _number(match["low"])))
    if match := _INTERVAL.fullmatch(plain(bins[-1].label)):
        edges.append(_Tick(1.0, _number(match["high"])))
    ends = [edges[0], edges[-1]] if edges else []
    # Halves, then quarters, then eighths: what is left out for want of room is left out evenly.
    halves = chain.from_iterable(range(step, len(edges), 2 * step) for step in (8, 4, 2, 1))
    return chain(ends, atoms, (edges[at] for at in halves))


def _category_ticks(bins: Sequence[Bin]) -> Iterable[_Tick]:
    """Categories, the largest first, shortened to what fits."""
    fits = max(2, int(NARROWEST / len(bins) / CHARACTER - 0.6))
    ranked = sorted(range(len(bins)), key=lambda at: -max(bins[at].baseline or 0.0, bins[at].window or 0.0))
    for at in ranked:
        text = plain(bins[at].label)
        if len(text) > fits:
            text = f"{text[: fits - 1]}…" if fits > 3 else text
        yield _Tick((at + 0.5) / len(bins), text)


def _number(text: str) -> str:
    try:
        return tick(float(text))
    except ValueError:
        return text
