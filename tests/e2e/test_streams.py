"""Streams: 0 to n answers for a request, errors inside, streams that are broken off, and words one by one."""

from __future__ import annotations

import asyncio
import json
import queue
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import requests
import tritonclient.grpc
import tritonclient.grpc.aio

from sidecar.demo.process import Processes
from tests.e2e.conftest import Serving
from tests.real import sidecar
from tests.real.relay import Relay, same
from tests.real.sidecar import labels

pytestmark = pytest.mark.real

MODEL = "steps"
OF = {"model": MODEL, "version": "1", "protocol": "grpc"}
ASKED = [(3, 1.0), (0, 2.0), (1, 3.0), (-2, 4.0), (2, 5.0)]
"""(answers, x): after a negative number of answers comes an error."""

TOLD: list[float | str] = [1.0, 2.0, 3.0, 3.0, 4.0, 5.0, "the steps are broken", 5.0, 6.0]


def inputs(answers: int, x: float) -> list[Any]:
    found = []
    for name, datatype, value in (("answers", "INT64", np.int64(answers)), ("x", "FP64", np.float64(x))):
        tensor = tritonclient.grpc.InferInput(name, [1], datatype)
        tensor.set_data_from_numpy(np.array([value]))
        found.append(tensor)
    return found


def told(result: Any, error: Any) -> float | str:
    """An answer's y, or an error's text."""
    return str(error.message()) if error is not None else float(result.as_numpy("y")[0])


def with_callbacks(port: int, final: bool) -> list[float | str]:
    """tritonclient.grpc; *final*: Triton is asked for an empty answer at the end of each request."""
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{port}") as client:
        answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
        client.start_stream(lambda result, error: answers.put((result, error)))
        found: list[float | str] = []
        for number, (count, x) in enumerate(ASKED):
            client.async_stream_infer(
                MODEL, inputs(count, x), request_id=str(number), enable_empty_final_response=final
            )
            awaited = abs(count) + (count < 0)
            while awaited:
                result, error = answers.get(timeout=30)
                empty = error is None and not result.get_response().outputs
                if not empty:
                    found.append(told(result, error))
                    awaited -= 1
        client.stop_stream()
        return found


def with_asyncio(port: int, final: bool) -> list[float | str]:
    """tritonclient.grpc.aio: all requests at once, answers as they come."""

    async def ask() -> list[float | str]:
        async def all_requests() -> AsyncIterator[dict[str, Any]]:
            for number, (count, x) in enumerate(ASKED):
                yield {
                    "model_name": MODEL,
                    "inputs": inputs(count, x),
                    "request_id": str(number),
                    "enable_empty_final_response": final,
                }

        async with tritonclient.grpc.aio.InferenceServerClient(f"127.0.0.1:{port}") as client:
            return [
                told(result, error)
                async for result, error in client.stream_infer(all_requests())
                if error is not None or result.get_response().outputs
            ]

    return asyncio.run(ask())


@pytest.mark.parametrize("server", ["triton"])
@pytest.mark.parametrize("final", [False, True], ids=["", "empty final answers"])
@pytest.mark.parametrize("client", [with_callbacks, with_asyncio], ids=["callbacks", "asyncio"])
def test_a_stream_is_one_exchange_and_many_inferences(
    server: str, final: bool, client: Any, serving: Serving, processes: Processes
) -> None:
    upstream = serving(server).ports["grpc"]
    direct = client(upstream, final)
    with Relay(upstream) as behind:
        wrapped = sidecar.start(processes, behind.port, protocol="grpc")
        with Relay(wrapped.port) as before:
            through = client(before.port, final)
            samples = wrapped.at_rest(seen=1)
            # The client may leave before the server's last frames: what it did read is what was sent.
            for (asked, answered), (passed, sent) in zip(before.said(), behind.said(), strict=True):
                assert asked == passed
                assert sent.startswith(answered)
    assert sorted(map(str, direct)) == sorted(map(str, through)) == sorted(map(str, TOLD))
    assert sidecar.books(samples) == {("seen", ""): 1, ("recorded", ""): 1}
    assert sidecar.family(samples, "modelmeter_requests_total") == {labels(**OF): len(ASKED)}
    assert sidecar.family(samples, "modelmeter_request_failures_total") == {labels(**OF, reason="in_band"): 1}
    assert sum(sidecar.family(samples, "modelmeter_rows_recorded_total").values()) == len(ASKED)
    # No baseline: the rows of each column say what was seen of it.
    assert rows_by_column(samples) == {"answers": 5, "x": 5, "y": 8}


