"""Page: the status page for a person without Grafana, at three in the morning, on a phone.

Promises: one HTML document, rendered here, that loads nothing else: style and script are inline and
allowed by their hash in `CONTENT_SECURITY_POLICY`, so that a column's name could not become a script even if
it got past the escaping. It works without JavaScript. What it says is `exporter.page.summary`'s, as JSON too.
"""

from __future__ import annotations

import base64
import hashlib
import math
from dataclasses import asdict
from datetime import tzinfo
from functools import cache, partial
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from exporter import __version__
from exporter.page import words
from exporter.page.chart import draw, plain
from exporter.page.status import Status
from exporter.page.summary import summarise
from exporter.views import View

#: Columns with a chart; the rest are rows of a table until ``?all``. 60 are 530 kB (77 kB gzipped), 19 ms.
CHARTS: Final = 60

_STYLE: Final = files(__package__).joinpath("status.css").read_text(encoding="utf-8")
_SCRIPT: Final = files(__package__).joinpath("refresh.js").read_text(encoding="utf-8")


def _source(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_source(_STYLE)}",
        f"script-src {_source(_SCRIPT)}",
        "connect-src 'self'",  # the refresh
        "img-src data:",  # the icon in the tab
        "base-uri 'none'",
        "form-action 'none'",
    )
)

_COLOURS = {"drifted": "#d55e00", "ticket": "#e69f00", "ok": "#0072b2", "early": "#7d8894"}


def render(view: View, zone: tzinfo, *, charts: int = CHARTS) -> str:
    """The page for *view*, its times in *zone*, with at most *charts* drawings per model."""
    status = summarise(view, zone)
    return _template().render(
        status=status,
        version=__version__,
        charts=charts,
        style=Markup(_STYLE),
        script=Markup(_SCRIPT),
        favicon=_favicon(status),
        clock=partial(words.clock, zone=zone),
        moment=partial(words.moment, now=status.now, zone=zone),
    )


def document(view: View, zone: tzinfo) -> dict[str, Any]:
    """The same as plain values for JSON, in which a number that is not known or infinite is None."""
    status = summarise(view, zone)
    return {"version": __version__, "sentence": status.answer.sentence, **_finite(asdict(status))}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _favicon(status: Status) -> str:
    """A disc in the answer's colour, so that the tab tells it too."""
    colour = _COLOURS[status.answer.state]
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
        f'<circle cx="8" cy="8" r="7" fill="{colour}"/></svg>'
    )
    return f"data:image/svg+xml,{quote(svg)}"


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("exporter", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    environment.filters.update(
        count=words.count,
        share=words.share,
        strength=words.strength,
        figure=words.figure,
        seconds=words.seconds,
        ratio=words.ratio,
        spell=words.spell,
        plain=plain,
        draw=draw,
    )
    return environment.get_template("status.html")
