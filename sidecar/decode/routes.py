"""Routes over HTTP: the table of dialects, and what a model is called where the wire carries no name.

Rows are tried in order. First come the paths that the configuration maps by JSON paths, since it knows
better; then the protocols; last the configured paths that no protocol owns, read by their form. Content
types are not asked for: tritonclient sends none with binary tensors, and curl a wrong one.

Names: what the path carries; else the `models[]` entry whose `path` equals the request's; else, when
exactly one model is configured, that one; else ``default``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final
from urllib.parse import quote

import msgspec

from exporter.schema import Configuration
from sidecar.decode import generate, kserve_v1, kserve_v2, mapped, openai, sagemaker, seldon, torchserve
from sidecar.decode.bodies import FEATURES
from sidecar.decode.route import Place, Route, Routes

DEFAULT_NAME: Final = "default"

_V1 = rb"(?:^|/)v1/models/(?P<model>[^/:]+)(?:/(?:versions|labels)/(?P<version>[^/:]+))?:"
_V2 = rb"(?:^|/)v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?/"
_ORIGIN = rb"[A-Za-z][A-Za-z0-9+.-]*://[^/]*"
# Of a target in absolute form (RFC 9112 section 3.2.2), as clients send it to a proxy.


class NamelessRoute(Route, frozen=True, gc=False, kw_only=True):
    """A row whose path may name no model: `called` tells it by the path."""

    called: Callable[[bytes], str]

    def place(self, path: bytes, media_type: bytes) -> Place | None:
        """As `Route.place`, with a name in any case."""
        place = Route.place(self, path, media_type)
        if place is None or place.model:
            return place
        return msgspec.structs.replace(place, model=self.called(path))


def make_routes(configuration: Configuration) -> Routes:
    """The table for *configuration*.

    >>> from exporter.schema import ModelSpec
    >>> routes = make_routes(Configuration(models=(ModelSpec(name="late", path="/predict"),)))
    >>> routes.find(b"/predict?x", b"").model, routes.find(b"/x", b"")
    ('late', None)
    """
    headerless = frozenset(
        model.name
        for model in configuration.models
        if any(spec.tensor == FEATURES and spec.index is not None for spec in model.columns)
    )
    first: list[Route] = []
    last: list[Route] = []
    called = partial(_called, configuration)
    for model in configuration.models:
        if model.path is not None:
            exact = re.compile(_exact(model.path))
            dialect = mapped.dialect(model, headerless=model.name in headerless)
            route = NamelessRoute(exact, None, dialect, called=called)
            (first if mapped.has_paths(model) else last).append(route)
    invocations = sagemaker.dialect(headerless)
    return Routes(
        *first,
        Route(re.compile(_V2 + rb"infer\Z"), None, kserve_v2.decode),
        *generate.ROWS,
        Route(re.compile(_V1 + rb"predict\Z"), None, kserve_v1.decode),
        Route(re.compile(_V1 + rb"(?:classify|regress)\Z"), None, kserve_v1.decode_examples),
        Route(
            re.compile(rb"(?:^|/)(?:serving-)?endpoints/(?P<model>[^/]+)/invocations\Z"), None, invocations
        ),
        Route(re.compile(rb"(?:^|/)models/(?P<model>[^/]+)/invoke\Z"), None, invocations),
        NamelessRoute(re.compile(rb"(?:^|/)invocations\Z"), None, invocations, called=called),
        Route(
            re.compile(rb"(?:^|/)predictions/(?P<model>[^/]+)(?:/(?P<version>[^/]+))?\Z"),
            None,
            torchserve.decode,
        ),
        *openai.ROWS,
        NamelessRoute(
            re.compile(rb"(?:(?:^|/)seldon/[^/]+/(?P<model>[^/]+))?(?:^|/)api/v(?:0\.1|1\.0)/predictions\Z"),
            None,
            seldon.decode,
            called=called,
        ),
        *last,
    )


def _encoded(path: str) -> bytes:
    """*path* as clients send it."""
    return quote(path, safe="/%:@!$&'()*+,;=~").encode()


def _exact(path: str) -> bytes:
    """A pattern of *path*, with or without an origin before it, and of no other."""
    return rb"\A(?:" + _ORIGIN + rb")?" + re.escape(_encoded(path)) + rb"\Z"


def _called(configuration: Configuration, path: bytes) -> str:
    for model in configuration.models:
        if model.path is not None and re.match(_exact(model.path), path):
            return model.name
    return configuration.models[0].name if len(configuration.models) == 1 else DEFAULT_NAME
