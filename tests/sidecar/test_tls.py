"""TLS: what is sealed on the wire is plain in the books, certificates change while running, nothing hangs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import grpc
import pytest
import requests
from click.testing import CliRunner

from exporter.configuration import ConfigurationError
from sidecar.cli import main
from sidecar.copier import Copier, Flow
from sidecar.half import Half
from sidecar.plan import ServerTls
from sidecar.tls import Contexts, Layer, build
from sidecar.tlsfile import load_listen, load_upstream
from tests.sidecar.harness import free_port, read_to_end, server, wait_for
from tests.sidecar.whole import infer_body, patient_model_server, read_message, request, sidecar
from tests.web.certificates import Authority, Pair

REFUSED = {
    "nothing": ("{}", "tls_server_config"),
    "users": ("basic_auth_users: {a: b}", "basic_auth_users"),
    "no such file": ("tls_server_config: {cert_file: a, key_file: b}", "tls_server_config"),
}

REFUSED_UPSTREAM = {
    "": "the key tls_config alone",
    "tls_config: {ca: inline}": "tls_config.ca",
    "tls_config: {ca_file: nowhere.pem}": "PEM files",
    "tls_config: {cert_file: a.pem}": "tls_config.key_file",
    "tls_config: {insecure_skip_verify: perhaps}": "true or false",
    "tls_config: {min_version: TLS10}": "TLS12, TLS13",
    "tls_config: {min_version: TLS13, max_version: TLS12}": "from min_version up",
    "tls_config: [a": "YAML",
    "tls_config: {server_name: 7}": "a text",
}


@pytest.fixture
def authority(tmp_path: Path, part: Callable[[str], str]) -> Authority:
    return Authority(part("openssl"), tmp_path)


def listen_file(folder: Path, more: str = "") -> Path:
    path = folder / "listen.yml"
    path.write_text(f"tls_server_config: {{cert_file: tls.crt, key_file: tls.key{more}}}")
    return path


def trusting(authority: Authority, pair: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    return context


@contextmanager
def connected(port: int, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as sealed,
    ):
        yield sealed


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_listen_file_that_says_more_or_less_than_tls_is_refused(mistake: str, tmp_path: Path) -> None:
    text, key = REFUSED[mistake]
    path = tmp_path / "listen.yml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=key):
        load_listen(path)
    good = ["sidecar", "--listen", "http=127.0.0.1:0", "--upstream", "http=127.0.0.1:8000"]
    result = CliRunner().invoke(main, [*good, "--listen-tls.config.file", str(path)])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("text", REFUSED_UPSTREAM)
def test_an_upstream_file_with_a_mistake_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "upstream.yml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=REFUSED_UPSTREAM[text]):
        load_upstream(path)


def test_a_file_that_can_not_be_used_leaves_in_force_what_was(
    authority: Authority, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    authority.sign("one").copy_to(tmp_path)
    tls = load_listen(listen_file(tmp_path))
    contexts = Contexts(tls, ["http"])
    first = contexts.get("http")
    contexts.check()
    assert contexts.get("http") is first
    (tmp_path / "tls.crt").write_text("half written")
    contexts.check()
    contexts.check()
    assert (contexts.get("http"), contexts.refused) == (first, 1)
    (tmp_path / "tls.crt").unlink()
    contexts.check()
    assert (contexts.get("http"), contexts.refused) == (first, 2)
    authority.sign("two").copy_to(tmp_path)
    contexts.check()
    assert contexts.get("http") is not first
    log = capfd.readouterr().err
    assert log.count('event="certificates can not be used"') == 2
    assert log.count('event="certificates are read again"') == 1


def test_an_encrypted_key_is_refused_and_no_password_asked_for(
    authority: Authority, tmp_path: Path, part: Callable[[str], str]
) -> None:
    pair = authority.sign("one")
    arguments = [
        "ec",
        "-in",
        str(pair.key),
        "-aes128",
        "-passout",
        "pass:secret",
        "-out",
        str(tmp_path / "tls.key"),
    ]
    subprocess.run([part("openssl"), *arguments], check=True, capture_output=True)
    (tmp_path / "tls.crt").write_bytes(pair.certificate.read_bytes())
    with pytest.raises(ConfigurationError, match="the key is encrypted"):
        load_listen(listen_file(tmp_path))


def talk(one: Layer, other: Layer) -> None:
    """Shake hands in memory."""
    one.receive(b"")
    for _ in range(4):
        other.receive(one.outgoing())
        one.receive(other.outgoing())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_layer_opens_what_a_layer_sealed_in_whatever_pieces_it_comes(
    version: ssl.TLSVersion, authority: Authority, tmp_path: Path
) -> None:
    pair = authority.sign("one")
    tls = ServerTls(str(pair.certificate), str(pair.key), None, 0, (), int(version), int(version))
    client = Layer(trusting(authority), server_side=False, hostname="127.0.0.1")
    accepting = Layer(build(tls, "http"), server_side=True)
    talk(client, accepting)
    assert (client.shaken, accepting.shaken) == (True, True)
    message = os.urandom(300_000)
    sealed = client.seal(message)
    opened = b"".join(accepting.receive(sealed[at : at + 7_001]) for at in range(0, len(sealed), 7_001))
    assert opened == message
    assert accepting.receive(client.end()) == b""
    assert accepting.ended
    if version is ssl.TLSVersion.TLSv1_3:  # the other direction goes on
        assert client.receive(accepting.seal(b"answer")) == b"answer"


def test_garbage_is_no_fault_of_a_layer(authority: Authority) -> None:
    pair = authority.sign("one")
    tls = ServerTls(str(pair.certificate), str(pair.key), None, 0, (), 771, 772)
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(70_000), os.urandom(5000)):
        layer = Layer(build(tls, "http"), server_side=True)
        with contextlib.suppress(OSError, ValueError):
            layer.receive(garbage)
        assert not layer.shaken


@pytest.mark.real
def test_real_clients_over_tls_are_recorded_and_certificates_change_under_load(
    authority: Authority, tmp_path: Path, part: Callable[[str], str]
) -> None:
    authority.sign("first").copy_to(tmp_path)
    arguments = ("--listen-tls.config.file", str(listen_file(tmp_path)))
    with server(patient_model_server) as model, sidecar(model.port, *arguments) as running:
        url = f"https://127.0.0.1:{running.port}/v2/models/m/infer"
        sent = [0]
        failures: list[str] = []
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                try:
                    body = infer_body([1.0, 2.0])
                    answer = requests.post(url, body, verify=str(authority.certificate), timeout=10)
                    if answer.json()["outputs"][0]["data"] != [3.0]:
                        failures.append(answer.text)
                    sent[0] += 1
                except Exception as error:
                    failures.append(repr(error))

        def subject() -> str:
            with connected(running.port, trusting(authority)) as client:
                found = client.getpeercert()
                assert found is not None
                return str(found["subject"][0][0][1])

        loading = threading.Thread(target=load)
        loading.start()
        with connected(running.port, trusting(authority)) as kept:
            kept.sendall(request(infer_body([2.0])))
            assert b'"data": [2.0]' in read_message(kept)
            assert subject() == "first"
            (tmp_path / "tls.crt").write_text("broken")
            time.sleep(2.5)
            assert subject() == "first"
            authority.sign("second").copy_to(tmp_path)
            wait_for(lambda: subject() == "second", "the new certificate is in force")
            kept.sendall(request(infer_body([3.0])))  # as it began
            assert b'"data": [3.0]' in read_message(kept)
        stop.set()
        loading.join(20)
        assert failures == []
        curl = [
            part("curl"),
            "-sS",
            "--cacert",
            str(authority.certificate),
            url,
            "-d",
            infer_body([4.0, 5.0]).decode(),
        ]
        answered = subprocess.run(curl, capture_output=True, text=True, timeout=20)
        assert ('"data": [9.0]' in answered.stdout, answered.stderr) == (True, "")
        law = running.wait_until_settled(sent[0] + 3)
        assert (law["seen_total"], law["recorded_total"]) == (sent[0] + 3, sent[0] + 3)
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as plain:
            plain.sendall(request(infer_body([1.0])))
            with contextlib.suppress(ConnectionError):
                read_to_end(plain)  # an alert and the end
        wait_for(lambda: running.value("connections_open") == 0, "no connection is left")
        log = running.stop()[1]
    assert 'event="certificates can not be used"' in log
    assert 'event="TLS with clients was refused" times=1 reason="http request"' in log


@pytest.mark.real
def test_clients_without_the_right_certificate_are_refused(authority: Authority, tmp_path: Path) -> None:
    authority.sign("server").copy_to(tmp_path)
    right, wrong = authority.sign("right", "DNS:right.test"), authority.sign("wrong", "DNS:wrong.test")
    more = (
        ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: authority.pem,"
        " client_allowed_sans: [right.test]"
    )
    arguments = ("--listen-tls.config.file", str(listen_file(tmp_path, more)))
    with server(patient_model_server) as model, sidecar(model.port, *arguments) as running:
        with connected(running.port, trusting(authority, right)) as client:
            client.sendall(request(infer_body([1.0])))
            assert b'"data": [1.0]' in read_message(client)
        for pair in (None, wrong):
            with contextlib.suppress(OSError), connected(running.port, trusting(authority, pair)) as client:
                client.sendall(request(infer_body([1.0])))
                assert read_message(client) == b""
        assert running.wait_until_settled(1)["seen_total"] == 1
        wait_for(lambda: running.value("connections_open") == 0, "no connection is left")


def tls_server(
    authority: Authority, pair: Pair, handle: Callable[[ssl.SSLSocket], None]
) -> Callable[[socket.socket], None]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.certificate))
    context.load_cert_chain(pair.certificate, pair.key)
    context.verify_mode = ssl.CERT_REQUIRED

    def sealed(connection: socket.socket) -> None:
        try:
            wrapped = context.wrap_socket(connection, server_side=True)
        except OSError:  # the probe connects and says nothing; a stranger is refused
            return
        with wrapped:
            handle(wrapped)

    return sealed


@pytest.mark.real
def test_a_server_that_wants_tls_and_our_certificate_has_both(authority: Authority, tmp_path: Path) -> None:
    pair, ours = authority.sign("model", "DNS:model.test"), authority.sign("sidecar")
    upstream = tmp_path / "upstream.yml"
    parts = f"ca_file: authority.pem, cert_file: {ours.certificate}, key_file: {ours.key}"
    upstream.write_text(f"tls_config: {{{parts}, server_name: model.test}}")
    arguments = ("--upstream-tls.config.file", str(upstream))
    handle = tls_server(authority, pair, patient_model_server)
    with server(handle) as model, sidecar(model.port, *arguments) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
            for value in (1.0, 2.0):
                client.sendall(request(infer_body([value])))
                assert f'"data": [{value}]'.encode() in read_message(client)
        assert running.wait_until_settled(2)["recorded_total"] == 2
    upstream.write_text(f"tls_config: {{{parts}, server_name: other.test}}")
    with server(handle) as model, sidecar(model.port, *arguments) as running:
        with (
            socket.create_connection(("127.0.0.1", running.port), timeout=10) as client,
            pytest.raises(ConnectionResetError),
        ):
            read_to_end(client)
        wait_for(lambda: running.value("upstream_connection_failures_total") == 1, "it is counted")
        wait_for(lambda: running.value("connections_open") == 0, "no connection is left")


@pytest.mark.real
def test_large_bodies_pass_over_tls_both_ways_at_the_readers_pace_and_to_the_last_byte(
    authority: Authority, tmp_path: Path
) -> None:
    authority.sign("server").copy_to(tmp_path)
    total = 64 << 20
    block = os.urandom(1 << 20)
    go = threading.Event()

    def handle(connection: socket.socket) -> None:
        with contextlib.suppress(ConnectionError):  # the upload is given up in the middle
            if b"/upload" in read_message(connection):
                go.wait(30)
                read_to_end(connection)
            else:  # and closes behind a slow reader's back
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                for _ in range(total >> 20):
                    connection.sendall(block)

    arguments = ("--listen-tls.config.file", str(listen_file(tmp_path)))
    with server(handle) as model, sidecar(model.port, *arguments) as running:
        with connected(running.port, trusting(authority)) as client:
            client.sendall(b"POST /upload HTTP/1.1\r\n\r\n")
            client.settimeout(0.5)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < total:
                    client.send(block[: 1 << 14])
                    sent += 1 << 14
            assert sent < total, "the sender was never slowed"
            assert resident(running.child("sidecar.tap")) < 100 << 20
        go.set()
        with connected(running.port, trusting(authority)) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            time.sleep(1.0)  # it fills what can be filled
            assert resident(running.child("sidecar.tap")) < 100 << 20
            received = read_to_end(client)
            assert len(received) == len(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n") + total
            assert received.endswith(block)
        wait_for(lambda: running.value("connections_open") == 0, "no connection is left")


def resident(pid: int) -> int:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        whole, shared = map(int, file.read().split()[1:3])
    return (whole - shared) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.real
def test_grpc_over_tls_passes_with_its_alpn(authority: Authority, tmp_path: Path) -> None:
    authority.sign("server").copy_to(tmp_path)
    model = grpc.server(futures.ThreadPoolExecutor(4))
    echo = grpc.unary_unary_rpc_method_handler(lambda message, context: message[::-1])
    model.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", {"Echo": echo}),))
    grpc_upstream = model.add_insecure_port("127.0.0.1:0")
    model.start()
    port = free_port()
    routes = ("--listen", f"grpc=127.0.0.1:{port}", "--upstream", f"grpc=127.0.0.1:{grpc_upstream}")
    arguments = (*routes, "--listen-tls.config.file", str(listen_file(tmp_path)))
    try:
        with server(patient_model_server) as other, sidecar(other.port, *arguments) as running:
            credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
            with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
                call = channel.unary_unary("/test.Echo/Echo")
                messages = [os.urandom(number * 100) for number in range(50)]
                assert [call(message, timeout=10) for message in messages] == [m[::-1] for m in messages]
            with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
                context = trusting(authority)
                context.set_alpn_protocols(["http/1.1", "h2"])
                with context.wrap_socket(plain, server_hostname="127.0.0.1") as sealed:
                    assert sealed.selected_alpn_protocol() == "h2"
            wait_for(lambda: running.total("exchanges_seen_total", protocol="grpc") >= 50, "they are seen")
    finally:
        model.stop(None).wait()


@pytest.mark.real
@pytest.mark.parametrize("told", [True, False], ids=["close_notify", "FIN alone"])
def test_a_client_that_has_said_all_still_has_its_answer(
    told: bool, authority: Authority, tmp_path: Path
) -> None:
    authority.sign("server").copy_to(tmp_path)
    question, answer = os.urandom(300_000), os.urandom(500_000)
    heard: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        if data := read_to_end(connection):  # the probe says nothing
            heard.append(data)
            connection.sendall(answer)

    arguments = ("--listen-tls.config.file", str(listen_file(tmp_path)))
    with server(handle) as model, sidecar(model.port, *arguments) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=20) as client:
            layer = Layer(trusting(authority), server_side=False, hostname="127.0.0.1")
            layer.receive(b"")
            while not layer.shaken:
                client.sendall(layer.outgoing())
                layer.receive(client.recv(65536))
            client.sendall(layer.outgoing() + layer.seal(question))
            if told:
                client.sendall(layer.end())
            client.shutdown(socket.SHUT_WR)
            received = bytearray()
            while not layer.ended:
                data = client.recv(65536)
                assert data, "ended without being told"
                received += layer.receive(data)
        wait_for(lambda: running.value("connections_open") == 0, "no connection is left")
    assert (heard, bytes(received)) == ([question], answer)


@pytest.mark.real
def test_a_client_that_leaves_during_the_servers_handshake_is_no_failure_of_the_server(
    authority: Authority, tmp_path: Path
) -> None:
    upstream = tmp_path / "upstream.yml"
    upstream.write_text("tls_config: {ca_file: authority.pem}")
    reached = threading.Event()

    def handle(connection: socket.socket) -> None:
        if connection.recv(10):  # not the probe
            reached.set()
            with contextlib.suppress(ConnectionResetError):
                read_to_end(connection)

    arguments = ("--upstream-tls.config.file", str(upstream))
    with server(handle) as model, sidecar(model.port, *arguments) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
            assert reached.wait(10)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_for(lambda: running.value("connections_open") == 0, "no connection is left")
        assert running.value("upstream_connection_failures_total") == 0


class _Told:
    """A transport with something queued, to which uvloop lets nothing more be written."""

    def get_extra_info(self, name: str) -> socket.socket:
        return socket.socket()

    def get_write_buffer_size(self) -> int:
        return 1

    def is_closing(self) -> bool:
        return False

    def write_eof(self) -> None:
        pass

    def write(self, data: bytes) -> None:
        raise RuntimeError("Cannot call write() after write_eof()")


def test_words_of_tls_itself_after_the_end_are_no_fault() -> None:
    half = Half(0, cast(Copier, None), Flow(1, 0))
    half.transport = cast(asyncio.Transport, _Told())
    half.end()
    half.send(b"the answer to a key update")


@pytest.mark.real
@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_under_tls_is_a_reset_on_the_other_side(
    who: str, authority: Authority, tmp_path: Path
) -> None:
    authority.sign("server").copy_to(tmp_path)
    seen: list[str] = []
    ready = threading.Event()
    abrupt = struct.pack("ii", 1, 0)

    def handle(connection: socket.socket) -> None:
        if not connection.recv(10):  # the probe
            return
        connection.sendall(b"hello")
        if who == "server":
            ready.wait(10)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abrupt)
            return
        with contextlib.suppress(ConnectionResetError):
            seen.append(repr(connection.recv(10)))
            return
        seen.append("reset")

    arguments = ("--listen-tls.config.file", str(listen_file(tmp_path)))
    with (
        server(handle) as model,
        sidecar(model.port, *arguments) as running,
        connected(running.port, trusting(authority)) as client,
    ):
        client.sendall(b"hello")
        assert client.recv(10) == b"hello"
        if who == "client":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abrupt)
            client.close()
        else:
            ready.set()
            try:
                # Below TLS: ssl makes an end of some resets (suppress_ragged_eofs).
                seen.append(repr(socket.socket.recv(client, 10)))
            except ConnectionResetError:
                seen.append("reset")
        wait_for(lambda: seen, "the other side has noticed")
    assert seen == ["reset"]
