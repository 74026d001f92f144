"""Tell: what the monitors heard as lines in order, with one name for one incident.

Promises: the same lines whether one monitor judged all columns or several a part each. Lines come in the
order of `Line.order`, held back for a day at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from exporter.backtest.covered import Span
from exporter.backtest.lines import Line, not_judged, utc
from exporter.backtest.replay import Batch, ColumnKey, Joined, Left
from exporter.monitor.incident import Incidents
from exporter.tumbling import WINDOWS

_ORDER: Final = {window: at for at, window in enumerate(WINDOWS)}


def tell(
    batches: Iterator[Sequence[Batch]],
    columns: Sequence[ColumnKey],
    spans: Mapping[str, Sequence[Span]],
    wanted: Sequence[str],
) -> Iterator[Line]:
    """The lines of the windows *wanted* from *batches*, one of each monitor at each moment.

    *columns* are in the order in which a monitor that had them all would judge them.
    """
    place = {key: at for at, key in enumerate(columns)}
    names = _Names()
    order = sorted((utc(span.start), window, span) for window in set(wanted) for span in spans[window])
    verdicts: dict[tuple[str, str], list[Line]] = {}
    told = 0
    for together in batches:
        heard = [one for batch in together for one in batch.heard]
        heard.sort(
            key=lambda one: (_ORDER[one.line.window], one.line.start, place[one.line.role, one.line.column])
        )
        for line, events in heard:
            for event in events:
                names.happened(event)
            if line.window in wanted:
                verdicts.setdefault((line.start, line.window), []).append(names.named(line))
        now = together[0].time
        while told < len(order) and order[told][2].end <= now:
            yield from _lines(*order[told], verdicts, columns)
            told += 1
    for start, window, span in order[told:]:
        yield from _lines(start, window, span, verdicts, columns)


def _lines(
    start: str,
    window: str,
    span: Span,
    verdicts: dict[tuple[str, str], list[Line]],
    columns: Sequence[ColumnKey],
) -> list[Line]:
    if span.whole:
        lines = verdicts.pop((start, window), [])
    else:
        lines = [not_judged(*key, window, span.start, span.end, span.rows) for key in columns]
    return sorted(lines, key=lambda line: line.order)


class _Names:
    """The names of incidents over all columns, from what happened to each column's own."""

    def __init__(self) -> None:
        self._incidents = Incidents()
        self._by_token: dict[str, str] = {}

    def happened(self, event: Joined | Left) -> None:
        if isinstance(event, Joined):
            self._by_token[event.token] = self._incidents.join(event.column, event.start, event.end)
        else:
            self._incidents.leave(event.column)

    def named(self, line: Line) -> Line:
        if line.incident is None or line.incident not in self._by_token:
            return line
        return msgspec.structs.replace(line, incident=self._by_token[line.incident])
