"""The listener: who may come in, what is answered, and that nothing is read beyond the limits."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from wsgiref.validate import validator

import bcrypt
import pytest
import requests

from exporter.errors import PLACES, ErrorCounts
from exporter.schema import Limits
from sidecar.decode import ROUTES
from sidecar.ingest import Ingest
from sidecar.ingest.app import BODY_BYTES
from sidecar.ingest.event import BATCH, STRUCTURED
from sidecar.ingest.pairs import Bounds
from sidecar.words import DOOR_BYTES
from tests.ingest.loggers import call, environ, kserve, post, seldon
from tests.memory import shared_memory
from tests.web.certificates import Authority

TOKEN = "0123456789abcdef"
WEB = f"""
basic_auth_users:
  logger: {bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()}
bearer_tokens:
  recorder: {hashlib.sha256(TOKEN.encode()).hexdigest()}
"""
V1 = (b'{"instances": [[1.5, 2], [3, 4]]}', b'{"predictions": [0, 1]}')


def door(bounds: Bounds = Bounds(), limits: Limits = Limits(), sampling: float = 1.0) -> Ingest:  # noqa: B008
    ingest = Ingest(shared_memory(DOOR_BYTES), limits, ROUTES, sampling, bounds)
    ingest.attach(first=True)
    return ingest


@contextmanager
def serving(ingest: Ingest, web_config: Path | None = None) -> Iterator[str]:
    listening = socket.create_server(("127.0.0.1", 0))
    errors = ErrorCounts()
    ingest.start(listening, web_config, errors)
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        ingest.stop()
        assert errors.counts() == dict.fromkeys(PLACES, 0)


def send_pair(address: str, number: str = "7") -> list[int]:
    """As KServe's logger does; returns both statuses."""
    return [
        requests.post(f"http://{address}/ingest", body, headers=kserve(half, number), timeout=10).status_code
        for half, body in (("request", V1[0]), ("response", V1[1]))
    ]


def test_a_pair_of_kserves_is_taken_with_200_and_no_body() -> None:
    ingest = door()
    app = validator(ingest.app)
    for half, body in (("request", V1[0]), ("response", V1[1])):
        status, headers, answer = call(app, environ(body, kserve(half, "7")))
        assert (status, answer, headers["Content-Length"]) == (200, b"", "0")
    [exchange] = ingest.drain()
    assert (exchange.request_body, exchange.response_body) == V1
    assert (exchange.target, exchange.heads_only) == (b"/v1/models/sklearn-iris:predict", False)
    assert ingest.drain() == []


def test_a_pair_of_seldons_is_taken() -> None:
    ingest = door()
    body = b'{"data": {"names": ["a"], "ndarray": [[1]]}}'
    assert [post(ingest.app, body, seldon(half, "puid")) for half in ("request", "response")] == [200, 200]
    [exchange] = ingest.drain()
    assert exchange.target == b"event:classifier//api/v1.0/predictions"


def test_other_events_are_counted_and_no_exchange() -> None:
    ingest = door()
    feedback = seldon("request", "puid", **{"Ce-Type": "io.seldon.serving.feedback"})
    assert post(ingest.app, b"{}", feedback) == 200
    assert ingest.pairs.events() == {
        "accepted": 0, "duplicate": 0, "other": 1, "refused": 0, "malformed": 0, "too_large": 0,
    }  # fmt: skip
    assert ingest.view().seen == 0


def test_what_sampling_leaves_out_is_marked() -> None:
    ingest = door(sampling=0.0)
    for half in ("request", "response"):
        post(ingest.app, b"{}", kserve(half, "7"))
    assert [exchange.heads_only for exchange in ingest.drain()] == [True]


def test_a_content_coding_is_the_requests_in_json_and_the_datas_in_binary_mode() -> None:
    ingest = door()
    event = {
        "specversion": "1.0", "id": "1", "source": "s", "type": "a.inference.request", "requestid": "7", "path": "/p",
        "data": {"instances": [1]},
    }  # fmt: skip
    for coding, body in (("gzip", gzip.compress(json.dumps(event).encode())),):
        headers = {"Content-Type": STRUCTURED, "Content-Encoding": coding}
        assert post(ingest.app, body, headers) == 200
    zipped = gzip.compress(b'{"predictions": [1]}')
    headers = {
        "Content-Type": "application/json", "Content-Encoding": "gzip", "Ce-Specversion": "1.0", "Ce-Id": "2",
        "Ce-Source": "s", "Ce-Type": "a.inference.response", "Ce-Requestid": "7",
    }  # fmt: skip
    assert post(ingest.app, zipped, headers) == 200
    [exchange] = ingest.drain()
    assert exchange.request_body == b'{"instances": [1]}'
    assert exchange.response_body == zipped
    assert exchange.response_headers[b"content-encoding"] == b"gzip"


SECRET = b"s3cr3t"


