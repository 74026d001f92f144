"""A wrong configuration is told in one sentence: file, key, expected, found."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from exporter.configuration import ConfigurationError, fingerprint, load, parse
from exporter.reference import render
from exporter.schema import ColumnSpec, Configuration, Limits, ModelSpec

MISTAKES = {
    "models: 3": "models: expected a list, found 3",
    "- a": "expected a mapping, found ['a']",
    "modles: []": "modles: expected 'models', found an unknown key",
    "models: [{nam: a}]": "models[0].nam: expected 'name', found an unknown key",
    "models: [{baseline: a}]": "models[0].name: expected a value, found nothing",
    "models: [{name: ''}]": "models[0].name: expected a text of length >= 1, found ''",
    "models: [{name: a}, {name: a}]": "models[1].name: expected a name of its own, found 'a' a second time",
    "models: [{name: a, columns: [{name: x, kind: numerical}]}]": (
        "models[0].columns[0].kind: expected one of numeric, categorical, boolean, text, embedding, found 'numerical'"
    ),
    "models: [{name: a, columns: [{name: x, range: [10, 2]}]}]": (
        "models[0].columns[0].range: expected two numbers, low then high, found [10.0, 2.0]"
    ),
    "models: [{name: a, columns: [{name: x, range: [10, b]}]}]": (
        "models[0].columns[0].range[1]: expected a number, found 'b'"
    ),
    "models: [{name: a, columns: [{name: x, kind: categorical, range: [0, 1]}]}]": (
        "models[0].columns[0].range: expected no range for a categorical column, found [0.0, 1.0]"
    ),
    "models: [{name: a, columns: [{name: x}, {name: y, tensor: x}]}]": (
        "models[0].columns[1].tensor: expected a place no other column reads, found 'x' a second time"
    ),
    "models: [{name: a, predictions: [{name: x}, {name: x}]}]": (
        "models[0].predictions[1].name: expected a name of its own, found 'x' a second time"
    ),
    "models: [{name: a, columns: [{name: x, categories: [a, a]}]}]": (
        "models[0].columns[0].categories: expected each category once, found ['a', 'a']"
    ),
    "models: [{name: a, columns: [{name: x, kind: numeric, categories: [a]}]}]": (
        "models[0].columns[0].categories: expected no categories for a numeric column, found ['a']"
    ),
    "models: [{name: a, path: 5}]": "models[0].path: expected a text, found 5",
    "models: [{name: a, columns: [{name: x, kind: 5}]}]": "models[0].columns[0].kind: expected a text, found 5",
    "recorder_cpu: much": "recorder_cpu: expected a number, found 'much'",
    "models: [{name: a, columns: [{name: x, index: -1}]}]": (
        "models[0].columns[0].index: expected a whole number >= 0, found -1"
    ),
    "models: [{name: a, path: predict}]": (
        "models[0].path: expected a path such as /predict, without a query, found 'predict'"
    ),
    "models: [{name: a, path: '/p?x'}]": (
        "models[0].path: expected a path such as /predict, without a query, found '/p?x'"
    ),
    "models: [{name: a, path: /p}, {name: b}, {name: c, path: /p}]": (
        "models[2].path: expected a path of its own, found '/p' a second time"
    ),
    "models: [{name: a, path: /p, columns: [{name: x, path: $..x}]}]": (
        "models[0].columns[0].path: expected a JSON path of $, .name, ['name'], [0] and [*], found '..x' in '$..x'"
    ),
    "models: [{name: a, path: /p, predictions: [{name: x, path: x}]}]": (
        "models[0].predictions[0].path: expected a JSON path of $, .name, ['name'], [0] and [*], found 'x' in 'x'"
    ),
    "models: [{name: a, path: /p, columns: [{name: x, path: $.x, tensor: t}]}]": (
        "models[0].columns[0].path: expected either a path or a tensor, found '$.x' beside tensor 't'"
    ),
    "models: [{name: a, path: /p, columns: [{name: x, path: $.x, index: 0}]}]": (
        "models[0].columns[0].path: expected either a path or an index, found '$.x' beside index 0"
    ),
    "models: [{name: a, columns: [{name: x, path: $.x}]}]": (
        "models[0].columns[0].path: expected a path of the model beside it, found none for 'a'"
    ),
    "sampling: lots": "sampling: expected a number, found 'lots'",
    "sampling: 2": "sampling: expected a number <= 1.0, found 2",
    "page_budget: 0": "page_budget: expected a number > 0.0, found 0",
    "page_budget: .inf": "page_budget: expected a number <= 1000000.0, found inf",
    "x: 2001-99-99": "expected YAML, found month must be in 1..12",
    "x: !!int 'a'": "expected YAML, found invalid literal for int() with base 10: 'a'",
    "[" * 3000: "expected YAML, found lists or mappings nested too deep",
    'models: [{name: "a\\ud800"}]': "expected text that is Unicode, found 'a\\ud800'",
    "timezone: Mars/Phobos": (
        "timezone: expected an IANA time zone such as UTC or Europe/Berlin, found 'Mars/Phobos'"
    ),
    "limits: {ring_bytes: 3000000}": "limits.ring_bytes: expected a power of two, found 3000000",
    "limits: {bodybytes: 1}": "limits.bodybytes: expected 'body_bytes', found an unknown key",
    "sampling: 1\nsampling: 0.5": "line 2, column 1: expected YAML, found the key 'sampling' a second time",
    "a: [": "line 1, column 5: expected YAML, found expected the node content, but found '<stream end>'",
}


@pytest.mark.parametrize(("text", "sentence"), MISTAKES.items())
def test_a_mistake_is_told_by_file_key_expected_and_found(text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, "modelmeter.yaml")
    assert str(caught.value) == f"modelmeter.yaml: {sentence}"


def test_what_is_written_is_what_is_read() -> None:
    text = """
