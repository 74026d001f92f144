"""Slices and versions on the status page and in its JSON."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

from exporter.page import document, render
from tests.page import example_view

VIEW = replace(
    example_view.view(),
    slices=example_view.slices(),
    versions=tuple(replace(pair, version="3", other="2") for pair in example_view.versions()),
)


def test_slices_are_listed_the_one_that_moved_most_first() -> None:
    (model,) = document(VIEW, UTC)["models"]
    assert [(line["value"], line["state"], line["rows"]) for line in model["slices"]] == [
        ("UA", "drifted", 185),
        ("other", "ok", 1019),
    ]
    page = render(VIEW, UTC)
    assert "<bdi>carrier = UA</bdi>" in page
    assert "late: the distribution moved" in page


def test_a_version_beside_another_says_what_differs() -> None:
    (model,) = document(VIEW, UTC)["models"]
    assert [(line["other"], line["cause"]) for line in model["versions"]] == [("2", "new_version")]
    assert "the same features, other answers of 4 than of 3: late" in render(VIEW, UTC)


def test_a_model_without_slices_and_of_one_version_shows_neither() -> None:
    page = render(example_view.view(), UTC)
    assert "Slices</caption>" not in page
    assert "Beside other versions" not in page
