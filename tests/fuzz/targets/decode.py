"""`decode` over HTTP: every dialect of the table gives a whole outcome, of any two bodies."""

from __future__ import annotations

import struct
import zlib

from exporter.schema import ColumnSpec, Configuration, Limits, ModelSpec
from sidecar.decode import decode
from sidecar.decode.routes import make_routes
from sidecar.exchange import Exchange
from tests.fuzz.outcomes import check
from tests.wire import captures
from tests.wire.conversation import listen

_MAPPED = ModelSpec(
    name="mapped", path="/mapped",
    columns=(ColumnSpec(name="age", path="$.rows[*].age"), ColumnSpec(name="b", path="$.rows[*]['b c'][0]")),
    predictions=(ColumnSpec(name="y", path="$.y[*]"),),
)  # fmt: skip
_BY_FORM = ModelSpec(name="form", path="/form")
ROUTES = make_routes(Configuration(models=(_MAPPED, _BY_FORM)))
LIMITS = Limits(inflated_bytes=1 << 20)

PATHS = (
    b"/v2/models/m/infer", b"/v1/models/m:predict", b"/v2/models/m/generate", b"/v2/models/m/generate_stream",
    b"/v1/chat/completions", b"/v1/responses", b"/invocations", b"/mapped", b"/form", b"/predictions/m",
    b"/api/v1.0/predictions", b"/v1/models/m:classify", b"/models/m/invoke", b"/v1/embeddings", b"/%6d\xff?",
)  # fmt: skip
TYPES = (b"", b"application/json", b"text/event-stream", b"text/csv; header=present", b"application/jsonlines",
         b"application/x-npy", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x")  # fmt: skip

_HEAD = struct.Struct("<BBBHH")
WORDS = [
    b'{"inputs":', b'{"instances":', b'{"error":"e"}', b'"shape":[1,2]', b'"datatype":"BYTES"', b'"datatype":"FP32"',
    b'"parameters":{"binary_data_size":4}', b"null", b"true", b"[]", b"{}", b"[[", b"]]", b'"\\ud800"', b"Infinity",
    b'{"dataframe_split":{"columns":["a"],"data":[[1]]}}', b'{"predictions":[1]}', b"data: [DONE]\n\n", b"a,b\n1,2\n",
    b'{"data":{"ndarray":[[1,2]]}}', b'{"data":{"tensor":{"shape":[1,2],"values":[1,2]}}}', b'"usage":{"prompt_tokens":1}',
    b'{"model":"m","choices":[{"finish_reason":"stop"}]}', b'{"rows":[{"age":1}]}', b'{"y":[1]}', b"\x00\x00\x00\x01",
]  # fmt: skip


def packed(
    path: bytes, request: bytes, answer: bytes, asked: int = 1, answered: int = 1, length: int = 0xFFFF
) -> bytes:
    """One input: the path, the two content types, the length of the request's JSON, the two bodies."""
    return _HEAD.pack(PATHS.index(path), asked, answered, length, len(request)) + request + answer


def seeds() -> list[bytes]:
    made = [
        packed(b"/v2/models/m/generate", b'{"text_input":"a","parameters":{"t":1}}', b'{"model_name":"m","text_output":"b"}'),
        packed(b"/v2/models/m/generate_stream", b'{"x":[1,2]}', b'data: {"y":[1]}\n\ndata: {"error":"e"}\n\n', answered=2),
        packed(b"/v1/chat/completions", b'{"model":"m","messages":[{}],"temperature":0.5}',
               b'data: {"model":"m","choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n',
               answered=2),
        packed(b"/v1/responses", b'{"model":"m","input":"x"}',
               b'{"object":"response","status":"completed","usage":{"input_tokens":1,"output_tokens":2}}'),
        packed(b"/mapped", b'{"rows":[{"age":1,"b c":[2]},{"age":2}]}', b'{"y":[1,2]}'),
        packed(b"/form", b'[{"a":1}]', b"[1]"),
        packed(b"/invocations", b"a,b\n1,2\n3,x\n", b"0.5\n0.6\n", 3, 3),
        packed(b"/invocations", b'{"a":1}\n{"a":2}\n', b'{"y":1}\n{"y":2}\n', 4, 4),
        packed(b"/invocations", b'{"dataframe_split":{"columns":["a","b"],"data":[[1,"x"],[2,null]]}}', b'{"predictions":[1,2]}'),
        packed(b"/invocations", b'{"dataframe_records":[{"a":1},{"a":2,"b":3}]}', b'{"predictions":[{"y":1},{"y":2}]}'),
        packed(b"/predictions/m", b'{"data":[1,2]}', b"[0.5]"),
        packed(b"/api/v1.0/predictions", b'{"data":{"names":["a"],"tensor":{"shape":[1,1],"values":[1]}}}',
               b'{"data":{"ndarray":[[1]]},"meta":{}}'),
        packed(b"/v1/models/m:classify", b'{"examples":[{"a":1}]}', b'{"results":[[["x",0.5]]]}'),
        packed(b"/v1/embeddings", b'{"model":"m","input":["a"]}', b'{"model":"m","data":[],"usage":{"prompt_tokens":1,"total_tokens":1}}'),
    ]  # fmt: skip
    for name in captures.NAMES:
        for exchange in listen(captures.steps(name)).exchanges:
            path = (
                PATHS[0]
                if b"/v2/" in exchange.target
                else PATHS[1]
                if b"/v1/" in exchange.target
                else b"/invocations"
            )
            length = exchange.request_headers.get(b"inference-header-content-length", b"65535")
            if len(exchange.request_body) + len(exchange.response_body) < 8000:
                made.append(packed(path, exchange.request_body, exchange.response_body, length=int(length)))
    return made


def _body(kind: int, body: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """Header fields and body as sent: half of the codings are true, so that what is inside is read."""
    headers = {b"content-type": TYPES[kind % len(TYPES)]}
    match kind >> 5:
        case 1:
            headers[b"content-encoding"] = b"deflate"
            body = zlib.compress(body)
        case 2:
            headers[b"content-encoding"] = b"gzip"
        case 3:
            headers[b"content-encoding"] = b"deflate"
        case _:
            pass
    return headers, body


def target(data: bytes) -> None:
    if len(data) < _HEAD.size:
        return
    path, asked, answered, json_length, length = _HEAD.unpack_from(data)
    rest = data[_HEAD.size :]
    request_headers, request = _body(asked, rest[:length])
    response_headers, response = _body(answered, rest[length:])
    if json_length != 0xFFFF:
        request_headers[b"inference-header-content-length"] = b"%d" % json_length
        if json_length & 1:
            response_headers[b"inference-header-content-length"] = b"%d" % (json_length >> 1)
    exchange = Exchange(
        "http", b"POST", PATHS[path % len(PATHS)], request_headers, request, 200, response_headers, response,
        started=1, answered=2, ended=3, request_body_complete=path < 192,
    )  # fmt: skip
    check(decode(exchange, LIMITS, ROUTES))
