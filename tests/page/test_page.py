"""The page and its JSON: whole without a network, and safe whatever columns are called."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import page
from exporter.expose import create_app
from exporter.page import chart
from exporter.page.summary import summarise
from exporter.views import View
from tests.page import example_view
from tests.page.example_view import Source


class Reader(HTMLParser):
    """Every tag with its attributes, and the text outside of style and script."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._raw: str | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._raw = tag if tag in ("style", "script") else None

    def handle_endtag(self, tag: str) -> None:
        self._raw = None

    def handle_data(self, data: str) -> None:
        if self._raw is None:
            self.texts.append(data)

    def classed(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for _, attrs in self.tags if name in (attrs.get("class") or "").split()]


def client(view: View) -> FlaskClient:
    return create_app(Source(view)).test_client()


def read(view: View, path: str = "/") -> Reader:
    return Reader(client(view).get(path).text)


def renamed(name: str) -> View:
    """The example, with *name* wherever a name from the wire may stand."""
    example = example_view.view()
    columns = tuple(
        replace(column, column=name, model=name, version=name, bin_labels=tuple(f"{at:02d} {name}" for at in range(len(column.bin_labels))))
        for column in example.columns[:2]
    )  # fmt: skip
    traffic = tuple(replace(entry, model=name, version=name) for entry in example.traffic)
    sentence = replace(columns[0].verdicts[0], sentence=name)
    return replace(
        example,
        columns=(replace(columns[0], verdicts=(sentence,)), *columns[1:]),
        traffic=traffic,
        rows=(replace(example.rows[0], model=name, version=name),),
        baselines=(replace(example.baselines[0], model=name),),
    )


def test_the_page_says_first_what_has_happened() -> None:
    html = client(example_view.view()).get("/").text
    heading = re.search(r"<h1>(.*?)</h1>", html)
    assert heading is not None
    assert "".join(Reader(heading[1]).texts) == (
        "1 of 11 columns drifted: distance since 14:05, median 1.61 × that of the baseline"
    )
    assert "<title>1 of 11 columns drifted · modelmeter</title>" in html


def test_every_column_has_a_chart_with_both_distributions() -> None:
    reader = read(example_view.view())
    assert len(reader.classed("card")) == len(reader.classed("chart")) == 11
    assert len(reader.classed("reference-area")) == 11 + 2  # and one in the legend of each group
    labels = [attrs["aria-label"] for attrs in reader.classed("drawing")]
    assert {(label or "").partition(":")[0] for label in labels} == {
        column.column for column in example_view.columns()
    }


def test_score_psi_and_critical_psi_of_a_card_are_of_the_same_window() -> None:
    html = client(example_view.view()).get("/").text
    card = html[html.index("<h4><bdi>distance") :]
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", card[: card.index("</dl>")]))
    assert facts == {"score": "11.6", "PSI": "1.29", "critical": "0.11", "rows": "1,204", "missing": "0 %"}
    example = example_view.view()
    later = replace(example.columns[0].windows[0], psi=0.5, rows=7)
    html = client(replace(example, columns=(replace(example.columns[0], windows=(later,)),))).get("/").text
    assert facts == dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", html[html.index("<h4>") :]))


def test_what_is_said_of_columns_that_are_ok_is_left_out() -> None:
    example = example_view.quiet()
    columns = tuple(
        replace(
            column,
            verdicts=tuple(replace(verdict, sentence=f"{verdict.state} so") for verdict in column.verdicts),
        )
        for column in example.columns
    )
    texts = read(replace(example, columns=columns)).texts
    assert {text for text in texts if text.endswith(" so")} == {"insufficient so", "learning so"}


def test_links_lead_to_metrics_and_json() -> None:
    hrefs = {attrs.get("href") for tag, attrs in read(example_view.view()).tags if tag == "a"}
    assert hrefs == {"./", "metrics", "api/v1/status"}
    for path in ("/metrics", "/api/v1/status"):
        assert client(example_view.view()).get(path).status_code == 200


def test_simulated_time_is_said() -> None:
    assert "simulated time × 7,200" in read(example_view.view()).texts
    assert not [text for text in read(example_view.early()).texts if "simulated" in text]


@pytest.mark.parametrize("state", ["view", "quiet", "early"])
def test_the_page_loads_nothing_but_itself(state: str) -> None:
    reader = read(getattr(example_view, state)())
    sources = [
        attrs[name] for _, attrs in reader.tags for name in ("src", "href", "action", "data", "srcset") if attrs.get(name)
    ]  # fmt: skip
    allowed = ("data:image/svg+xml,", "metrics", "api/v1/status", "./")
    assert all(str(source).startswith(allowed) for source in sources)
    assert not [
        attrs for _, attrs in reader.tags if "style" in attrs or any(name.startswith("on") for name in attrs)
    ]


def test_the_policy_allows_this_style_and_this_script_by_their_hashes() -> None:
    answer = client(example_view.view()).get("/")
    policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'"


HOSTILE = [
    '<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "'; --", "</title></style></script><b>",
    "{{ 7 * 7 }}", "&lt;b&gt;", "\u202e\u2066evil", "a" * 200, "]]>", "<!--", "\x00\x1b[31m", "日本 ünïcode",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_and_nothing_else(name: str) -> None:
    plain, hostile = read(renamed("plain")), read(renamed(name))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attrs) for _, attrs in hostile.tags] == [sorted(attrs) for _, attrs in plain.tags]
    assert name in "".join(hostile.texts)


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_no_name_can_add_a_tag(name: str) -> None:
    expected = [tag for tag, _ in Reader(page.render(renamed("plain"), UTC)).tags]
    assert [tag for tag, _ in Reader(page.render(renamed(name), UTC)).tags] == expected


