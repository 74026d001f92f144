"""No payload, header value or category in any log, at any level, whatever goes wrong."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import grpc
import pytest
import requests

from tests.sidecar.harness import free_port, server, wait_for
from tests.sidecar.whole import sidecar

MARK = "hush-7f3a"

EVERYTHING = """\
import logging
logging.INFO = 1  # what `sidecar.logfmt.install` takes by default: every level there is
"""


def messages() -> list[bytes]:
    """Requests that carry the mark everywhere, most of them wrong in one way or another."""
    mark = MARK.encode()
    text = json.dumps(
        {"inputs": [{"name": MARK, "shape": [1, 1], "datatype": "BYTES", "data": [MARK]}]}
    ).encode()
    bodies = [
        text, text[:-9], mark, b"[" * 5000, b'{"inputs": "%b"}' % mark, b'{"instances": [{"%b": NaN}, 1]}' % mark,
        b"a,b\n%b,1\n" % mark, b'{"dataframe_split": {"columns": ["%b"], "data": [[1, 2]]}}' % mark,
    ]  # fmt: skip
    paths = [
        "/v2/models/m/infer", "/v1/models/m:predict", "/invocations", "/predictions/m", "/api/v1.0/predictions",
        "/v2/models/m/generate_stream", "/v1/chat/completions", f"/{MARK}",
    ]  # fmt: skip
    fields = [
        f"X-Secret: {MARK}", f"Content-Type: {MARK}", f"Content-Encoding: {MARK}", "Content-Encoding: gzip",
        f"Inference-Header-Content-Length: {MARK}", f"traceparent: {MARK}",
    ]  # fmt: skip
    return [
        f"POST {path}?{MARK} HTTP/1.1\r\nHost: {MARK}\r\n{field}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
        for path in paths
        for field in fields
        for body in bodies
    ]


def answering(connection: socket.socket) -> None:
    """A scripted server whose answers carry the mark, too; not a real one."""
    answers = [
        b'{"model_name": "%b", "outputs": [{"name": "y", "shape": [1], "datatype": "BYTES", "data": ["%b"]}]}',
        b'{"error": "%b %b"}', b"data: {%b%b\n\n", b"%b%b",
    ]  # fmt: skip
    turn = 0
    while data := connection.recv(1 << 20):
        for _ in range(data.count(b" HTTP/1.1\r\n")):
            body = answers[turn % len(answers)] % (MARK.encode(), MARK.encode())
            status = (b"200 OK", b"500 " + MARK.encode())[turn % 7 == 6]
            connection.sendall(
                b"HTTP/1.1 %b\r\nX: %b\r\nContent-Length: %d\r\n\r\n%b"
                % (status, MARK.encode(), len(body), body)
            )
            turn += 1


@pytest.mark.real
def test_nothing_of_what_passes_is_ever_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(EVERYTHING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    second = free_port()
    grpc_flags = ("--listen", f"grpc=127.0.0.1:{second}")
    with server(answering) as model:
        flags = (*grpc_flags, "--upstream", f"grpc=127.0.0.1:{model.port}")
        with sidecar(model.port, *flags) as running:
            sent = 0
            for message in messages():
                with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
                    connection.sendall(message)
                    connection.recv(1 << 16)
                sent += 1
            for garbage in (
                MARK.encode() * 99,
                b"\x16\x03\x01" + MARK.encode(),
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + MARK.encode() * 9,
            ):
                with socket.create_connection(("127.0.0.1", second), timeout=10) as connection:
                    connection.sendall(garbage)
            with grpc.insecure_channel(f"127.0.0.1:{second}") as channel:
                call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
                with pytest.raises(grpc.RpcError):
                    call(MARK.encode(), metadata=(("x-secret", MARK),), timeout=2)
            asked = {
                requests.get(
                    f"http://127.0.0.1:{port}{path}", headers={"Accept": MARK}, timeout=5
                ).status_code
                for path in (
                    f"/{MARK}",
                    f"/metrics?name[]={MARK}",
                    f"/api/v1/status?{MARK}",
                    f"/-/ready?{MARK}",
                )
                for port in (running.metrics_port, running.health_port)
            }
            assert asked == {200, 404}
            wait_for(lambda: running.law()["seen_total"] >= sent, "all seen")
            running.wait_until_settled(sent)
            status, log = running.stop()
    assert status == 0
    assert "recording" in log  # it is a log
    assert MARK not in log
