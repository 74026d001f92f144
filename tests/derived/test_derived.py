"""Derivation: as many entries as came, whatever they are; and which derived columns are followed."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.derived import ENDINGS, derived_names, is_derived, of_texts, of_vectors
from exporter.embedding import Frame
from exporter.learning import learn_baseline, read_states
from exporter.learning.model import merged_model
from exporter.monitor import Monitor
from exporter.monitor.state import encode
from exporter.rows import FreeText, Rows, Values
from exporter.schema import ColumnSpec, Configuration, Limits, ModelSpec
from exporter.text import text_features
from tests.derived.made import DIMENSION, texts, vectors

ODD = st.one_of(
    st.none(), st.text(max_size=9), st.binary(max_size=9), st.booleans(), st.integers(), st.floats(),
    st.just(10**400), st.just({"a": 1}), st.just([[1.0], [2.0, 3.0]]), st.just("\ud800"),
    st.lists(st.one_of(st.floats(), st.none(), st.just("1"), st.just(10**400)), max_size=4),
    st.just(np.float32(0.1)), st.just(np.ones((2, 2))),
)  # fmt: skip
FRAME = Frame(np.array([1.0, -2.0, 0.5]), 2.0)


def lengths(columns: dict[str, Values]) -> set[int]:
    return {len(values) for values in columns.values()}


def present(values: Values) -> list[bool]:
    return [value is not None and value == value for value in values]


@given(entries=st.lists(ODD, max_size=12))
@settings(max_examples=150, deadline=None)
def test_nothing_that_can_come_raises_or_loses_a_row(entries: list[Any]) -> None:
    found = of_texts("t", entries)
    assert set(found) == set(derived_names("t", "text"))
    assert lengths(found) == {len(entries)}
    fits = [
        isinstance(entry, str | bytes | int) or (isinstance(entry, float | np.floating) and entry == entry)
        for entry in entries
    ]
    assert present(found["t.tokens"]) == present(found["t.language"]) == fits
    measured = of_vectors("e", FRAME, entries)
    assert set(measured.columns) == set(derived_names("e", "embedding"))
    assert lengths(measured.columns) == {len(entries)}
    assert sum(present(measured.columns["e.cosine"])) <= len(measured.vectors) <= len(entries)


@given(
    rows=st.integers(0, 40), cut=st.integers(0, 40), kind=st.sampled_from(["f", "d", "i", "b", "O", "list"])
)
@settings(max_examples=60, deadline=None)
def test_vectors_give_the_same_numbers_in_any_batch_and_form(rows: int, cut: int, kind: str) -> None:
    wide = np.random.default_rng(rows).integers(0, 2, (rows, 3)).astype(np.float64)
    given_: Any = wide.tolist() if kind == "list" else wide.astype({"i": int, "b": bool}.get(kind, kind))
    whole = of_vectors("e", FRAME, wide).columns
    parts = [of_vectors("e", FRAME, part).columns for part in (given_[:cut], given_[cut:])]
    for name, values in whole.items():
        joined = np.concatenate([np.asarray(part[name]) for part in parts])
        np.testing.assert_array_equal(joined, np.asarray(values))


def test_arrays_of_another_width_or_shape_are_missing() -> None:
    for entries in (np.ones((4, 2)), np.ones(4), np.ones((4, 3, 1)), np.full((4, 3), np.nan)):
        found = of_vectors("e", FRAME, entries)
        assert lengths(found.columns) == {4}
        assert not any(present(found.columns["e.cosine"]))
    huge = of_vectors("e", FRAME, [[1e300, -1e300, 1e300]]).columns
    assert lengths(huge) == {1}
    for entries in (np.array(["a b", "c"]), np.array([b"a b", b"c"]), np.array(["a b", "c"], dtype=object)):
        assert of_texts("t", entries)["t.tokens"].tolist() == [2.0, 1.0]  # type: ignore[union-attr]
    assert present(of_texts("t", np.ones((3, 2)))["t.tokens"]) == [False] * 3


def test_a_text_that_comes_again_has_the_same_features() -> None:
    words = texts(40, np.random.default_rng(3), 0.5)
    chosen = [words[at] for at in np.random.default_rng(4).integers(0, 40, 300)]
    found, expected = of_texts("t", chosen), text_features(chosen)
    for ending in ENDINGS["text"]:
        np.testing.assert_array_equal(np.asarray(found[f"t.{ending}"]), np.asarray(getattr(expected, ending)))


def test_what_is_derived_is_told_by_its_name_and_by_what_else_there_is() -> None:
    assert is_derived("e.projection_3", {"e"})
    assert is_derived("p.confidence", {"p[0]", "p[1]"})
    assert not any(is_derived(name, {"t"}) for name in ("t", "t.length", "u.tokens", "p.entropy"))


def watched(spec: ModelSpec, limit: int = 500) -> Monitor:
    return Monitor(Configuration(models=(spec,), limits=Limits(columns=limit)), {}, 0.0, 0.0, learning=True)


def names(monitor: Monitor) -> set[str]:
    return {column.name for column in monitor.columns()}


def record(monitor: Monitor, **columns: Values) -> None:
    count = len(next(iter(columns.values())))
    monitor.record(Rows("m", "", "feature", 10.0, count, columns))
    assert monitor.errors["record"] == 0


TEXT = {"t", *derived_names("t", "text")}


def test_without_a_baseline_texts_derive_and_embeddings_wait_for_a_frame() -> None:
    monitor = watched(ModelSpec(name="m"))
    rng = np.random.default_rng(0)
    record(monitor, t=FreeText(texts(5, rng)), e=vectors(5, rng), c=["a"] * 5, x=np.ones(5))
    assert names(monitor) == {*TEXT, "e", "c", "x"}
    assert {name for _, _, _, name in monitor.new_derived()} == TEXT - {"t"}
    assert monitor.new_derived() == []
    views = {view.column: view for view in monitor.views(20.0)[0]}
    assert {views[name].rows for name in TEXT} == {5}
    assert views["t.language"].kind == "categorical"


def test_a_column_whose_first_rows_are_missing_derives_from_the_first_text_on() -> None:
    monitor = watched(ModelSpec(name="m", columns=(ColumnSpec(name="t", kind="text"),)))
    record(monitor, t=[None, None])
    record(monitor, t=["it is", None])
    assert {view.rows for view in monitor.views(20.0)[0] if view.column != "t"} <= {2, 4}
    late = watched(ModelSpec(name="m"))
    record(late, t=[None, None])
    assert names(late) == {"t"}
    record(late, t=FreeText(["it is", None]))
    assert names(late) == TEXT


def test_what_is_declared_unmonitored_or_comes_by_itself_is_not_derived() -> None:
    spec = ModelSpec(
        name="m",
        columns=(ColumnSpec(name="t", kind="text"), ColumnSpec(name="t.script", monitored=False)),
        only_declared=True,
    )
    monitor = watched(spec)
    record(monitor, **{"t": ["it is"], "t.tokens": np.array([77.0])})
    assert names(monitor) == TEXT - {"t.script"}
    views = {view.column: view for view in monitor.views(20.0)[0]}
    assert views["t.tokens"].windows[0].mean == 77.0


def test_derived_columns_count_towards_the_limit() -> None:
    declared = (ColumnSpec(name="y", kind="numeric"),)
    monitor = watched(ModelSpec(name="m", columns=declared), limit=5)
    record(monitor, t=FreeText(["it is"]), u=FreeText(["it is"]))
    assert names(monitor) == {"t", "u", "t.tokens", "t.ascii"}  # and the place of `y`, which is declared
    assert monitor.derived_refused == 2 * 6 - 2
    record(monitor, y=np.ones(3), t=FreeText(["it is"] * 3))
    assert names(monitor) == {"t", "u", "y", "t.tokens", "t.ascii"}


def test_vectors_of_another_dimension_do_not_move_the_sums() -> None:
    assert math.isfinite(FRAME.bandwidth)
    assert of_vectors("e", FRAME, vectors(3, np.random.default_rng(0))).vectors.shape == (0, 3)
    assert DIMENSION != 3


def test_no_text_is_in_what_is_kept_of_it() -> None:
    mark = "hush 7f3a is not to be found on any disk or page of ours "
    monitor = watched(ModelSpec(name="m"))
    record(monitor, t=FreeText([mark * 3] * 50), u=FreeText([mark] * 50))
    kept: list[object] = []
    for column in monitor.columns():
        assert b"hush" not in encode(column.state())  # few values are kept as they are
        assert column._windows is not None
        sketches = column._windows.window(0.0).sketches
        assert sketches is not None
        kept += [item.item for item in sketches.frequent.top()]
    assert {len(mark), 3 * len(mark), "en", "latin"} <= set(kept)
    assert not [item for item in kept if "hush" in str(item)]
    learnt = b"".join(repr(monitor.learner_state(part)).encode() for part in monitor.learner_parts())
    assert b"hush" not in learnt


def test_what_is_learnt_has_the_derived_columns_and_they_are_judged_by_it() -> None:
    monitor = watched(ModelSpec(name="m"))
    rng = np.random.default_rng(0)
    for hour in range(3):
        columns: dict[str, Values] = {"t": FreeText(texts(50, rng)), "e": vectors(50, rng)}
        monitor.record(Rows("m", "", "feature", 3600.0 * hour, 50, columns))
    learners = [("live", learner) for learner in read_states(monitor.learnt(nullcontext()), "live")]
    baseline = learn_baseline(merged_model(learners, "m"), 0.0, blind=False).baseline
    assert {name for _, name in baseline.columns} == {*TEXT, "e"}
    after = Monitor(Configuration(), {"m": baseline}, 0.0, 0.0)
    record(after, t=FreeText(texts(5, rng)), e=vectors(5, rng))
    assert names(after) == {*TEXT, "e"}
    assert after.new_derived() == []
