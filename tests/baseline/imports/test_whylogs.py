"""whylogs: a profile that whylogs itself wrote (make_profile.py) becomes a baseline, without whylogs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporter.baseline import Baseline, BaselineError
from exporter.baseline.imports import Imported, import_baseline

PROFILE = Path(__file__).parent / "profile.bin"


@pytest.fixture(scope="module")
def imported() -> Imported:
    return import_baseline(PROFILE, model="m", created=0.0)


def column(imported: Imported, name: str) -> tuple[str, int, int, int, int]:
    found = imported.baseline.columns["feature", name]
    return found.kind, found.rows, found.missing, found.mismatched, found.valid


def test_every_column_has_the_counts_that_pandas_has(imported: Imported) -> None:
    assert {name: column(imported, name) for _, name in imported.baseline.columns} == {
        "age": ("numeric", 1500, 68, 0, 1432),
        "carrier": ("categorical", 1500, 83, 0, 1417),
        "member": ("boolean", 1500, 0, 0, 1500),
        "mixed": ("numeric", 1500, 0, 500, 1000),
        "name": ("categorical", 1500, 0, 0, 1500),
        "visits": ("numeric", 1500, 0, 0, 1500),
    }


def test_categories_keep_their_counts(imported: Imported) -> None:
    carrier, member = (imported.baseline.columns["feature", name] for name in ("carrier", "member"))
    assert (carrier.bins.labels, carrier.counts.tolist()) == (
        ("00 UA", "01 AA", "02 DL", "03 other"),
        [743, 438, 236, 0],
    )
    assert (member.bins.labels[:2], member.counts.tolist()) == (("00 false", "01 true"), [1067, 433, 0])


def test_small_numbers_have_a_bin_each_with_their_counts(imported: Imported) -> None:
    visits = imported.baseline.columns["feature", "visits"]
    held = dict(zip(visits.bins.labels, visits.counts.tolist(), strict=True))
    # Of more than 1,024 values the sketch keeps samples; whole numbers stay within its error.
    assert held["02 [1, 2)"] == pytest.approx(419, abs=0.01 * 1500)
    assert held["03 [2, 3)"] == pytest.approx(413, abs=0.01 * 1500)
    assert dict(visits.top)[1.0] == pytest.approx(419 / 1500, abs=0.01)


def test_measurements_fall_into_sixteen_even_bins(imported: Imported) -> None:
    age = imported.baseline.columns["feature", "age"]
    assert age.bins.size == 18
    np.testing.assert_allclose(age.shares[1:-1], 1 / 16, atol=0.008)
    assert age.quantiles is not None
    assert age.moments is not None
    assert age.quantiles.quantile([0.5])[0] == pytest.approx(40, abs=1)
    assert (age.moments.mean, age.moments.standard_deviation) == pytest.approx((40, 12), abs=0.5)


def test_what_the_profile_does_not_tell_is_told(imported: Imported) -> None:
    assert not imported.baseline.columns["feature", "name"].known_complete
    assert imported.baseline.state == "uncalibrated"
    assert [note.split(":")[0] for note in imported.notes] == ["empty", "name", "uncalibrated"]
    assert "imported from whylogs" in imported.baseline.origin.builder


def test_it_is_a_normal_file(imported: Imported, tmp_path: Path) -> None:
    imported.baseline.write(tmp_path / "b.json")
    assert Baseline.load(tmp_path / "b.json").sealed() == imported.baseline.sealed()


@pytest.mark.parametrize("size", [4, 5, 60, 700, 5_000, 40_000])
def test_a_profile_that_is_cut_short_is_refused_with_its_name(size: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.bin"
    path.write_bytes(PROFILE.read_bytes()[:size])
    with pytest.raises(BaselineError) as caught:
        import_baseline(path, model="m", created=0.0)
    assert caught.value.file == str(path)


def test_other_bytes_in_its_place_never_raise_another_error(tmp_path: Path) -> None:
    good = np.frombuffer(PROFILE.read_bytes(), np.uint8)
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.bin"
    for _ in range(60):
        bad = good.copy()
        bad[rng.integers(4, 3_000, 3)] = rng.integers(0, 256, 3)
        path.write_bytes(bad.tobytes())
        try:
            import_baseline(path, model="m", created=0.0)
        except BaselineError as error:
            assert error.file == str(path)  # noqa: PT017 most damage is refused, some only changes a number
