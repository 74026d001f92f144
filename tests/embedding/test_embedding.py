"""Embeddings: sums that merge exactly, find what a norm does not, and stay silent when nothing has changed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist

from exporter.embedding import Frame, Projections, Spread, drift, features, mmd, vectors_of
from exporter.embedding.frame import FREQUENCIES, directions

DIMENSION = 48
RNG = np.random.default_rng(21)
CENTRES = RNG.normal(size=(5, DIMENSION))


def sentences(n: int, rng: np.random.Generator, weights: Any = None) -> np.ndarray:
    """Unit vectors in five clusters, as encoders of sentences give them."""
    centre = rng.choice(5, size=n, p=weights)
    vectors = CENTRES[centre] + 0.6 * rng.normal(size=(n, DIMENSION))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


BASE = sentences(20_000, RNG)
FRAME = Frame.fit(BASE)
SPREAD = Spread.fit(FRAME, BASE)


def summed(vectors: np.ndarray, frame: Frame = FRAME) -> Projections:
    projections = Projections()
    projections.update(frame, vectors)
    return projections


EXPECTED = summed(BASE)


def p_value(vectors: np.ndarray) -> float:
    return drift(EXPECTED, summed(vectors), SPREAD).p_value


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 300), max_size=5), order=st.randoms())
def test_any_order_and_split_gives_the_same_bytes(cuts: list[int], order: Any) -> None:
    vectors = BASE[:300]
    whole = summed(vectors)
    at = list(range(300))
    order.shuffle(at)
    merged = Projections()
    for part in np.split(vectors[at], sorted(cuts)):
        piece = summed(part)
        before = piece.to_bytes()
        merged.merge(piece)
        assert piece.to_bytes() == before
    assert merged.to_bytes() == whole.to_bytes()
    assert Projections.from_bytes(merged.to_bytes()).to_bytes() == whole.to_bytes()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"P1",
        b"XX" + EXPECTED.to_bytes()[2:],
        EXPECTED.to_bytes()[:-1],
        EXPECTED.to_bytes()[:4] + b"\x01" + b"\0" * 7 + EXPECTED.to_bytes()[12:],
    ],
    ids=["nothing", "a tag", "another tag", "a byte short", "fewer vectors than the sums need"],
)
def test_damaged_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^projections: "):
        Projections.from_bytes(data)


def test_memory_does_not_grow() -> None:
    assert len(EXPECTED.to_bytes()) == len(Projections().to_bytes()) == 1036
    assert EXPECTED.nbytes == Projections().nbytes < 1500


def test_directions_are_normal_and_the_same_in_every_process() -> None:
    found = directions(200)
    assert stats.kstest(found.ravel(), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(found)[np.triu_indices(FREQUENCIES, 1)]).max() < 0.35
    # Pinned: sums of two versions must add up.
    assert directions(3)[0].tolist() == pytest.approx(
        [0.2914952473610892, 0.3352544083747528, 2.1658748148996683], abs=1e-12
    )


def test_mmd_is_that_of_the_kernel() -> None:
    rng = np.random.default_rng(2)
    a, b = sentences(800, rng), sentences(800, rng, [0.6, 0.1, 0.1, 0.1, 0.1])

    def kernel(u: np.ndarray, v: np.ndarray) -> float:
        return float(np.exp(-cdist(u, v, "sqeuclidean") / (2 * FRAME.bandwidth**2)).mean())

    exact = kernel(a, a) + kernel(b, b) - 2 * kernel(a, b)
    assert mmd(summed(a), summed(b)) == pytest.approx(exact, rel=0.35)  # of 64 frequencies
    assert mmd(summed(a), summed(b)) == mmd(summed(b), summed(a))


@pytest.mark.parametrize("n", [30, 300, 1_500])
def test_nothing_is_found_where_nothing_has_changed(n: int) -> None:
    rng = np.random.default_rng(n)
    found = np.array([p_value(sentences(n, rng)) for _ in range(100)])
    # At most a binomial's 1e-4 tail above what alpha allows.
    for alpha in (0.001, 0.01, 0.1):
        assert (found < alpha).sum() <= stats.binom.isf(1e-4, 100, alpha) + 1
    assert 0.3 < np.median(found) < 0.7


@pytest.mark.parametrize("n", [100, 4_000])
def test_chance_is_the_mean_where_nothing_has_changed(n: int) -> None:
    rng = np.random.default_rng(n)
    found = [drift(EXPECTED, summed(sentences(n, rng)), SPREAD) for _ in range(30)]
    assert np.mean([one.mmd_squared for one in found]) == pytest.approx(found[0].chance, rel=0.15)


def rotated(vectors: np.ndarray) -> np.ndarray:
    """The same vectors by a model whose dimensions stand in another order: every norm is what it was."""
    return vectors[:, ::-1]


def test_a_rotation_is_found_and_the_norm_does_not_see_it() -> None:
    live = sentences(500, np.random.default_rng(3))
    turned = rotated(live)
    np.testing.assert_allclose(features(FRAME, turned)["norm"], features(FRAME, live)["norm"], rtol=1e-12)
    assert p_value(turned) < 1e-12
    assert p_value(live) > 0.01


def test_another_mix_of_the_same_clusters_is_found_and_the_norm_does_not_see_it() -> None:
    rng = np.random.default_rng(4)
    live = sentences(2_000, rng, [0.4, 0.15, 0.15, 0.15, 0.15])
    norms = [features(FRAME, vectors)["norm"] for vectors in (live, BASE)]
    assert np.ptp(np.concatenate(norms)) < 1e-12
    assert p_value(live) < 1e-6


def test_a_shift_of_half_a_standard_deviation_is_found() -> None:
    rng = np.random.default_rng(5)
    live = sentences(1_000, rng)
    assert p_value(live + 0.5 * BASE.std(axis=0)) < 1e-9


def test_a_small_change_needs_many_vectors() -> None:
    rng = np.random.default_rng(6)
    few, many = (p_value(sentences(n, rng, [0.23, 0.1925, 0.1925, 0.1925, 0.1925])) for n in (50, 20_000))
    assert many < 1e-4 < few


def test_natural_variation_widens_what_is_usual() -> None:
    live = summed(sentences(5_000, np.random.default_rng(7), [0.3, 0.175, 0.175, 0.175, 0.175]))
    bare = drift(EXPECTED, live, SPREAD)
    assert bare.p_value < 1e-6
    widened = drift(EXPECTED, live, SPREAD, natural=bare.mmd_squared)
    assert widened.mmd_squared == bare.mmd_squared
    assert widened.p_value > 0.1


def test_a_constant_vector_and_nothing_at_all_have_an_answer() -> None:
    same = np.ones((10, 3))
    frame = Frame.fit(same)
    spread = Spread.fit(frame, same)
    assert (frame.bandwidth, spread) == (1.0, Spread(0.0, 0.0))
    one, nothing = summed(same, frame), Projections()
    assert drift(one, one, spread) == (0.0, 0.0, 1.0)
    assert drift(one, summed(same + 1, frame), spread).p_value == 0.0
    assert math.isnan(mmd(one, nothing))
    assert drift(one, nothing, spread).p_value == 1.0
    assert Spread.fit(frame, same[:1]) == Spread(0.0, 0.0)


def test_vectors_far_outside_stay_finite() -> None:
    far = summed(np.full((3, DIMENSION), 1e300))
    assert np.isfinite(far.mean).all()
    assert far.count == 3


def test_features_are_what_their_names_say() -> None:
    found = features(FRAME, BASE[:100])
    assert list(found) == ["norm", "cosine", *(f"projection_{at}" for at in range(4))]
    expected = 1 - cdist(BASE[:100], FRAME.centroid[None, :], "cosine")[:, 0]
    np.testing.assert_allclose(found["cosine"], expected, atol=1e-12)
    np.testing.assert_allclose(found["norm"], 1.0, rtol=1e-12)
    np.testing.assert_allclose(found["projection_2"], FRAME.angles(BASE[:100])[:, 2], rtol=1e-12)
    nowhere = features(Frame(np.zeros(2), 1.0), np.array([[0.0, 0.0], [3.0, 4.0]]))
    assert nowhere["cosine"].tolist() == [0.0, 0.0]


def test_what_is_no_vector_is_counted_and_never_raises() -> None:
    entries = [
        [1.0, 2.0],
        (3, 4),
        None,
        [1.0],
        "ab",
        ["a", "b"],
        [math.inf, 0.0],
        {"x": 1},
        [[1.0], [2.0]],
        7,
        [10**400, 0],
    ]
    found = vectors_of(entries, 2)
    assert (found.values.tolist(), found.missing, found.mismatched) == ([[1.0, 2.0], [3.0, 4.0]], 1, 8)
    array = vectors_of(np.array([[1.0, np.nan], [1.0, 2.0]]), 2)
    assert (array.values.tolist(), array.missing, array.mismatched) == ([[1.0, 2.0]], 0, 1)
    assert vectors_of(np.ones((4, 3)), 2).mismatched == 4
    assert vectors_of([], 2).values.shape == (0, 2)


@pytest.mark.parametrize(
    ("centroid", "bandwidth", "message"),
    [
        (np.zeros(0), 1.0, "centroid"),
        (np.zeros((2, 2)), 1.0, "centroid"),
        (np.zeros(2), 0.0, "above 0"),
        (np.zeros(2), math.nan, "finite"),
    ],
)
def test_a_frame_without_a_size_is_refused(centroid: np.ndarray, bandwidth: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Frame(centroid, bandwidth)
