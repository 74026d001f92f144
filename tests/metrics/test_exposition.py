"""The formats: equal to prometheus_client's, negotiated as Prometheus asks, whatever the labels hold."""

from __future__ import annotations

import gzip
import math
import subprocess
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.utils import floatToGoString

from exporter import metrics
from exporter.collectors import Scrape, gather
from exporter.collectors.budget import admit
from exporter.expose import create_app
from exporter.exposition import negotiate, number, render
from exporter.metrics import Family
from tests.metrics import golden
from tests.metrics.client import rendered
from tests.page.example_view import Source

FORMS = ("text", "openmetrics")

TEXT = "text/plain; version=0.0.4; charset=utf-8"
TEXT_1 = "text/plain; version=1.0.0; charset=utf-8; escaping={}"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping={}"

#: As captured from the servers themselves.
PROMETHEUS_2_42 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


def families() -> tuple[Family, ...]:
    view = golden.view()
    nothing = dict.fromkeys(metrics.STAGE.values, 0)
    return gather(Scrape(view, admit(view, 10_000), nothing, {}), timer=lambda: 0.0).families


@pytest.mark.parametrize("form", FORMS)
def test_the_page_is_what_prometheus_client_writes(form: str) -> None:
    made = families()
    assert render(made, form).decode() == rendered(made, form).decode()


nasty = st.text(
    st.one_of(st.sampled_from('"\\\n{}=,# \t\r'), st.characters(exclude_categories=["Cs"])), max_size=12
)
numbers = st.one_of(
    st.integers(-(10**17), 10**17),
    st.floats(allow_nan=False),
    st.sampled_from([0, -0.0, 1e6, 999_999.5, 1e21]),
)


@settings(deadline=None)
@given(samples=st.lists(st.tuples(nasty, nasty, numbers), max_size=5, unique_by=lambda sample: sample[:2]))
@pytest.mark.parametrize("form", FORMS)
def test_any_label_and_number_is_written_as_prometheus_client_does_and_read_back(
    form: str, samples: Sequence[tuple[str, str, float]]
) -> None:
    family = metrics.BASELINE_CREATED.family()
    for name, _, value in samples:
        family.samples.append(((name,), value))
    rows = metrics.COLUMN_ROWS.family()
    for name, column, value in samples:
        rows.add(abs(value), name, "1", "feature", column)
    page = render([rows], form)
    assert page == rendered([rows], form)
    assert render([family], form) == rendered([family], form)
    parse = parse_openmetrics if form == "openmetrics" else parse_text
    read = {
        (sample.labels["model"], sample.labels["column"]): sample.value
        for found in parse(page.decode())
        for sample in found.samples
    }
    assert read == {(name, column): abs(float(value)) for name, column, value in samples}


