"""Expose: the Flask application that answers ``/``, ``/metrics``, ``/api/v1/status`` and ``/learning.json``.

Promises: every answer shows one moment, taken from the source for it and kept nowhere. A source, a collector
or the page that fails costs that answer (500) or those families, is logged and counted in
``modelmeter_internal_errors_total``, and takes nothing else with it. Any number of scrapes may run at once.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, tzinfo
from time import perf_counter
from typing import cast

from flask import Flask, Response, abort, request
from werkzeug.exceptions import HTTPException

from exporter import exposition, page
from exporter.collectors import COLLECTORS, Collector, Scrape, gather
from exporter.collectors.budget import admit
from exporter.errors import ErrorCounts
from exporter.metrics import STAGE, Family
from exporter.views import Source, View

SERIES_BUDGET = 10_000

#: Nothing here is to be kept by anybody, nor to be taken for another type than it says.
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


NOT_FOUND = "There are /, /metrics, /api/v1/status and /learning.json here.\n"


class SourceError(Exception):
    """The source had no view to give; counted and logged where it happened."""


class Exposition:
    """What the answers are made of: views of *source*, and families within *series_budget* series."""

    def __init__(
        self,
        source: Source,
        *,
        series_budget: int = SERIES_BUDGET,
        errors: ErrorCounts | None = None,
        collectors: Sequence[Collector] = COLLECTORS,
        timer: Callable[[], float] = perf_counter,
    ) -> None:
        self.errors = errors or ErrorCounts()
        self._source = source
        self._series_budget = series_budget
        self._collectors = collectors
        self._timer = timer
        self._lock = threading.Lock()
        self._series_dropped = dict.fromkeys(STAGE.values, 0)

    def view(self) -> View:
        """Everything at this moment; raises `SourceError`."""
        try:
            return self._source.view()
        except Exception as error:
            self.errors.add("source", "no view to show", error=error)
            raise SourceError from error

    def scrape(self) -> tuple[Family, ...]:
        """The families of this moment, in the order of `exporter.metrics.METRICS`; raises `SourceError`."""
        view = self.view()
        shown = admit(view, self._series_budget)
        with self._lock:
            for stage, series in shown.shed.items():
                self._series_dropped[stage] += series
            dropped = dict(self._series_dropped)
        scrape = Scrape(view, shown, dropped, self.errors.counts())
        gathered = gather(scrape, self._collectors, self._timer)
        for name, error in gathered.errors.items():
            self.errors.add("collector", "collector %s failed", name, error=error)
        return gathered.families


def create_app(
    source: Source,
    *,
    series_budget: int = SERIES_BUDGET,
    timezone: tzinfo = UTC,
    errors: ErrorCounts | None = None,
    collectors: Sequence[Collector] = COLLECTORS,
    timer: Callable[[], float] = perf_counter,
    learnt: Callable[[], bytes] | None = None,
) -> Flask:
    """The application over *source*; the page gives times in *timezone*, *timer* times the collectors.

    *learnt* gives the state of what is learnt, for ``modelmeter baseline learn``.
    """
    app = Flask(__name__, static_folder=None, template_folder=None)
    exposed = Exposition(
        source, series_budget=series_budget, errors=errors, collectors=collectors, timer=timer
    )

    @app.get("/")
    def status_page() -> Response:
        charts = sys.maxsize if "all" in request.args else page.CHARTS
        html = page.render(exposed.view(), timezone, charts=charts)
        answer = _answer(html.encode("utf-8", "replace"), "text/html; charset=utf-8")
        answer.headers["Content-Security-Policy"] = page.CONTENT_SECURITY_POLICY
        return answer

    @app.get("/metrics")
    def metrics() -> Response:
        families: Sequence[Family] = exposed.scrape()
        if names := request.args.getlist("name[]"):
            families = exposition.select(families, names)
        form, content_type = exposition.negotiate(request.headers.get("Accept", ""))
        answer = _answer(exposition.render(families, form), content_type)
        answer.vary.add("Accept")
        return answer

    @app.get("/api/v1/status")
    def status_document() -> Response:
        document = json.dumps(page.document(exposed.view(), timezone), allow_nan=False)
        return _answer(document.encode(), "application/json")

    @app.get("/learning.json")
    def learning() -> Response:
        if learnt is None:
            abort(404)
        return _answer(learnt(), "application/json")

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        if isinstance(error, HTTPException):
            answer = cast(Response, error.get_response())  # with the headers of its code, such as Allow
            answer.data = NOT_FOUND if error.code == 404 else f"{error.name}\n"
        else:
            if not isinstance(error, SourceError):  # which is counted already
                exposed.errors.add("answer", "%s could not be answered", request.path, error=error)
            answer = Response("Internal error; the log has it.\n", 500)
        answer.headers.update(HEADERS, **{"Content-Type": "text/plain; charset=utf-8"})
        return answer

    return app


def _answer(body: bytes, content_type: str) -> Response:
    """*body* with the headers that all answers have, gzipped for who can read it."""
    answer = Response(body, 200, HEADERS, content_type=content_type)
    answer.vary.add("Accept-Encoding")
    if exposition.gzip_accepted(request.headers.get("Accept-Encoding", "")):
        answer.data = exposition.pack(body)
        answer.headers["Content-Encoding"] = "gzip"
    return answer
