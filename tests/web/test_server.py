"""The server: over HTTP and HTTPS, with clients that dally, speak wrongly or not at all."""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import requests

from exporter.configuration import ConfigurationError
from exporter.errors import PLACES, ErrorCounts
from exporter.web import Server
from exporter.web.server import THREADS
from tests.web.certificates import Authority

HASH = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()


def hello(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    body = f"{environ['wsgi.url_scheme']} {environ['PATH_INFO']}".encode()
    start_response("200 OK", [("Content-Length", str(len(body))), ("X-Frame-Options", "sameorigin")])
    return [body]


@contextmanager
def serving(web_config: Path | None = None, app: Any = hello) -> Iterator[tuple[str, ErrorCounts]]:
    errors = ErrorCounts()
    server = Server(app, "127.0.0.1", 0, web_config, errors=errors)
    server.start()
    try:
        yield f"127.0.0.1:{server.port}", errors
    finally:
        server.stop()


@pytest.fixture(scope="module")
def authority(part: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(part("openssl"), tmp_path_factory.mktemp("authority"))


def web_file(folder: Path, text: str) -> Path:
    path = folder / "web.yml"
    path.write_text(text)
    return path


def get(address: str, **options: Any) -> requests.Response:
    return requests.get(f"http://{address}/metrics", timeout=10, **options)


def eventually(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_it_answers_and_keeps_the_connection() -> None:
    with serving() as (address, errors), requests.Session() as session:
        for _ in range(3):
            answer = session.get(f"http://{address}/metrics", timeout=10)
            assert (answer.status_code, answer.text) == (200, "http /metrics")
            assert "Connection" not in answer.headers
            assert answer.headers["Server"] == "modelmeter"
        assert errors.counts() == dict.fromkeys(PLACES, 0)


def test_stopping_closes_the_port_and_ends_every_thread() -> None:
    before = set(threading.enumerate())
    with serving() as (address, _):
        assert get(address).status_code == 200
        started = set(threading.enumerate()) - before
        assert len(started) >= THREADS
        assert all(thread.daemon for thread in started)
    assert not set(threading.enumerate()) - before
    with pytest.raises(requests.ConnectionError):
        get(address)


def test_a_port_that_is_taken_raises_at_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        server = Server(hello, "127.0.0.1", other.getsockname()[1])
        with pytest.raises(OSError, match="Address already in use"):
            server.start()


def test_a_socket_that_listens_already_is_taken_over() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(hello, "127.0.0.1", 0, listening=listening)
    server.start()
    try:
        assert server.port == listening.getsockname()[1]
        assert get(f"127.0.0.1:{server.port}").text == "http /metrics"
    finally:
        server.stop()


def test_clients_that_say_nothing_keep_nobody_waiting() -> None:
    with serving() as (address, _), ExitStack() as silent:
        host, port = address.split(":")
        for _ in range(5 * THREADS):
            silent.enter_context(socket.create_connection((host, int(port))))
        assert get(address).status_code == 200


@pytest.mark.parametrize(
    "begun",
    [b"GET /metrics HTTP/1.1\r\nHost: x\r\n", b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n"],
    ids=["head", "body"],
)
def test_clients_that_send_a_byte_now_and_then_lose_their_thread(
    begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.web.server.HEAD_SECONDS", 0.2)
    monkeypatch.setattr("exporter.web.server.REQUEST_SECONDS", 0.4)
    with serving() as (address, _), ExitStack() as dallying:
        host, port = address.split(":")
        clients = [
            dallying.enter_context(socket.create_connection((host, int(port)))) for _ in range(THREADS)
        ]
        over = threading.Event()

        def drip() -> None:
            while not over.wait(0.05):
                for client in clients:
                    with suppress(OSError):
                        client.sendall(b"X-A: 1\r\n")

        for client in clients:
            client.sendall(begun)
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert get(address).status_code == 200
        finally:
            over.set()
            thread.join()


def test_answers_are_given_side_by_side() -> None:
    together = threading.Barrier(THREADS, timeout=10)

    def meet(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        together.wait()
        return hello(environ, start_response)

    with serving(app=meet) as (address, _), ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda _: get(address).status_code, range(THREADS)))
    assert answers == [200] * THREADS


def test_an_application_that_raises_costs_its_answer_and_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    def broken(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/metrics":
            raise RuntimeError("broken")
        return hello(environ, start_response)

    with serving(app=broken) as (address, errors):
        assert get(address).status_code == 500
        assert errors.counts() == dict.fromkeys(PLACES, 0) | {"web_server": 1}
        assert requests.get(f"http://{address}/", timeout=10).status_code == 200
    assert "RuntimeError('broken')" in caplog.text


@pytest.mark.parametrize(
    "request_",
    [b"\x00\xff\r\n\r\n", b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
     b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"],
    ids=["garbage", "long", "version", "body"],
)  # fmt: skip
def test_a_request_that_can_not_be_served_is_refused(request_: bytes) -> None:
    with serving() as (address, _):
        host, port = address.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as client:
            client.sendall(request_)
            answer = client.recv(4096)
        assert re.match(rb"HTTP/1\.1 (4\d\d|505) ", answer)
        assert get(address).status_code == 200


def test_users_must_give_their_password(tmp_path: Path) -> None:
    config = web_file(tmp_path, f"basic_auth_users: {{alice: {HASH}}}")
    with serving(config) as (address, _):
        refused = get(address)
        assert (refused.status_code, refused.text) == (401, "Unauthorized\n")
        assert refused.headers["WWW-Authenticate"].startswith("Basic ")
        assert get(address, auth=("alice", "wrong")).status_code == 401
        assert get(address, auth=("alice", "open sesame")).text == "http /metrics"


def test_configured_headers_replace_those_of_the_application(tmp_path: Path) -> None:
    config = web_file(
        tmp_path,
        f"http_server_config: {{headers: {{X-Frame-Options: deny}}}}\nbasic_auth_users: {{alice: {HASH}}}",
    )
    with serving(config) as (address, _):
        for auth in (None, ("alice", "open sesame")):
            assert get(address, auth=auth).headers["X-Frame-Options"] == "deny"


def test_a_changed_configuration_is_in_force_without_restart(tmp_path: Path) -> None:
    config = web_file(tmp_path, "")
    with serving(config) as (address, _):
        assert get(address).status_code == 200
        config.write_text(f"basic_auth_users: {{alice: {HASH}}}")
        assert get(address).status_code == 401
        config.write_text("http_server_config: {headers: {X-Frame-Options: deny}}")
        assert get(address).headers["X-Frame-Options"] == "deny"


def test_a_change_for_the_worse_is_counted_once_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = web_file(tmp_path, f"basic_auth_users: {{alice: {HASH}}}")
    with serving(config) as (address, errors):
        config.write_text("basic_auth_users: {alice: plain}")
        for _ in range(3):
            assert get(address).status_code == 401
            assert get(address, auth=("alice", "open sesame")).status_code == 200
        assert errors.counts() == dict.fromkeys(PLACES, 0) | {"web_config": 1}
        assert "basic_auth_users.alice: expected a bcrypt hash" in caplog.text
        config.unlink()
        assert get(address).status_code == 401
        assert errors.counts()["web_config"] == 2


def test_a_configuration_that_is_wrong_at_the_start_raises(tmp_path: Path) -> None:
    config = web_file(tmp_path, "tls_server_config: {cert_file: none.pem, key_file: none.key}")
    with pytest.raises(
        ConfigurationError, match="expected a PEM certificate and the key that fits it, found No such file"
    ):
        Server(hello, "127.0.0.1", 0, config)


TLS = "tls_server_config: {cert_file: tls.crt, key_file: tls.key"


def shaken(address: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    host, port = address.split(":")
    return context.wrap_socket(socket.create_connection((host, int(port)), timeout=10), server_hostname=host)


@pytest.mark.real
class TestTls:
    """Over HTTPS, with certificates of an authority made for the test."""

    def test_https_is_spoken_from_1_2_up(self, authority: Authority, tmp_path: Path) -> None:
        authority.sign("server").copy_to(tmp_path)
        with serving(web_file(tmp_path, f"{TLS}}}")) as (address, errors):
            answer = requests.get(f"https://{address}/metrics", verify=authority.certificate, timeout=10)
            assert answer.text == "https /metrics"
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = ssl.create_default_context(cafile=authority.certificate)
                context.minimum_version = context.maximum_version = version
                with shaken(address, context) as client:
                    assert client.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]
            assert errors.counts()["web_server"] == 0

    def test_an_older_client_than_min_version_is_refused(self, authority: Authority, tmp_path: Path) -> None:
        authority.sign("server").copy_to(tmp_path)
        with serving(web_file(tmp_path, f"{TLS}, min_version: TLS13}}")) as (address, errors):
            context = ssl.create_default_context(cafile=authority.certificate)
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            with pytest.raises(ssl.SSLError):
                shaken(address, context)
            eventually(lambda: errors.counts() == dict.fromkeys(PLACES, 0) | {"tls_handshake": 1})

    def test_a_changed_certificate_is_shown_to_the_next_client(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        authority.sign("first").copy_to(tmp_path)
        context = ssl.create_default_context(cafile=authority.certificate)

        def name(address: str) -> str:
            with shaken(address, context) as client:
                subject: Any = client.getpeercert()["subject"]  # type: ignore[index]
                return str(subject[0][0][1])

        with serving(web_file(tmp_path, f"{TLS}}}")) as (address, errors):
            assert name(address) == "first"
            authority.sign("second").copy_to(tmp_path)
            assert name(address) == "second"
            (tmp_path / "half").write_text("half a certifica")
            os.replace(tmp_path / "half", tmp_path / "tls.crt")
            assert name(address) == "second"
            assert errors.counts()["web_config"] == 1
            # As Kubernetes does it: the file is a link, and the link is swapped.
            third = tmp_path / "third"
            third.mkdir()
            authority.sign("third").copy_to(third)
            for file in ("tls.crt", "tls.key"):
                os.symlink(third / file, tmp_path / "new")
                os.replace(tmp_path / "new", tmp_path / file)
            assert name(address) == "third"

    def test_tls_can_not_be_switched_off_while_running(self, authority: Authority, tmp_path: Path) -> None:
        authority.sign("server").copy_to(tmp_path)
        config = web_file(tmp_path, f"{TLS}}}")
        with serving(config) as (address, errors):
            config.write_text("")
            answer = requests.get(f"https://{address}/metrics", verify=authority.certificate, timeout=10)
            assert answer.status_code == 200
            assert errors.counts()["web_config"] == 1

    def test_a_client_without_a_certificate_is_refused_when_one_is_required(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        authority.sign("server").copy_to(tmp_path)
        client = authority.sign("client", "DNS:prometheus.example")
        (tmp_path / "clients.pem").write_bytes(authority.certificate.read_bytes())
        required = f"{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: clients.pem"
        config = web_file(tmp_path, f"{required}}}")
        pair = (str(client.certificate), str(client.key))
        with serving(config) as (address, errors):

            def status(cert: tuple[str, str] | None) -> int | None:
                try:
                    answer = requests.get(
                        f"https://{address}/metrics", verify=authority.certificate, cert=cert, timeout=10
                    )
                except requests.ConnectionError:
                    return None
                return answer.status_code

            assert status(pair) == 200
            assert status(None) is None
            eventually(lambda: errors.counts()["tls_handshake"] == 1)
            config.write_text(f"{required}, client_allowed_sans: [grafana.example]}}")
            assert status(pair) is None
            config.write_text(f"{required}, client_allowed_sans: [grafana.example, prometheus.example]}}")
            assert status(pair) == 200

    def test_plain_http_is_told_that_this_is_https(self, authority: Authority, tmp_path: Path) -> None:
        authority.sign("server").copy_to(tmp_path)
        with serving(web_file(tmp_path, f"{TLS}}}")) as (address, errors):
            answer = get(address)
            assert (answer.status_code, answer.text) == (
                400,
                "Client sent an HTTP request to an HTTPS server.\n",
            )
            eventually(lambda: errors.counts() == dict.fromkeys(PLACES, 0) | {"tls_handshake": 1})

    def test_clients_that_do_not_shake_hands_keep_nobody_waiting(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        authority.sign("server").copy_to(tmp_path)
        with serving(web_file(tmp_path, f"{TLS}}}")) as (address, _), ExitStack() as silent:
            host, port = address.split(":")
            for _ in range(5 * THREADS):
                silent.enter_context(socket.create_connection((host, int(port))))
            answer = requests.get(f"https://{address}/metrics", verify=authority.certificate, timeout=10)
            assert answer.status_code == 200

    def test_a_client_that_leaves_in_the_handshake_is_no_loss(
        self, authority: Authority, tmp_path: Path
    ) -> None:
        authority.sign("server").copy_to(tmp_path)
        with serving(web_file(tmp_path, f"{TLS}}}")) as (address, errors):
            host, port = address.split(":")
            with socket.create_connection((host, int(port))) as client:
                client.sendall(b"\x16\x03\x01")
            eventually(lambda: errors.counts()["tls_handshake"] == 1)
            connection = http.client.HTTPSConnection(
                host, int(port), timeout=10, context=ssl.create_default_context(cafile=authority.certificate)
            )
            connection.request("GET", "/")
            assert connection.getresponse().status == 200
            connection.close()
