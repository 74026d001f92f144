"""Scrapes: notes on the board when /metrics was last answered, so that an end can wait for a last scrape.

The supervisor, which decides when the recorder ends, neither scrapes nor is scraped; a word of the board
tells it. `exporter` knows nothing of this: it is a layer around its WSGI application.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic_ns
from typing import Any, TypeAlias

from sidecar.words import Board, Words

StartResponse: TypeAlias = "Callable[..., Callable[[bytes], object]]"
Application: TypeAlias = "Callable[[dict[str, Any], StartResponse], Iterable[bytes]]"


def noting_scrapes(app: Application, board: Words) -> Application:
    """*app*, with the moment that a successful answer to /metrics shows written to *board*.

    >>> board = memoryview(bytearray(4096)).cast("Q")
    >>> def app(environ, start_response):
    ...     start_response("200 OK", [])
    ...     return []
    >>> noting_scrapes(app, board)({"PATH_INFO": "/"}, lambda *_: None), board[Board.LAST_SCRAPE]
    ([], 0)
    >>> noting_scrapes(app, board)({"PATH_INFO": "/metrics"}, lambda *_: None), board[Board.LAST_SCRAPE] > 0
    ([], True)
    """

    def noting(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/metrics":
            return app(environ, start_response)
        shown = monotonic_ns()  # before the view is taken: what comes later is not in it

        def start(status: str, *rest: object) -> Callable[[bytes], object]:
            if status.startswith("200"):
                board[Board.LAST_SCRAPE] = shown
            return start_response(status, *rest)

        return app(environ, start)

    return noting
