"""Summary: from a view to what the page says of it.

Promises: pure; the same view gives the same status. Columns are ranked by state (drifted, ticket, then
what was judged, then what could not be), and within it by score, so the top of the page is what to look at.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import tzinfo

import numpy as np

from exporter.page.answer import answer, notices
from exporter.page.beside import slice_lines, version_lines
from exporter.page.status import (
    RANK,
    Baseline,
    Beside,
    Bin,
    Column,
    Coverage,
    Distance,
    Model,
    QuantilePair,
    Status,
    Traffic,
    VerdictLine,
)
from exporter.statistics import BY_NAME, STATISTICS, Points, rate_interval
from exporter.traffic import DURATION_BUCKETS
from exporter.views import ColumnView, LawView, ModelView, State, View, WindowView

#: At the edges alone it says less than from the values, which follow.
_SHOWN = [s for s in STATISTICS if s.of == "counts" and s.name != "binned_kolmogorov_smirnov_distance"]


def summarise(view: View, zone: tzinfo) -> Status:
    """The status of *view*; times inside sentences are given in *zone*."""
    about = view.about
    columns = [_column(column) for column in view.columns]
    by_state: dict[State, int] = dict.fromkeys(RANK, 0)
    for column in columns:
        by_state[column.state] += 1
    models = _models(view, columns)
    law = tuple(_coverage(entry) for entry in view.law)
    total = _total(view)
    return Status(
        answer=answer(view, models, by_state, zone),
        notices=tuple(notices(view, law)),
        now=about.now,
        clock_rate=about.clock_rate,
        started=about.started,
        restarts=sum(about.recorder_restarts.values()),
        columns=len(columns),
        rows=sum(entry.rows for entry in view.rows),
        total=total,
        coverage=_covered(law),
        law=law,
        traffic=tuple(_traffic(entry) for entry in view.traffic),
        models=models,
        verdicts=by_state,
    )


def _column(view: ColumnView) -> Column:
    verdicts = tuple(
        VerdictLine(
            window=v.window, state=v.state, start=v.start, end=v.end, rows=v.rows, score=v.score, psi=v.psi,
            critical_psi=v.critical_psi, incident_start=v.incident_start, sentence=v.sentence,
            fault=v.fault, detectors=v.detectors, compared_with=v.compared_with, incident=v.incident,
            moved=v.moved,
        )
        for v in view.verdicts
    )  # fmt: skip
    # What gives the state: the worst of the windows that could be judged, the higher score first.
    leading = min(verdicts, key=lambda v: (RANK[v.state], -(v.score or 0.0)), default=None)
    window = view.windows[0] if view.windows else None
    key = "\0".join((view.model, view.version, view.role, view.column))
    return Column(
        id=f"column-{hashlib.sha256(key.encode('utf-8', 'backslashreplace')).hexdigest()[:12]}",
        column=view.column,
        role=view.role,
        kind=view.kind,
        state=leading.state if leading else "insufficient",
        sentence=leading.sentence if leading else "",
        since=leading.incident_start if leading else None,
        score=leading.score if leading else None,
        critical_psi=leading.critical_psi if leading else None,
        judged_psi=leading.psi if leading else None,
        judged_rows=leading.rows if leading else None,
        window=window.window if window else "1h",
        psi=window.psi if window else None,
        jensen_shannon=window.jensen_shannon if window else None,
        rows=window.rows if window else 0,
        missing_share=window.missing / window.rows if window and window.rows else None,
        missing_between=rate_interval(window.missing, window.rows) if window and window.rows else None,
        distances=tuple(_distances(view, window)) if window else (),
        beside=tuple(
            Beside(one.name, one.start, one.end, one.rows, one.missing / one.rows, one.psi, one.mean)
            for one in view.beside
        ),
        baseline_rows=view.baseline.rows if view.baseline else 0,
        bins=_bins(view, window),
        quantiles=_quantiles(view, window),
        verdicts=verdicts,
        blind_below=tuple(view.baseline.blind_below.items()) if view.baseline else (),
    )


def _distances(view: ColumnView, window: WindowView) -> Iterable[Distance]:
    """Each statistic of the window that it has, with what chance alone gives of it."""
    baseline = view.baseline
    if baseline is None or window.psi is None or window.bin_counts is None:
        return
    valid = max(baseline.rows - baseline.missing, 1)
    expected = np.array(baseline.bin_ratios) * valid
    rows = float(window.bin_counts.sum())
    for statistic in _SHOWN:
        if view.kind in statistic.kinds:
            value = statistic.function(expected, window.bin_counts)
            yield Distance(statistic.name, statistic.title, value, statistic.chance(expected, rows))
    for name, found in (
        ("kolmogorov_smirnov_distance", window.kolmogorov_smirnov),
        ("normed_wasserstein_distance", window.wasserstein),
    ):
        if found is not None and baseline.points is not None:
            chance = BY_NAME[name].chance(Points(*baseline.points), rows, valid, window.rank_error)
            yield Distance(name, BY_NAME[name].title, found, chance)
    if window.mmd is not None:
        yield Distance("embedding_mmd", "Squared MMD of vectors", window.mmd, window.mmd_chance)


def _bins(view: ColumnView, window: WindowView | None) -> tuple[Bin, ...]:
    counts: Sequence[int] = [0] * len(view.bin_labels)
    if window is not None and window.bin_counts is not None:
        counts = window.bin_counts.tolist()
    observed = sum(counts)
    ratios: Sequence[float | None] = [None] * len(view.bin_labels)
    if view.baseline is not None:
        ratios = view.baseline.bin_ratios
    return tuple(
        Bin(label, ratio, n / observed if observed else None, n)
        for label, ratio, n in zip(view.bin_labels, ratios, counts, strict=True)
    )


def _quantiles(view: ColumnView, window: WindowView | None) -> tuple[QuantilePair, ...]:
    expected = view.baseline.quantiles if view.baseline else {}
    observed = window.quantiles if window else {}
    return tuple(
        QuantilePair(rank, expected.get(rank), observed.get(rank))
        for rank in sorted(expected.keys() | observed.keys())
    )


def _models(view: View, columns: Iterable[Column]) -> tuple[Model, ...]:
    recorded = {(entry.model, entry.version): entry.rows for entry in view.rows}
    baselines = {
        entry.model: Baseline(entry.sha256, entry.created, entry.rows, entry.calibration)
        for entry in view.baselines
    }
    learning = {entry.model: entry.sentence for entry in view.learning}
    mismatches = {
        (entry.model, entry.version): tuple(sentence for _, sentence in entry.sentences)
        for entry in view.matches
    }
    groups: dict[tuple[str, str], list[Column]] = {key: [] for key in recorded}
    for column_view, column in zip(view.columns, columns, strict=True):
        groups.setdefault((column_view.model, column_view.version), []).append(column)
    models = []
    for (name, version), members in groups.items():
        members.sort(key=lambda column: column.moved)
        models.append(
            Model(
                model=name,
                version=version,
                rows=recorded.get((name, version), 0),
                baseline=baselines.get(name),
                learning=learning.get(name, ""),
                mismatches=mismatches.get((name, version), ()),
                predictions=tuple(column for column in members if column.role == "prediction"),
                features=tuple(column for column in members if column.role == "feature"),
                slices=slice_lines(view, name, version),
                versions=version_lines(view, name, version),
            )
        )

    def worst(model: Model) -> tuple[int, float, str, str]:
        columns = (*model.predictions, *model.features)
        state, score, *_ = min((c.moved for c in columns), default=(len(RANK), 0.0))
        return (state, score, model.model, model.version)

    return tuple(sorted(models, key=worst))


def _traffic(view: ModelView) -> Traffic:
    return Traffic(
        model=view.model,
        version=view.version,
        protocol=view.protocol,
        requests=view.requests,
        failures=dict(view.failures),
        p50_seconds=duration_quantile(view.duration_buckets, 0.5),
        p99_seconds=duration_quantile(view.duration_buckets, 0.99),
        request_bytes=view.request_bytes,
        response_bytes=view.response_bytes,
    )


def _total(view: View) -> Traffic:
    failures: dict[str, int] = {}
    for entry in view.traffic:
        for reason, n in entry.failures.items():
            failures[reason] = failures.get(reason, 0) + n
    buckets = [
        sum(counts) for counts in zip(*(entry.duration_buckets for entry in view.traffic), strict=True)
    ]
    return Traffic(
        model="",
        version="",
        protocol="",
        requests=sum(entry.requests for entry in view.traffic),
        failures=failures,
        p50_seconds=duration_quantile(buckets, 0.5),
        p99_seconds=duration_quantile(buckets, 0.99),
        request_bytes=sum(entry.request_bytes for entry in view.traffic),
        response_bytes=sum(entry.response_bytes for entry in view.traffic),
    )


def duration_quantile(cumulative: Sequence[int], rank: float) -> float | None:
    """Seconds at *rank* of durations counted in `exporter.traffic.DURATION_BUCKETS`, cumulative, +Inf last.

    Linear within a bucket, as ``histogram_quantile`` of Prometheus; infinite above the last bound (there
    Prometheus gives the bound itself, which reads as a measurement); None when nothing was counted.

    >>> duration_quantile((0,) * 8 + (10,) * 9, 0.5)
    0.175
    """
    if not cumulative or cumulative[-1] == 0:
        return None
    wanted = rank * cumulative[-1]
    at = bisect_left(cumulative, wanted)
    if at >= len(DURATION_BUCKETS):
        return float("inf")
    low = DURATION_BUCKETS[at - 1] if at else 0.0
    below = cumulative[at - 1] if at else 0
    return low + (DURATION_BUCKETS[at] - low) * (wanted - below) / (cumulative[at] - below)


def _coverage(law: LawView) -> Coverage:
    return Coverage(
        protocol=law.protocol,
        seen=law.seen,
        recorded=law.recorded,
        sampled_out=law.sampled_out,
        dropped=dict(law.dropped),
        undecodable=dict(law.undecodable),
        unobservable=dict(law.unobservable),
        ignored=dict(law.ignored),
        unsettled=law.unsettled,
    )


def _covered(law: Iterable[Coverage]) -> float | None:
    recorded = carried = 0
    for entry in law:
        recorded += entry.recorded
        carried += sum(entry.terms.values()) - entry.terms["ignored"] - entry.unsettled
    return recorded / carried if carried else None
