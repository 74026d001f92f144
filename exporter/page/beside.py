"""Beside: slices and versions of a model version, as lines of the page."""

from __future__ import annotations

from exporter.page.status import RANK, SliceLine, VersionLine
from exporter.views import SliceView, View


def slice_lines(view: View, model: str, version: str) -> tuple[SliceLine, ...]:
    """The slices of a model version that have rows, those that moved most first within a slice."""
    parts = [
        _line(part) for part in view.slices if (part.model, part.version) == (model, version) and part.rows
    ]
    order = {name: at for at, name in enumerate(dict.fromkeys(part.slice for part in parts))}
    parts.sort(key=lambda part: (order[part.slice], RANK[part.state], -(part.score or 0.0), -part.rows))
    return tuple(parts)


def _line(part: SliceView) -> SliceLine:
    worst = min(part.verdicts, key=lambda verdict: (RANK[verdict.state], -(verdict.score or 0.0)))
    entries = sum(part.entries.values())
    return SliceLine(
        slice=part.slice,
        value=part.value,
        rows=part.rows,
        missing_share=sum(part.missing.values()) / entries if entries else None,
        state=worst.state,
        window=worst.window,
        score=worst.score,
        sentence=worst.sentence,
    )


def version_lines(view: View, model: str, version: str) -> tuple[VersionLine, ...]:
    """What a model version differs by from another."""
    return tuple(
        VersionLine(
            other=pair.other, window=pair.window, start=pair.start, cause=pair.cause, sentence=pair.sentence
        )
        for pair in view.versions
        if (pair.model, pair.version) == (model, version)
    )
