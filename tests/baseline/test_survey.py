from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from exporter.baseline import survey as surveys
from exporter.baseline.survey import ColumnSurvey, Sample
from exporter.schema import ColumnSpec


def survey(spec: ColumnSpec | None = None, from_csv: bool = True, limit: int = 10_000) -> ColumnSurvey:
    return ColumnSurvey("c", 0, "feature", spec, from_csv, Sample(limit))


def surveyed(values: list[Any], spec: ColumnSpec | None = None, parts: int = 1) -> ColumnSurvey:
    found = survey(spec)
    for part in np.array_split(np.arange(len(values)), parts):
        found.add(pa.array([values[at] for at in part], pa.string()), None)
    found.resolve()
    return found


def test_a_sample_is_everything_until_it_does_not_fit() -> None:
    sample = Sample(1000)
    sample.add(np.arange(1000.0))
    assert sample.complete
    assert sample.values().tolist() == np.arange(1000.0).tolist()
    sample.add(np.array([1.0]))
    assert not sample.complete


def test_a_sample_is_fair_to_early_and_late_values_and_always_the_same() -> None:
    def taken() -> np.ndarray:
        sample = Sample(8_192)
        for start in range(0, 300_000, 1_000):
            sample.add(np.arange(start, start + 1_000, dtype=np.float64))
        return sample.values()

    values = taken()
    assert 4_096 <= values.size <= 8_192
    thirds = np.histogram(values, bins=3, range=(0, 300_000))[0] / values.size
    assert thirds == pytest.approx([1 / 3] * 3, abs=0.03)
    assert np.array_equal(values, taken())


def test_the_kind_waits_for_the_first_batch_with_a_value() -> None:
    found = surveyed([None] * 50 + ["1", "2"], parts=4)
    assert (found.kind, found.rows, found.missing) == ("numeric", 52, 50)


def test_texts_after_numbers_are_mismatches_and_the_first_is_shown() -> None:
    found = surveyed(["1"] * 50 + ["oops", "more"], parts=26)
    assert (found.kind, found.mismatched, found.example) == ("numeric", 2, "'oops'")


def test_names_of_rows_are_text_and_not_categories() -> None:
    found = surveyed([f"id-{at}" for at in range(1_000)])
    assert found.kind == "text"
    assert found.moments.count == 1_000
    assert found.distinct_count == pytest.approx(1_000, rel=0.1)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([f"c{at}" for at in range(100)], "categorical"),  # too few to tell
        ([f"c{at}" for at in range(200)] * 5, "categorical"),  # each five times
        ([f"c{at}" for at in range(201)] * 4, "text"),
        (["x" * 70] * 300, "text"),  # one long text is no category
        (["x" * 60] * 300, "categorical"),
    ],
)
def test_many_or_long_texts_are_text(values: list[str], kind: str) -> None:
    assert surveyed(values).kind == kind


def test_texts_are_measured_whole() -> None:
    found = surveyed(["é" * 5_000, "x" * 3, None] * 50)
    assert (found.kind, found.missing, found.distinct_count) == ("text", 50, 2.0)
    assert (found.moments.minimum, found.moments.maximum) == (3.0, 5_000.0)


def test_more_names_than_the_dictionary_holds_are_text_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "DICTIONARY", 100)
    found = surveyed([f"id-{at}" for at in range(1_000)] * 9, parts=20)
    assert (found.kind, found.rows, found.moments.count) == ("text", 9_000, 9_000)
    assert found.dictionary == {}
    assert found.distinct_count == pytest.approx(1_000, rel=0.1)


def test_declared_categories_stay_categories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "DICTIONARY", 100)
    found = surveyed([f"id-{at}" for at in range(1_000)], ColumnSpec(name="c", kind="categorical"), parts=20)
    assert found.kind == "categorical"
    assert not found.dictionary_complete
    assert len(found.dictionary) <= 100


def test_the_frequent_survive_when_the_dictionary_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "DICTIONARY", 100)
    rare = iter(f"id-{at}" for at in range(2_000))
    values = [name for _ in range(1_000) for name in ("UA", next(rare))]
    found = surveyed(values, ColumnSpec(name="c", kind="categorical"), parts=100)
    assert found.dictionary["UA"].count == 1_000


def test_a_category_remembers_its_first_and_last_hour() -> None:
    found = survey()
    found.add(pa.array(["a", "b", "a"]), np.array([5, 6, 9]))
    found.add(pa.array(["b", "a", None]), np.array([3, surveys.NO_HOUR, 99]))
    seen = {name: (category.first, category.last) for name, category in found.dictionary.items()}
    assert seen == {"a": (5, 9), "b": (3, 6)}


def test_infinite_numbers_are_counted_and_not_sampled() -> None:
    found = surveyed(["1", "inf", "-inf", "2"])
    assert (found.infinite, found.moments.count, found.sample.values().tolist()) == (2, 2, [1.0, 2.0])
