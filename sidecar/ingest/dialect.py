"""Dialects of events: loggers tell no path, so the content says how it is to be read.

Promises: an event that names its path is read exactly as the same request is over HTTP. One without is
given the path on which a request with such a body would have come; what fits none stays without, and is
ignored as an unknown dialect. Never guesses from values, only from the names of the outermost keys.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

import msgspec

from exporter.schema import Limits
from sidecar.decode.content import inflate
from sidecar.decode.outcome import DecodeError
from sidecar.decode.route import Place, Routes
from sidecar.ingest.event import Event


class _Keys(msgspec.Struct, gc=False):
    """The keys by which bodies of the dialects differ."""

    instances: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    inputs: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    jsonData: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # noqa: N815  (the name on the wire)
    strData: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # noqa: N815
    binData: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET  # noqa: N815
    dataframe_split: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    dataframe_records: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Tensor(msgspec.Struct, gc=False):
    """What every tensor of KServe v2 has, and nothing else that stands under ``inputs``."""

    name: str
    datatype: str


_KEYS = msgspec.json.Decoder(_Keys)
_TENSORS = msgspec.json.Decoder(list[_Tensor])
_ANY = msgspec.json.Decoder(msgspec.Raw)
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
# One that never closes goes to the end, and possessively: else each of its quotes would begin another scan.
_TOKEN = re.compile(_STRING + rb"|[{}]", re.DOTALL)
_NO_NUMBER = re.compile(rb"(" + _STRING + rb")|-?Infinity|NaN", re.DOTALL)
_MOST_TOKENS = 65_536
_MARK = b"event:"


def locate(event: Event, limits: Limits) -> None:
    """Give *event*, whose logger told no path, the path and the length of JSON that its body implies.

    >>> event = Event(1, "request", b'{"instances": [[1, 2]]}', model="iris")
    >>> locate(event, Limits()); event.path
    b'/v1/models/iris:predict'
    """
    if event.path:
        if event.model:
            event.path = _marked(event, event.path)
        return
    body = event.body
    try:
        if event.coding:
            body = inflate(body, event.coding, limits.inflated_bytes)
        if not event.json_length:
            length = json_length(body)
            if length < len(body):
                event.json_length = b"%d" % length
        if event.half == "request":
            length = int(event.json_length) if event.json_length.isdigit() else len(body)
            event.path = _path(_keys(body[:length]), event)
    except (DecodeError, ValueError, RecursionError, MemoryError):
        pass  # without a path it is an unknown dialect, or undecodable when the other half tells a path


def _keys(text: bytes) -> _Keys:
    try:
        return _KEYS.decode(text)
    except ValueError:
        if b"NaN" in text or b"Infinity" in text:  # which Python's own writer sends
            return _KEYS.decode(_NO_NUMBER.sub(lambda found: found[1] or b"0", text))
        raise


def _path(keys: _Keys, event: Event) -> bytes:
    model = _quoted(event.model or "default")
    version = b"/versions/" + _quoted(event.version) if event.version else b""
    if _holds_tensors(keys.inputs):
        return b"/v2/models/%s%s/infer" % (model, version)
    if keys.dataframe_split is not msgspec.UNSET or keys.dataframe_records is not msgspec.UNSET:
        return _marked(event, b"/invocations")
    if keys.instances is not msgspec.UNSET or keys.inputs is not msgspec.UNSET:
        return b"/v1/models/%s%s:predict" % (model, version)
    if any(key is not msgspec.UNSET for key in (keys.data, keys.jsonData, keys.strData, keys.binData)):
        return _marked(event, b"/api/v1.0/predictions")
    return b""


def _holds_tensors(inputs: msgspec.Raw | msgspec.UnsetType) -> bool:
    if inputs is msgspec.UNSET:
        return False
    try:
        _TENSORS.decode(inputs)
    except ValueError:
        return False
    return True


def _marked(event: Event, path: bytes) -> bytes:
    """*path* with the names that the event told, see `EventRoutes`."""
    if not event.model:
        return path
    return b"%s%s/%s/%s" % (_MARK, _quoted(event.model), _quoted(event.version), path.lstrip(b"/"))


def json_length(body: bytes) -> int:
    """How much of *body* is JSON where raw tensors stand behind it: up to the end of its first object.

    KServe's logger sends bodies of the binary protocol without the field that tells this.

    >>> json_length(b'{"a": "}"}\\0\\0')
    10
    """
    if not body.startswith(b"{"):
        return len(body)
    try:
        _ANY.decode(body)
        return len(body)
    except (ValueError, RecursionError):
        pass  # something stands behind it, or a NaN in it
    depth = 0
    for count, token in enumerate(_TOKEN.finditer(body)):
        if token[0] == b"{":
            depth += 1
        elif token[0] == b"}":
            depth -= 1
            if depth == 0:
                return len(body) if body[token.end() :].isspace() else token.end()
        if count == _MOST_TOKENS:
            break
    return len(body)


class EventRoutes(Routes):
    """The table of dialects for events: where the event names the model, the path need not.

    *routes* reads what is behind the mark that `locate` sets.
    """

    def __init__(self, routes: Routes) -> None:
        super().__init__()
        self._routes = routes

    def find(self, target: bytes, content_type: bytes) -> Place | None:
        """Where *target* goes, or None when no row fits."""
        if not target.startswith(_MARK):
            return self._routes.find(target, content_type)
        model, _, rest = target[len(_MARK) :].partition(b"/")
        version, _, path = rest.partition(b"/")
        place = self._routes.find(b"/" + path, content_type)
        if place is None:
            return None
        return msgspec.structs.replace(place, model=_text(model), version=_text(version) or place.version)


def _quoted(text: str) -> bytes:
    return quote(text.encode("utf-8", "surrogatepass"), safe="").encode()


def _text(quoted: bytes) -> str:
    return unquote_to_bytes(quoted).decode("utf-8", "backslashreplace")