models:
  - name: late_arrival
    baseline: baseline.json
    only_declared: true
    columns:
      - {name: distance, kind: numeric, range: [0, 6000]}
      - {name: fourth, tensor: input, index: 3}
      - {name: hour, monitored: false}
    predictions:
      - {name: late, tensor: predict, kind: categorical, categories: ["0", "1"]}
timezone: America/New_York
page_budget: 0.5
sampling: 0.1
series_budget: 2000
limits: {body_bytes: 1000, columns: 7}
"""
    assert parse(text, "f") == Configuration(
        models=(
            ModelSpec(
                name="late_arrival",
                baseline="baseline.json",
                only_declared=True,
                columns=(
                    ColumnSpec(name="distance", kind="numeric", range=(0.0, 6000.0)),
                    ColumnSpec(name="fourth", tensor="input", index=3),
                    ColumnSpec(name="hour", monitored=False),
                ),
                predictions=(
                    ColumnSpec(name="late", tensor="predict", kind="categorical", categories=("0", "1")),
                ),
            ),
        ),
        timezone="America/New_York",
        page_budget=0.5,
        sampling=0.1,
        series_budget=2000,
        limits=Limits(body_bytes=1000, columns=7),
    )


def test_an_empty_file_is_an_empty_configuration(tmp_path: Path) -> None:
    path = tmp_path / "modelmeter.yaml"
    path.write_text("# nothing yet\n")
    assert load(path) == Configuration()


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "missing.yaml"
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: expected a readable YAML file, found no file of that name"


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "modelmeter.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="expected a readable YAML file in UTF-8"):
        load(path)


def test_the_fingerprint_follows_the_settings_and_not_their_spelling() -> None:
    plain = parse("sampling: 0.5\ntimezone: UTC", "f")
    assert fingerprint(plain) == fingerprint(parse("{timezone: 'UTC', sampling: 5.0e-1}", "g"))
    assert fingerprint(plain) != fingerprint(parse("sampling: 0.25", "f"))


def test_the_page_on_the_configuration_is_what_the_types_say() -> None:
    page = Path(__file__).parents[2] / "docs" / "configuration.md"
    assert page.read_text(encoding="utf-8") == render(), (
        "run: python -m exporter.reference > docs/configuration.md"
    )


def test_every_key_has_a_meaning_on_its_page() -> None:
    rows = [line for line in render().splitlines() if line.startswith("| `")]
    assert len(rows) == sum(
        len(msgspec.structs.fields(s)) for s in (Configuration, ModelSpec, ColumnSpec, Limits)
    )
    assert [row for row in rows if row.rstrip(" |").endswith("–")] == []
