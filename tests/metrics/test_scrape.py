"""What holds for a scrape: its content, its failures, and that it may run beside itself."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from flask.testing import FlaskClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.collectors import COLLECTORS, Collector, Scrape
from exporter.errors import PLACES, ErrorCounts
from exporter.expose import create_app
from exporter.metrics import COLUMN_DRIFT_SCORE, COLUMN_ROWS, METRICS, Family
from exporter.monitor import ERROR_PLACES
from exporter.views import View
from tests.metrics import golden
from tests.page import example_view
from tests.page.example_view import Source

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "metrics.prom"
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def client(view: View | None = None, **options: object) -> FlaskClient:
    return create_app(Source(view or golden.view()), **options).test_client()  # type: ignore[arg-type]


def series(families: Iterable[object]) -> Series:
    found: Series = {}
    for family in families:
        for sample in family.samples:  # type: ignore[attr-defined]
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def scraped(view: View | None = None, **options: object) -> Series:
    return series(parse_text(client(view, **options).get("/metrics").text))


def named(found: Series, name: str) -> dict[frozenset[tuple[str, str]], float]:
    return {labels: value for (sample, labels), value in found.items() if sample == name}


def test_the_golden_scrape_is_the_page_byte_for_byte() -> None:
    assert golden.scraped().decode() == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.real
def test_promtool_has_nothing_to_say(part: Callable[[str], str]) -> None:
    page = client().get("/metrics").data
    checked = subprocess.run([part("promtool"), "check", "metrics"], input=page, capture_output=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_the_scraped_families_are_the_declared_ones() -> None:
    families = list(parse_text(client().get("/metrics").text))
    kinds = {(family.name, family.type) for family in families}
    # The parser drops a counter's suffix, and the text format has no type info.
    declared = {
        (
            metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name,
            "gauge" if metric.kind == "info" else metric.kind,
        )
        for metric in METRICS
    }
    assert kinds == declared
    assert [family.documentation for family in families] == [metric.help for metric in METRICS]


def test_every_sample_has_the_declared_labels() -> None:
    declared = {metric.name: frozenset(metric.label_names) for metric in METRICS}
    for metric in METRICS:
        if metric.kind == "histogram":
            plain = frozenset(metric.label_names)
            declared |= {f"{metric.name}_{part}": plain for part in ("sum", "count")}
            declared[f"{metric.name}_bucket"] = plain | {"le"}
    for name, labels in scraped():
        assert {label for label, _ in labels} == declared[name], name


def test_no_label_is_the_same_on_every_series_of_the_page() -> None:
    values: dict[str, set[str]] = defaultdict(set)
    users: dict[str, int] = defaultdict(int)
    found = scraped()
    for _, labels in found:
        for label, value in labels:
            values[label].add(value)
            users[label] += 1
    assert max(users.values()) < len(found)
    assert not {"total", "all"} & set().union(*values.values())


def test_both_formats_and_both_parsers_agree() -> None:
    pinned = [collector for collector in COLLECTORS if collector.name != "process"]
    page = client(collectors=pinned, timer=lambda: 0.0)
    text = series(parse_text(page.get("/metrics").text))
    assert text == series(parse_openmetrics(page.get("/metrics", headers=OPENMETRICS).text))
    assert len(text) > 250


def test_no_sample_is_nan_or_carries_a_timestamp_or_a_creation_time() -> None:
    for line in client().get("/metrics").text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition("} ") if "}" in line else line.rpartition(" ")
            assert not name.partition("{")[0].endswith("_created")
            assert " " not in value
            assert value != "NaN"


def test_a_column_with_too_few_rows_has_its_rows_and_no_statistics() -> None:
    found = scraped()
    visib = {name for name, labels in found if ("column", "visib") in labels}
    absent = {"psi", "jensen_shannon_distance", "drift_score", "drift_critical_psi"}
    assert not {f"modelmeter_column_{name}" for name in absent} & visib
    rows = named(found, "modelmeter_column_window_rows")
    assert [value for labels, value in rows.items() if ("column", "visib") in labels] == [17.0]


def test_exactly_one_of_the_five_verdicts_is_1() -> None:
    verdicts: dict[frozenset[tuple[str, str]], list[tuple[str, float]]] = defaultdict(list)
    for labels, value in named(scraped(), "modelmeter_column_verdict").items():
        rest = frozenset(pair for pair in labels if pair[0] != "verdict")
        verdicts[rest].append((dict(labels)["verdict"], value))
    assert len(verdicts) == 6  # three columns, an hour and a day each
    for states in verdicts.values():
        assert sorted(value for _, value in states) == [0, 0, 0, 0, 1]
    hour = frozenset(
        {("model", "late_arrival"), ("version", "3"), ("role", "feature"), ("column", "distance"),
         ("window", "1h"), ("scope", "pod")}
    )  # fmt: skip
    assert ("drifted", 1.0) in verdicts[hour]


def test_an_incident_that_is_not_open_has_no_start() -> None:
    starts = named(scraped(), "modelmeter_column_incident_start_timestamp_seconds")
    assert [(dict(labels)["column"], value) for labels, value in starts.items()] == [
        ("distance", example_view.ONSET)
    ]


def test_counters_stand_at_0_before_the_first_request() -> None:
    found = scraped(example_view.early())
    requests = named(found, "modelmeter_requests_total")
    unknown = {("model", "unknown"), ("version", "unknown"), ("protocol", "http")}
    assert requests == {frozenset(unknown): 0.0}
    failures = named(found, "modelmeter_request_failures_total")
    assert failures == {
        frozenset({*unknown, ("reason", reason)}): 0.0
        for reason in ("client_error", "server_error", "in_band", "closed")
    }
    assert named(found, "modelmeter_upstream_up") == {frozenset(): 0.0}
    stages = ("slices", "secondary_distances", "quantiles", "columns")
    assert named(found, "modelmeter_series_dropped_total") == {
        frozenset({("reason", stage)}): 0.0 for stage in stages
    }


def test_the_terms_of_the_conservation_law_add_up_on_the_page() -> None:
    found = scraped()
    seen = sum(named(found, "modelmeter_exchanges_seen_total").values())
    terms = {name for name, _ in found if "_exchanges_" in name and not name.endswith("_seen_total")}
    assert len(terms) == 7
    assert seen == sum(sum(named(found, term).values()) for term in terms) == 4218


def test_internal_errors_of_recorder_and_server_stand_at_0_side_by_side() -> None:
    errors = named(scraped(), "modelmeter_internal_errors_total")
    places = {*PLACES, *example_view.view().about.errors}
    assert errors == {frozenset({("reason", place)}): 0.0 for place in places}
    assert not set(PLACES) & set(ERROR_PLACES)


def test_two_scrapes_at_once_give_two_whole_pages() -> None:
    together = Barrier(2, timeout=10)

    class Meeting(Source):
        def view(self) -> View:
            together.wait()
            return super().view()

    app = create_app(Meeting(golden.view()))
    with ThreadPoolExecutor(2) as pool:
        pages = list(pool.map(lambda _: app.test_client().get("/metrics"), range(2)))
    sets = [set(series(parse_text(page.text))) for page in pages]
    assert sets[0] == sets[1]
    assert [page.status_code for page in pages] == [200, 200]


def _raises(scrape: Scrape) -> Iterable[Family]:
    yield METRICS[0].family()
    raise RuntimeError("out of order")


def test_a_collector_that_raises_leaves_the_others_on_the_page(caplog: pytest.LogCaptureFixture) -> None:
    broken = [
        Collector("columns", _raises) if collector.name == "columns" else collector
        for collector in COLLECTORS
    ]
    page = client(collectors=broken)
    first = series(parse_text(page.get("/metrics").text))
    whole = {name for name, _ in scraped()}
    position = {metric.name: at for at, metric in enumerate(METRICS)}
    first_of, first_after = position[COLUMN_ROWS.name], position[COLUMN_DRIFT_SCORE.name]
    columns = {metric.name for metric in METRICS[first_of:first_after]}
    assert len(columns & whole) == 20
    assert {name for name, _ in first} == whole - columns
    success = {
        dict(labels)["collector"]: value
        for labels, value in named(first, "modelmeter_collector_success").items()
    }
    assert success == {collector.name: float(collector.name != "columns") for collector in COLLECTORS}
    durations = named(first, "modelmeter_collector_duration_seconds")
    assert {dict(labels)["collector"] for labels in durations} == set(success)
    assert "collector columns failed" in caplog.text
    second = series(parse_text(page.get("/metrics").text))
    errors = named(second, "modelmeter_internal_errors_total")
    assert errors[frozenset({("reason", "collector")})] == 1.0


@pytest.mark.parametrize("path", ["/", "/metrics", "/api/v1/status"])
def test_a_source_that_fails_costs_one_answer(path: str, caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Source):
        broken = True

        def view(self) -> View:
            if self.broken:
                raise RuntimeError("no view")
            return super().view()

    source = Failing(golden.view())
    page = create_app(source).test_client()
    answer = page.get(path)
    assert (answer.status_code, answer.text) == (500, "Internal error; the log has it.\n")
    assert "no view to show" in caplog.text
    source.broken = False
    assert page.get(path).status_code == 200
    errors = named(series(parse_text(page.get("/metrics").text)), "modelmeter_internal_errors_total")
    assert errors[frozenset({("reason", "source")})] == 1.0
    assert errors[frozenset({("reason", "answer")})] == 0.0


def test_an_answer_that_can_not_be_rendered_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    errors = ErrorCounts()
    broken = create_app(Source(None), errors=errors).test_client()  # type: ignore[arg-type]
    assert broken.get("/").status_code == 500
    assert errors.counts() == dict.fromkeys(PLACES, 0) | {"answer": 1}
    assert "/ could not be answered" in caplog.text
