"""The survival function has one home, and its old name still works."""

from __future__ import annotations

import pytest
from scipy import stats

from exporter.baseline import tail
from exporter.statistics import chi_square_survival


@pytest.mark.parametrize("degrees", [1, 2, 3, 17, 100, 999])
def test_it_is_scipys(degrees: int) -> None:
    for factor in (0.01, 0.5, 1.0, 1.5, 3.0):
        theirs = stats.chi2.sf(factor * degrees, degrees)
        assert chi_square_survival(factor * degrees, degrees) == pytest.approx(theirs, rel=1e-9)


def test_the_baseline_uses_the_same_one() -> None:
    assert tail.chi_square_survival is chi_square_survival