def test_a_lone_surrogate_in_a_name_does_not_cost_the_page() -> None:
    for path in ("/", "/api/v1/status", "/metrics"):
        assert client(renamed("\ud800")).get(path).status_code == 200


def test_charts_are_well_formed() -> None:
    for view in (example_view.view(), example_view.quiet(), renamed("<&'\">")):
        for model in summarise(view, UTC).models:
            for column in (*model.predictions, *model.features):
                drawing = ElementTree.fromstring(chart.draw(column))  # noqa: S314  # our own text
                bars = [part for part in drawing.iter("rect") if part.get("class") == "live"]
                assert len(bars) == len(chart.visible(column.bins))


def test_a_bar_is_as_high_as_its_share() -> None:
    column = next(c for c in summarise(example_view.view(), UTC).models[0].features if c.column == "origin")
    drawing = ElementTree.fromstring(chart.draw(column))  # noqa: S314  # our own text
    heights = [float(part.get("height", "")) for part in drawing.iter("rect") if part.get("class") == "live"]
    shares = [b.window for b in column.bins if b.count]
    assert heights == pytest.approx([share / shares[0] * heights[0] for share in shares], abs=0.2)
    (line,) = [part.get("d") for part in drawing.iter("path") if part.get("class") == "reference-line"]
    steps = [1000 - float(step) for step in re.findall(r"H\d+V([\d.]+)H", line or "")]
    expected = [b.baseline / shares[0] * heights[0] for b in column.bins if b.count]
    assert steps == pytest.approx(expected, abs=0.2)


def test_bins_that_hold_nothing_are_left_out_of_the_drawing_alone() -> None:
    column = next(
        c for c in summarise(example_view.view(), UTC).models[0].features if c.column == "dep_delay"
    )
    drawn = chart.visible(column.bins)
    assert {b.label for b in column.bins} - {b.label for b in drawn} == {
        b.label for b in column.bins if not b.baseline and not b.count
    }
    assert 10 < len(drawn) < len(column.bins)


def test_columns_beyond_the_charts_are_rows_of_a_table_until_all_are_asked_for() -> None:
    example = example_view.view()
    many = tuple(replace(example.columns[1], column=f"x{at:03d}") for at in range(page.CHARTS + 7))
    view = replace(example, columns=many)
    assert len(read(view).classed("card")) == page.CHARTS
    assert "7 more columns without a chart (" in read(view).texts
    assert len(read(view, "/?all").classed("card")) == page.CHARTS + 7


def test_the_json_says_what_the_page_says() -> None:
    answer = client(example_view.view()).get("/api/v1/status")
    assert answer.content_type == "application/json"
    document = json.loads(answer.data)
    assert document["sentence"] == (
        "1 of 11 columns drifted: distance since 14:05, median 1.61 × that of the baseline"
    )
    assert document["answer"]["state"] == "drifted"
    (model,) = document["models"]
    distance = model["features"][0]
    assert distance["column"] == "distance"
    assert distance["since"] == example_view.ONSET
    assert len(distance["bins"]) == 18
    assert {bin_["label"] for bin_ in distance["bins"]} == set(example_view.columns()[0].bin_labels)
    assert document["verdicts"] == {"drifted": 1, "ticket": 0, "ok": 8, "learning": 1, "insufficient": 1}


def test_the_json_has_no_number_that_json_does_not_have() -> None:
    example = example_view.view()
    slow = replace(example.traffic[0], duration_buckets=(*[0] * 16, 10))
    infinite = replace(example.columns[0].windows[0], quantiles={0.5: float("inf"), 0.95: float("nan")})
    view = replace(example, traffic=(slow,), columns=(replace(example.columns[0], windows=(infinite,)),))

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    document = json.loads(client(view).get("/api/v1/status").data, parse_constant=refuse)
    assert document["total"]["p50_seconds"] is None
    html = client(view).get("/").text
    assert "&gt; 60 s" in html
    assert "nan" not in "".join(Reader(html).texts)


def test_the_parts_of_the_page_are_package_data() -> None:
    folder = Path(page.__file__).parent
    assert {path.name for path in folder.iterdir() if path.suffix in (".html", ".css", ".js")} == {
        "status.html", "status.css", "refresh.js",
    }  # fmt: skip


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


STYLE = Path(page.__file__).with_name("status.css").read_text(encoding="utf-8")
PALETTES = [
    dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
]


@pytest.mark.parametrize("palette", PALETTES, ids=["light", "dark"])
def test_text_has_the_contrast_that_wcag_asks_for(palette: dict[str, str]) -> None:
    words = ("text", "soft", "ok", "drifted", "ticket", "learning", "insufficient")
    grounds = ("card", "ground", "drifted-ground", "ticket-ground", "ok-ground", "early-ground")
    for word in words:
        for ground in grounds:
            light, dark = sorted((luminance(palette[word]), luminance(palette[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (word, ground)


def test_a_column_that_is_learnt_has_its_distribution_and_its_model_says_how_far_it_is() -> None:
    example = example_view.view()
    learnt = replace(
        example.columns[0],
        baseline=None,
        windows=(replace(example.columns[0].windows[0], psi=None),),
        verdicts=tuple(replace(one, state="learning", score=None) for one in example.columns[0].verdicts),
    )
    learning = replace(example_view.learning(), model=example_view.MODEL)
    reader = read(replace(example, columns=(learnt,), baselines=(), learning=(learning,)))
    text = " ".join(" ".join(reader.texts).split())
    assert learning.sentence in text
    assert "baseline of" not in text
    (drawn,) = (tag["aria-label"] for tag in reader.classed("drawing"))
    assert drawn is not None
    assert drawn.startswith(
        "distance: shares of 16 bins in the last hour. Most: [2475, 4983): 21 %; [1598, 2153)"
    )
