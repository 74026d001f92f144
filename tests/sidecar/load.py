"""Load on a sidecar, with every answer checked; and a scraper that keeps the last numbers it saw."""

from __future__ import annotations

import json
import socket
import threading
import time

from tests.sidecar.whole import Sidecar, infer_body, law_of, read_message, request


class Clients:
    """Clients that ask without pause until they are stopped, and check every answer."""

    def __init__(self, clients: int) -> None:
        self.counts = [0] * clients
        """Requests answered, by client."""
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        raise NotImplementedError

    def stop(self) -> int:
        """Requests answered in all."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        return sum(self.counts)


class Load(Clients):
    """*kept* clients over one connection each, *short* ones over one a request."""

    def __init__(self, port: int, kept: int = 4, short: int = 0, pause: float = 0.0) -> None:
        self._port = port
        self._kept = kept
        self._pause = pause
        super().__init__(kept + short)

    def _run(self, number: int) -> None:
        connection: socket.socket | None = None
        try:
            while not self._stop.is_set():
                if connection is None:
                    connection = socket.create_connection(("127.0.0.1", self._port), timeout=20)
                values = [float(number), float(self.counts[number])]
                connection.sendall(request(infer_body(values)))
                message = read_message(connection)
                head, _, body = message.partition(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200") or json.loads(body)["outputs"][0]["data"] != [
                    sum(values)
                ]:
                    self.failures.append(f"client {number}: {head[:40]!r}")
                self.counts[number] += 1
                if number >= self._kept:
                    connection.close()
                    connection = None
                time.sleep(self._pause)
        except Exception as error:
            self.failures.append(f"client {number}, request {self.counts[number]}: {error!r}")
        finally:
            if connection is not None:
                connection.close()


class Scraper:
    """Scrapes *running* until it has ended."""

    def __init__(self, running: Sidecar) -> None:
        self._running = running
        self._law: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while self._running.process.poll() is None:
            try:
                samples = self._running.metrics()
            except (OSError, ValueError):  # it is starting, or has ended
                time.sleep(0.05)
                continue
            self._law = law_of(samples, "http")
            time.sleep(0.2)

    def stop(self) -> dict[str, float]:
        """The last law that was scraped; the sidecar has ended."""
        self._thread.join(30)
        return self._law
