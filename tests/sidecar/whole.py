"""The whole sidecar as a user starts it, before a scripted model server (real ones: tests/e2e)."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeAlias

from prometheus_client.parser import text_string_to_metric_families

from tests.sidecar.harness import free_port, read_exactly, wait_for

AT_ONCE = ("--drain-seconds", "0", "--last-scrape-seconds", "0")
"""For tests that end a sidecar by SIGTERM and are about something else."""

PARTS = (
    *("seen_total", "recorded_total", "sampled_out_total", "dropped_total"),
    *("undecodable_total", "unobservable_total", "ignored_total", "unsettled"),
)
"""Of the law: the first is the sum of the others."""

Samples: TypeAlias = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""Of one scrape, by name and labels."""


def law_of(samples: Samples, protocol: str) -> dict[str, float]:
    """What *samples* say of the law."""
    law = dict.fromkeys(PARTS, 0.0)
    for (name, labels), value in samples.items():
        part = name.removeprefix("modelmeter_exchanges_")
        if part in law and ("protocol", protocol) in labels:
            law[part] += value
    return law


def infer_body(values: list[float]) -> bytes:
    tensor = {"name": "x", "shape": [1, len(values)], "datatype": "FP64", "data": values}
    return json.dumps({"inputs": [tensor]}).encode()


def request(body: bytes, path: str = "/v2/models/m/infer") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def read_message(connection: socket.socket) -> bytes:
    """One message with Content-Length, head and body; b"" at the end."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return b""
        head += byte
    length = next(
        (
            int(line.split(b":")[1])
            for line in bytes(head).split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    return bytes(head) + read_exactly(connection, length)


def scripted_model_server(connection: socket.socket) -> None:
    """Answers each KServe v2 request with the sum of its values; not a real server."""
    while message := read_message(connection):
        body = json.loads(message.partition(b"\r\n\r\n")[2] or b"null")
        if not body:
            answer, status = b'{"error": "no body"}', "400 Bad Request"
        else:
            total = sum(body["inputs"][0]["data"])
            tensor = {"name": "y", "shape": [1, 1], "datatype": "FP64", "data": [total]}
            answer = json.dumps({"model_name": "m", "model_version": "1", "outputs": [tensor]}).encode()
            status = "200 OK"
        connection.sendall(
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n".encode()
            + answer
        )


def patient_model_server(connection: socket.socket) -> None:
    """As `scripted_model_server`, and not surprised when a client resets its connection in the end."""
    with suppress(ConnectionError):
        scripted_model_server(connection)


class Sidecar:
    """A running ``modelmeter sidecar``."""

    protocol = "http"

    def __init__(
        self,
        upstream: int,
        *arguments: str,
        command: tuple[str, ...] = (),
        ports: tuple[int, int, int] | None = None,
        stderr: int | IO[str] = subprocess.PIPE,
    ) -> None:
        self.ports = ports or (free_port(), free_port(), free_port())
        self.port, self.metrics_port, self.health_port = self.ports
        self.process = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("modelmeter")),
                "sidecar",
                *self.doors(upstream),
                *("--metrics-listen", f"127.0.0.1:{self.metrics_port}"),
                *("--health-listen", f"127.0.0.1:{self.health_port}"),
                *arguments,
                *(("--", *command) if command else ()),
            ],
            stderr=stderr,
            text=True,
        )

    def doors(self, upstream: int) -> tuple[str, ...]:
        """The options for what it serves beside its own pages."""
        return "--listen", f"http=127.0.0.1:{self.port}", "--upstream", f"http=127.0.0.1:{upstream}"

    def get(self, path: str, port: int | None = None) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port or self.metrics_port}{path}", timeout=5
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def health(self, path: str) -> int:
        try:
            return self.get(path, self.health_port)[0]
        except OSError:
            return 0

    def answers(self) -> bool:
        try:
            return self.get("/metrics")[0] == 200
        except OSError:
            return False

    def wait_until_ready(self) -> None:
        wait_for(lambda: self.health("/-/ready") == 200, "ready")
        wait_for(self.answers, "/metrics answers")

    def metrics(self) -> Samples:
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.get("/metrics")[1])
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        return self.metrics()[f"modelmeter_{name}", frozenset(labels.items())]

    def total(self, name: str, **labels: str) -> float:
        """Sum over the series of *name* that have *labels*."""
        return sum(
            value
            for (found, found_labels), value in self.metrics().items()
            if found == f"modelmeter_{name}" and labels.items() <= dict(found_labels).items()
        )

    def law(self, protocol: str = "") -> dict[str, float]:
        return law_of(self.metrics(), protocol or self.protocol)

    def wait_until_settled(self, seen: int, protocol: str = "") -> dict[str, float]:
        """Wait until *seen* exchanges are in the books and none is unsettled; returns the law."""
        law = dict.fromkeys(PARTS, 0.0)

        def settled() -> bool:
            with suppress(OSError):
                law.update(self.law(protocol))
                return law["seen_total"] >= seen and law["unsettled"] == 0
            return False

        wait_for(settled, f"{seen} exchanges settled")
        return law

    def exact_law(self, seen: int, protocol: str = "") -> dict[str, float]:
        """The law once *seen* exchanges are settled: exact to the request."""
        law = self.wait_until_settled(seen, protocol)
        assert law["seen_total"] == seen
        assert sum(value for part, value in law.items() if part != "seen_total") == seen
        return law

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get("/api/v1/status")[1])
        return found

    def child(self, module: str) -> int:
        """The process that runs *module*, a child of the supervisor."""
        for entry in Path("/proc").iterdir():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and module in (entry / "cmdline").read_text().split("\0"):
                    return int(entry.name)
            except (OSError, ValueError):
                continue
        raise LookupError(module)

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """End it; returns exit status and its log."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            _, log = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, log = self.process.communicate()
            raise AssertionError(f"did not stop; its log:\n{log}") from None
        return self.process.returncode, log


def sidecar(upstream: int, *arguments: str, command: tuple[str, ...] = ()) -> AbstractContextManager[Sidecar]:
    return ready(Sidecar(upstream, *arguments, command=command))


@contextmanager
def ready(running: Sidecar) -> Iterator[Sidecar]:
    """*running* when it is ready; it ends with the block."""
    try:
        running.wait_until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
