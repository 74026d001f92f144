"""The replay against a small server: what is sent, when, and what is counted."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sidecar.demo import traffic
from sidecar.demo.flights import MILE_KILOMETRES, Flight
from sidecar.demo.traffic import Replay, SimulatedClock

START = 1383627600.0


class Server(ThreadingHTTPServer):
    """Remembers each request's distance and when it came; answers with `status`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.paths: set[str] = set()
        self.distances: list[float] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    timeout = 0.2  # and then an idle connection is closed, as model servers do

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.paths.add(self.path)
        self.server.distances += [
            value for tensor in body["inputs"] if tensor["name"] == "distance" for value in tensor["data"]
        ]
        self.send_response(self.server.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def flights(*seconds: float) -> list[Flight]:
    """Departures so many seconds after the start; each one's distance is its number."""
    return [Flight(START + s, "B6", "JFK", "SYR", 1.0, float(i), 22.0) for i, s in enumerate(seconds)]


def clock(rate: float = 1000.0) -> SimulatedClock:
    """Shows half a (real) second before the start, so that threads are up when the first flight leaves."""
    return SimulatedClock(START - 0.5 * rate, rate, time.monotonic())


def finish(replay: Replay) -> None:
    deadline = time.monotonic() + 20
    while not replay.finished:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_every_flight_is_sent_once_at_its_time_and_not_before(server: Server) -> None:
    simulated = clock()
    with Replay(flights(0, 100, 200, 300), server.server_port, simulated, fault_at=START + 1e9) as replay:
        finish(replay)
        ended = simulated.at(time.monotonic())
    assert sorted(server.distances) == [0.0, 1.0, 2.0, 3.0]
    assert server.paths == {"/v2/models/flights/infer"}
    assert (replay.sent, replay.failed, replay.skipped, replay.error) == (4, 0, 0, "")
    assert ended >= START + 300


@pytest.mark.parametrize(("allowed", "late"), [(-1e9, 3), (1e9, 0)])
def test_requests_that_come_too_long_after_their_flight_left_are_counted(
    server: Server, monkeypatch: pytest.MonkeyPatch, allowed: float, late: int
) -> None:
    monkeypatch.setattr(traffic, "LATE_SECONDS", allowed)
    with Replay(flights(50, 60, 70), server.server_port, clock(), fault_at=START + 1e9) as replay:
        finish(replay)
    assert (replay.late, replay.sent) == (late, 3)


def test_a_connection_that_the_server_closed_while_idle_costs_no_request(server: Server) -> None:
    # The second flights leave 0.6 s after the first, on connections that were closed after 0.2 s.
    departures = flights(*[0] * 30, *[600] * 30)
    with Replay(departures, server.server_port, clock(), fault_at=START + 1e9) as replay:
        finish(replay)
    assert (replay.sent, replay.failed, replay.error) == (60, 0, "")


def test_from_the_fault_on_distances_are_in_kilometres(server: Server) -> None:
    with Replay(flights(0, 50, 100, 150), server.server_port, clock(), fault_at=START + 100) as replay:
        finish(replay)
    assert sorted(server.distances) == [0.0, 1.0, 2 * MILE_KILOMETRES, 3 * MILE_KILOMETRES]


def test_flights_that_left_before_it_began_are_left_out(server: Server) -> None:
    with Replay(flights(-9000, -1000, 100), server.server_port, clock(), fault_at=START + 1e9) as replay:
        finish(replay)
    assert (server.distances, replay.sent, replay.skipped) == ([2.0], 1, 2)


def test_a_refusal_is_counted_once_and_told_without_the_body(server: Server) -> None:
    server.status = 400
    with Replay(flights(0, 0, 0), server.server_port, clock(), fault_at=START + 1e9) as replay:
        finish(replay)
    assert (len(server.distances), replay.sent, replay.failed) == (3, 3, 3)
    assert replay.error == "status 400, 2 bytes"


def test_without_a_server_every_request_fails_and_the_replay_ends() -> None:
    with Server() as gone:
        port = gone.server_port
    with Replay(flights(0, 10, 20), port, clock(), fault_at=START + 1e9) as replay:
        finish(replay)
    assert (replay.sent, replay.failed) == (3, 3)
    assert replay.error.startswith("ConnectionRefusedError: ")


def test_stopping_does_not_wait_for_flights_to_come(server: Server) -> None:
    began = time.monotonic()
    with Replay(
        flights(0, 1e6),
        server.server_port,
        SimulatedClock(START, 1.0, time.monotonic()),
        fault_at=START + 1e9,
    ):
        pass
    assert time.monotonic() - began < 10
    assert 1.0 not in server.distances
