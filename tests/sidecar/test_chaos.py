"""Chaos: whatever becomes of the recorder, the disk or the memory, no request fails, and every one is counted.

Beside `tests/sidecar/test_whole.py`, where a recorder is killed once, or stopped for good. What it does to
latencies is measured in ``bench/chaos``.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from exporter.schema import Limits
from sidecar.launch import Address, Settings, make_plan
from sidecar.words import RESTART_REASONS, Board, Recorder, Tap, attach, words
from tests.decode.grpc_build import INFER, answer, request, tensor_in, tensor_out
from tests.sidecar.harness import free_port, server, wait_for
from tests.sidecar.load import Clients, Load
from tests.sidecar.whole import Sidecar, alive, patient_model_server, scripted_model_server, sidecar

pytestmark = pytest.mark.real


@contextmanager
def grpc_service(name: str, method: str, answer: Callable[[bytes, object], bytes]) -> Iterator[int]:
    """A real gRPC server, on the port that is given."""
    model = grpc.server(futures.ThreadPoolExecutor(4))
    handlers = {method: grpc.unary_unary_rpc_method_handler(answer)}
    model.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    port = model.add_insecure_port("127.0.0.1:0")
    model.start()
    try:
        yield port
    finally:
        model.stop(None).wait()


class Calls(Clients):
    """Clients that call over a channel each."""

    def __init__(self, port: int, clients: int) -> None:
        self._port = port
        super().__init__(clients)

    def _run(self, number: int) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"127.0.0.1:{self._port}", options) as channel:
            call = channel.unary_unary("/test.Echo/Echo")
            while not self._stop.is_set():
                message = b"%d of %d" % (self.counts[number], number) + bytes(self.counts[number] % 3000)
                try:
                    if call(message, timeout=20) != message[::-1]:
                        self.failures.append("another answer")
                    self.counts[number] += 1
                except grpc.RpcError as error:
                    self.failures.append(repr(error))


def kill_repeatedly(running: Sidecar, times: int) -> None:
    for _ in range(times):
        recorder = running.child("sidecar.recorder")
        os.kill(recorder, signal.SIGKILL)
        wait_for(lambda recorder=recorder: not alive(recorder), "the old recorder is gone")
        wait_for(running.answers, "/metrics answers again")


def test_a_recorder_killed_again_and_again_costs_no_request_and_no_count() -> None:
    with server(scripted_model_server) as model, sidecar(model.port) as running:
        load = Load(running.port, kept=4, short=2)
        kill_repeatedly(running, 4)
        sent = load.stop()
        assert load.failures == []
        law = running.exact_law(sent)
        assert law["recorded_total"] > 0
        assert running.total("recorder_restarts_total", reason="exit") == 4


def test_a_recorder_killed_again_and_again_costs_no_grpc_call_and_no_count() -> None:
    port = free_port()
    with (
        grpc_service("test.Echo", "Echo", lambda message, context: message[::-1]) as upstream,
        server(scripted_model_server) as model,
        sidecar(
            model.port, "--listen", f"grpc=127.0.0.1:{port}", "--upstream", f"grpc=127.0.0.1:{upstream}"
        ) as running,
    ):
        calls = Calls(port, clients=4)
        time.sleep(0.5)
        kill_repeatedly(running, 3)
        time.sleep(0.5)
        sent = calls.stop()
        assert calls.failures == []
        running.exact_law(sent, "grpc")


def test_a_channel_that_outlives_recorders_is_recorded_by_each_of_them() -> None:
    """Its calls refer to header fields that only the first recorder has seen."""
    port, calls, states = free_port(), 0, list[grpc.ChannelConnectivity]()
    with (
        grpc_service("inference.GRPCInferenceService", "ModelInfer", infer) as upstream,
        server(scripted_model_server) as model,
        sidecar(
            model.port, "--listen", f"grpc=127.0.0.1:{port}", "--upstream", f"grpc=127.0.0.1:{upstream}"
        ) as running,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        channel.subscribe(states.append)
        call = channel.unary_unary(INFER.decode())
        message = request([tensor_in("x", "FP64", [1, 1], [1.5])])
        for lives in range(4):
            for _ in range(25):
                call(message, timeout=20, metadata=[("x-call", str(calls))])
                calls += 1
            assert running.exact_law(calls, "grpc")["recorded_total"] == calls
            assert running.total("rows_recorded_total", model="m") == 25
            assert running.total("exchanges_unobservable_total", reason="header_state_lost") == 0
            if lives < 3:
                kill_repeatedly(running, 1)
        assert states.count(grpc.ChannelConnectivity.READY) == 1


def infer(message: bytes, context: object) -> bytes:
    return answer([tensor_out("y", "FP64", [1, 1], [2.5])])


def test_a_recorder_a_hundred_times_too_slow_loses_copies_and_nothing_else(tmp_path: Path) -> None:
    configuration = tmp_path / "modelmeter.yaml"
    configuration.write_text("limits: {ring_bytes: 1048576}")
    arguments = ("--recorder-timeout", "3000", "--config", str(configuration))
    with server(scripted_model_server) as model, sidecar(model.port, *arguments) as running:
        recorder = running.child("sidecar.recorder")
        stop = threading.Event()

        def slow_down() -> None:
            while not stop.is_set():
                os.kill(recorder, signal.SIGSTOP)
                time.sleep(0.099)
                os.kill(recorder, signal.SIGCONT)
                time.sleep(0.001)

        slowing = threading.Thread(target=slow_down)
        slowing.start()
        load = Load(running.port, kept=6)
        time.sleep(5.0)
        sent = load.stop()
        stop.set()
        slowing.join()
        assert load.failures == []
        law = running.exact_law(sent)
        assert law["dropped_total"] == running.total("exchanges_dropped_total", reason="pressure") > 0
        assert running.child("sidecar.recorder") == recorder


def test_a_full_disk_under_the_log_costs_nothing() -> None:
    with server(scripted_model_server) as model, open("/dev/full", "w") as full:
        running = Sidecar(model.port, stderr=full)
        try:
            running.wait_until_ready()
            load = Load(running.port, kept=4)
            kill_repeatedly(running, 2)
            sent = load.stop()
            assert load.failures == []
            running.exact_law(sent)
            running.process.send_signal(signal.SIGINT)
            assert running.process.wait(15) == 0
        finally:
            running.process.kill()
            running.process.wait()


def test_a_recorder_without_memory_is_replaced_and_costs_no_request() -> None:
    with server(scripted_model_server) as model, sidecar(model.port) as running:
        load = Load(running.port, kept=4)
        recorder = running.child("sidecar.recorder")
        resource.prlimit(recorder, resource.RLIMIT_DATA, (1 << 20, 1 << 20))  # no allocation succeeds
        wait_for(lambda: not alive(recorder) or running.answers(), "it ends, or does without")
        time.sleep(1.0)
        if alive(recorder):
            os.kill(recorder, signal.SIGKILL)
        wait_for(lambda: not alive(recorder), "it is gone")
        wait_for(running.answers, "/metrics answers again")
        sent = load.stop()
        assert load.failures == []
        running.exact_law(sent)


def test_a_recorder_that_is_too_large_is_replaced_for_that_reason() -> None:
    port = free_port()
    with server(patient_model_server) as model:
        route = ("http", Address("127.0.0.1", port), Address("127.0.0.1", model.port))
        nowhere = Address("127.0.0.1", 0)
        settings = Settings([route], nowhere, None, None, None, None, 1, 0.0, 5.0, 0, ())
        plan = dataclasses.replace(make_plan(settings, 1.0, Limits()), memory_limit_bytes=20 << 20)
        descriptor = plan.write()
        board = words(attach(plan.board))
        page = words(attach(plan.taps[0].listeners[0].channel))
        keep = (*plan.descriptors(), plan.lifeline_writer, descriptor)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "sidecar.supervisor", str(descriptor)],
            pass_fds=keep,
            stderr=subprocess.DEVNULL,
        )
        for kept in keep:
            os.close(kept)
        memory = Board.RECORDER_RESTARTS + RESTART_REASONS.index("memory")
        try:
            load = Load(port, kept=4)
            wait_for(lambda: board[memory] >= 3, "replaced three times")
            sent = load.stop()
            assert load.failures == []
            assert page[Tap.COPIED] + page[Tap.DROPPED_PRESSURE] + page[Recorder.EXTRA] == sent
            assert sum(board[Board.RECORDER_RESTARTS : Board.RECORDER_RESTARTS + 3]) == board[memory]
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(15) == 0