def rows_by_column(samples: sidecar.Samples) -> dict[str, float]:
    """Over all versions: an inference without an answer does not tell its own."""
    found: Counter[str] = Counter()
    for each, value in sidecar.family(samples, "modelmeter_column_rows_total").items():
        found[dict(each)["column"]] += int(value)
    return dict(found)


@pytest.mark.parametrize("server", ["triton"])
def test_a_stream_that_is_broken_off_is_counted_once(
    server: str, serving: Serving, processes: Processes
) -> None:
    with Relay(serving(server).ports["grpc"]) as behind:
        wrapped = sidecar.start(processes, behind.port, protocol="grpc")
        with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{wrapped.port}") as client:
            answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
            client.start_stream(lambda result, error: answers.put((result, error)))
            client.async_stream_infer(MODEL, inputs(1, 1.0))
            assert told(*answers.get(timeout=30)) == 1.0
            client.async_stream_infer(MODEL, inputs(100, 1.0))
            answers.get(timeout=30)
            client.stop_stream(cancel_requests=True)
        samples = wrapped.at_rest(seen=1)
    assert sidecar.books(samples) == {("seen", ""): 1, ("recorded", ""): 1}
    assert sidecar.family(samples, "modelmeter_requests_total") == {labels(**OF): 2}


@pytest.mark.parametrize("server", ["triton"])
def test_server_sent_events_of_generate_stream(server: str, serving: Serving, processes: Processes) -> None:
    upstream = serving(server).ports["http"]

    def ask(port: int, answers: int) -> tuple[int, list[Any]]:
        with requests.post(
            f"http://127.0.0.1:{port}/v2/models/{MODEL}/generate_stream",
            json={"answers": answers, "x": 1.5},
            timeout=30,
        ) as response:
            lines = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
            return response.status_code, [json.loads(line) for line in lines]

    cases = (3, 0, 1, -2)
    with Relay(upstream) as behind:
        wrapped = sidecar.start(processes, behind.port)
        with Relay(wrapped.port) as before:
            through = [ask(before.port, answers) for answers in cases]
            same(before, behind)
            samples = wrapped.at_rest(seen=len(cases))
    assert through == [ask(upstream, answers) for answers in cases]
    assert [status for status, _ in through] == [200] * 4
    assert [len(events) for _, events in through] == [3, 0, 1, 3]
    assert "error" in through[3][1][-1]
    assert sidecar.books(samples) == {("seen", ""): 4, ("recorded", ""): 3, ("ignored", "failed"): 1}
    of = {**OF, "protocol": "http"}
    assert sidecar.family(samples, "modelmeter_requests_total") == {labels(**of): 4}
    assert sidecar.family(samples, "modelmeter_request_failures_total") == {labels(**of, reason="in_band"): 1}
    assert rows_by_column(samples) == {"answers": 3, "x": 3, "y": 4}


@pytest.mark.parametrize("server", ["litserve"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "word by word"])
def test_chat_completions_are_traffic_and_tokens_and_no_text_of_theirs_is_kept(
    server: str, stream: bool, serving: Serving, processes: Processes
) -> None:
    upstream = serving(server).ports["http"]
    body = {
        "model": "talker",
        "stream": stream,
        "messages": [{"role": "user", "content": "shall we be late?"}],
    }
    with Relay(upstream) as behind:
        wrapped = sidecar.start(processes, behind.port)
        with Relay(wrapped.port) as before:
            for _ in range(3):
                answer = requests.post(
                    f"http://127.0.0.1:{before.port}/v1/chat/completions", json=body, timeout=30
                )
                assert answer.status_code == 200
                assert "mostly" in answer.text
            same(before, behind)
            samples = wrapped.at_rest(seen=3)
    # LitServe adds up the usage of its three words; in a stream it tells that of the last one.
    prompt, completion = (2, 1) if stream else (6, 3)
    of = {"model": "talker", "version": "unknown", "protocol": "http"}
    assert sidecar.books(samples) == {("seen", ""): 3, ("recorded", ""): 3}
    assert sidecar.family(samples, "modelmeter_requests_total") == {labels(**of): 3}
    assert sidecar.family(samples, "modelmeter_tokens_total") == {
        labels(**of, kind="prompt"): 3 * prompt,
        labels(**of, kind="completion"): 3 * completion,
    }
    page = requests.get(f"http://127.0.0.1:{wrapped.metrics_port}/metrics", timeout=10).text
    assert "mostly" not in page
    assert "shall we" not in page
    assert "mostly" not in wrapped.process.log.read_text()