@pytest.mark.real
def test_promtool_reads_nasty_labels_and_still_has_nothing_to_say(part: Callable[[str], str]) -> None:
    family = metrics.COLUMN_MISSING.family()
    for column in ('quote " in it', "back\\slash", "two\nlines", "ünïcode ☃ 日本", "", "{}=,#", "\u202eevil"):
        family.add(1, "m", "1", "feature", column)
    checked = subprocess.run(
        [part("promtool"), "check", "metrics"], input=render([family]), capture_output=True
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@settings(deadline=None)
@given(numbers)
def test_numbers_are_written_as_go_writes_them(value: float) -> None:
    assert number(value) == floatToGoString(value)
    assert float(number(value).replace("Inf", "inf")) == float(value)


def test_a_lone_surrogate_in_a_name_does_not_cost_the_page() -> None:
    family = metrics.ROWS_RECORDED.family()
    family.add(1, "\ud800", "1")
    assert b'{model="?",version="1"} 1.0' in render([family])


def test_empty_families_are_left_out() -> None:
    assert render([metrics.COLUMN_PSI.family()]) == b""
    assert render([metrics.COLUMN_PSI.family()], "openmetrics") == b"# EOF\n"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("text/plain", TEXT),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", TEXT_1.format("allow-utf-8")),
        ("application/openmetrics-text", OPENMETRICS.format("underscores")),
        ("application/openmetrics-text;version=1.0.0", OPENMETRICS.format("underscores")),
        ("application/openmetrics-text; version=1.0.0; escaping=values", OPENMETRICS.format("values")),
        ("application/openmetrics-text;version=1.0.0;escaping=dots", OPENMETRICS.format("underscores")),
        ("application/openmetrics-text;version=2.0.0", OPENMETRICS.format("underscores")),
        ("application/openmetrics-text;version=0.0.1", TEXT),
        ("application/openmetrics-text;version=1.0.0;q=0.2,text/plain;version=0.0.4;q=0.9", TEXT),
        (
            "text/plain;version=0.0.4;q=0.2,application/openmetrics-text;q=0.9",
            OPENMETRICS.format("underscores"),
        ),
        ("application/openmetrics-text;version=1.0.0;q=0,*/*", TEXT),
        (PROMETHEUS_2_42, OPENMETRICS.format("underscores")),
        (PROMETHEUS_3, OPENMETRICS.format("allow-utf-8")),
        (f"{PROTOBUF};q=0.7,{PROMETHEUS_3}", OPENMETRICS.format("allow-utf-8")),
        (PROTOBUF, TEXT),
        (BROWSER, TEXT),
        ("application/openmetrics-text;version=1.0.0;q=much, ;;,", TEXT),
    ],
)
def test_the_format_is_the_best_of_those_that_were_asked_for(accept: str, expected: str) -> None:
    assert negotiate(accept)[1] == expected
    page = create_app(Source(golden.view())).test_client().get("/metrics", headers={"Accept": accept})
    assert page.content_type == expected
    assert page.text.endswith("# EOF\n") == expected.startswith("application/openmetrics-text")
    assert "positive_" not in page.text


@pytest.mark.parametrize(
    ("accept_encoding", "zipped"),
    [("gzip", True), ("deflate, gzip;q=0.5", True), ("*", True), (None, False), ("", False), ("br", False),
     ("gzip;q=0, *", False)],
)  # fmt: skip
def test_the_page_is_gzipped_when_and_only_when_asked(accept_encoding: str | None, zipped: bool) -> None:
    headers = {} if accept_encoding is None else {"Accept-Encoding": accept_encoding}
    for path in ("/", "/metrics", "/api/v1/status"):
        answer = create_app(Source(golden.view())).test_client().get(path, headers=headers)
        assert (answer.headers.get("Content-Encoding") == "gzip") == zipped
        body = gzip.decompress(answer.data) if zipped else answer.data
        assert body[:1] in (b"<", b"#", b"{")
        assert int(answer.headers["Content-Length"]) == len(answer.data)


def test_single_families_can_be_asked_for_by_name() -> None:
    page = create_app(Source(golden.view())).test_client()
    answer = page.get("/metrics?name[]=modelmeter_upstream_up&name[]=modelmeter_build_info&name[]=none")
    assert {family.name for family in parse_text(answer.text)} == {
        "modelmeter_upstream_up", "modelmeter_build_info",
    }  # fmt: skip


def test_other_paths_and_methods_are_refused() -> None:
    page = create_app(Source(golden.view())).test_client()
    missing = page.get("/metric")
    assert (missing.status_code, missing.content_type) == (404, "text/plain; charset=utf-8")
    assert "/metrics" in missing.text
    posted = page.post("/metrics")
    assert posted.status_code == 405
    assert set(posted.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert page.head("/metrics").data == b""


def test_infinity_is_written_as_prometheus_reads_it() -> None:
    family = metrics.COLUMN_MEAN.family()
    family.add(math.inf, "m", "1", "feature", "x", "1h")
    assert render([family]).endswith(b" +Inf\n")