@pytest.mark.parametrize(
    ("made", "status", "result"),
    [
        (environ(SECRET, {"Content-Type": "text/plain"}), 415, "malformed"),
        (environ(SECRET, {"Content-Type": STRUCTURED}), 400, "malformed"),
        (environ(SECRET, {"Content-Type": BATCH, "Content-Encoding": "gzip"}), 415, "malformed"),
        (environ(SECRET, {"Content-Type": BATCH, "Content-Encoding": SECRET.decode()}), 415, "malformed"),
        (environ(gzip.compress(bytes(BODY_BYTES + 1)), {"Content-Type": BATCH, "Content-Encoding": "gzip"}), 413, "too_large"),
        (environ(SECRET, {"Content-Type": BATCH}) | {"CONTENT_LENGTH": str(BODY_BYTES + 1)}, 413, "too_large"),
        (environ(bytes(BODY_BYTES + 1), {"Content-Type": BATCH}) | {"CONTENT_LENGTH": ""}, 413, "too_large"),
        (environ(SECRET, {"Content-Type": BATCH}) | {"CONTENT_LENGTH": "9" * 30}, 413, "too_large"),
        (environ(SECRET, {"Content-Type": BATCH}) | {"CONTENT_LENGTH": "100"}, 400, "malformed"),
        (environ(SECRET, {"Content-Type": BATCH}, method="GET"), 405, ""),
        (environ(SECRET, {"Content-Type": BATCH}, path="/"), 404, ""),
        (environ(SECRET, {"Content-Type": BATCH}, path=""), 404, ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_answered_in_one_sentence_and_counted(
    made: dict[str, object], status: int, result: str
) -> None:
    ingest = door()
    found, headers, body = call(ingest.app, made)
    assert found == status
    assert SECRET not in body
    assert body.count(b"\n") == 1
    assert body.endswith(b"\n")
    assert headers.get("Allow") == ("POST" if status == 405 else None)
    assert {name for name, count in ingest.pairs.events().items() if count} == ({result} if result else set())
    assert ingest.view().seen == 0


def test_a_full_queue_is_answered_503_until_the_recorder_takes_some() -> None:
    ingest = door(Bounds(entries=1))
    for half in ("request", "response"):
        assert post(ingest.app, b"{}", kserve(half, "1")) == 200
    assert post(ingest.app, b"{}", kserve("request", "2")) == 200
    status, headers, body = call(validator(ingest.app), environ(b"{}", kserve("response", "2")))
    assert (status, headers["Retry-After"]) == (503, "5")
    assert body == b"the queue is full, nothing of this request was taken\n"
    assert len(ingest.drain()) == 1
    assert post(ingest.app, b"{}", kserve("response", "2")) == 200
    assert len(ingest.drain()) == 1
    assert ingest.view().seen == 2


def test_a_door_that_closes_takes_nothing_more() -> None:
    ingest = door()
    ingest.close()
    assert post(ingest.app, b"{}", kserve("request", "1")) == 503
    assert ingest.view().seen == 0


def test_over_a_socket_a_connection_is_kept_and_a_body_may_come_in_chunks() -> None:
    ingest = door()
    with serving(ingest) as address, requests.Session() as session:
        for half, body in (("request", V1[0]), ("response", V1[1])):
            pieces = (body[at : at + 5] for at in range(0, len(body), 5))
            answer = session.post(f"http://{address}/ingest", pieces, headers=kserve(half, "7"), timeout=10)
            assert (answer.status_code, answer.content) == (200, b"")
            assert "Connection" not in answer.headers
    [exchange] = ingest.drain()
    assert (exchange.request_body, exchange.response_body) == V1


@pytest.mark.parametrize("chunked", [False, True])
def test_over_a_socket_a_body_beyond_the_limit_is_not_read(chunked: bool) -> None:
    with serving(door()) as address:
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as client:
            framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 1000000000000"
            client.sendall(f"POST /ingest HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode())
            if chunked:
                client.sendall(b"3B9ACA00\r\n")  # a gigabyte
            assert client.recv(12) == b"HTTP/1.1 413"


@pytest.fixture
def web_file(tmp_path: Path) -> Path:
    path = tmp_path / "ingest.yml"
    path.write_text(WEB)
    return path


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN} ", 200),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer ", 401),
        ("Bearer é", 401),
        (f"Basic {base64.b64encode(b'logger:open sesame').decode()}", 200),
        (f"Basic {base64.b64encode(b'logger:wrong').decode()}", 401),
        (f"Basic {base64.b64encode(f'recorder:{TOKEN}'.encode()).decode()}", 401),
        (TOKEN, 401),
    ],
)
def test_only_who_has_a_token_or_a_password_gets_in(
    web_file: Path, authorization: str | None, status: int
) -> None:
    ingest = door()
    with serving(ingest, web_file) as address:
        headers = kserve("request", "7")
        if authorization is not None:
            headers["Authorization"] = authorization.encode("latin-1")  # type: ignore[assignment]
        answer = requests.post(f"http://{address}/ingest", b"{}", headers=headers, timeout=10)
    assert answer.status_code == status
    assert ingest.view().seen == (status == 200)


def test_user_and_password_in_the_url_are_enough_as_gos_client_sends_them(web_file: Path) -> None:
    # net/http: a URL with user information becomes the header field, so KServe's logger.url may hold it.
    with serving(door(), web_file) as address:
        assert send_pair(f"logger:open%20sesame@{address}") == [200, 200]


def test_over_tls_with_client_certificates(part: Callable[[str], str], tmp_path: Path) -> None:
    authority = Authority(part("openssl"), tmp_path)
    authority.sign("server").copy_to(tmp_path)
    client = authority.sign("client")
    path = tmp_path / "ingest.yml"
    path.write_text(
        "tls_server_config: {cert_file: tls.crt, key_file: tls.key, client_ca_file: authority.pem,"
        " client_auth_type: RequireAndVerifyClientCert}\n"
    )
    context = ssl.create_default_context(cafile=str(authority.certificate))
    assert context.verify_mode is ssl.CERT_REQUIRED
    ingest = door()
    with serving(ingest, path) as address:
        answer = requests.post(
            f"https://{address}/ingest",
            b"{}",
            headers=kserve("request", "7"),
            timeout=10,
            verify=str(authority.certificate),
            cert=(str(client.certificate), str(client.key)),
        )
        assert answer.status_code == 200
    assert ingest.view().seen == 1
