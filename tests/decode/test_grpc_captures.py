"""What real servers and clients sent over gRPC, decoded: against what the client put in and printed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from exporter.schema import Limits
from sidecar.decode import Decoded, Failed, Inference, Outcome, decode, decode_message, finish, is_stream
from sidecar.exchange import Message
from sidecar.wire.body import Held
from sidecar.wire.http2 import Http2Connection
from tests.decode.grpc_build import columns
from tests.decode.test_captures import FLIGHTS, LATE
from tests.wire import captures

LIMITS = Limits()


def listen(name: str) -> tuple[list[Outcome], list[Inference]]:
    """What its exchanges are in the books, and the inferences of its streams."""
    connection = Http2Connection(65_536, 1 << 20, Held(1 << 24), is_stream)
    outcomes: list[Outcome] = []
    told: list[Inference] = []
    for now, (direction, data) in enumerate(captures.steps(name), 1):
        for found in connection.receive(direction, data, now):
            if isinstance(found, Message):
                told += decode_message(found, LIMITS)
            elif found.streamed:
                outcome, rest = finish(found)
                outcomes.append(outcome)
                told += rest
            else:
                outcomes.append(decode(found, LIMITS))
    assert (connection.begun, connection.lost, connection.open_exchanges) == (len(outcomes), 0, 0)
    return outcomes, told


@pytest.mark.parametrize("name", ["triton-grpc", "triton-grpcgz"])
def test_three_flights_decode_to_the_same_columns_as_over_http(name: str) -> None:
    [outcome], _ = listen(name)
    assert columns(outcome) == FLIGHTS | LATE
    assert isinstance(outcome, Decoded)
    assert (outcome.model, outcome.version, outcome.rows, outcome.holes) == ("late_arrival", "1", 3, 0)


def test_mlserver() -> None:
    [outcome], _ = listen("mlserver-grpc")
    assert columns(outcome) == FLIGHTS | {
        "predict": [0, 0, 0],
        "predict_proba[0]": [0.9823829849771863, 0.9513881142406523, 0.9803185637504735],
        "predict_proba[1]": [0.017617015022813657, 0.04861188575934772, 0.0196814362495265],
    }
    assert isinstance(outcome, Decoded)
    assert (outcome.model, outcome.version) == ("late_arrival", "v1")


def test_a_thousand_rows() -> None:
    [outcome], _ = listen("triton-grpc-batch1000")
    found = columns(outcome)
    assert {name: len(values) for name, values in found.items()} == dict.fromkeys(FLIGHTS | LATE, 1000)
    assert set(found["origin"]) == {"EWR", "JFK", "LGA"}


def test_twenty_streams_at_once_of_which_one_fails() -> None:
    outcomes, _ = listen("triton-grpc-mux20")
    assert Counter(type(outcome) for outcome in outcomes) == {Decoded: 19, Failed: 1}
    assert Failed("late_arrival", "", "client_error") in outcomes


def test_a_stream_of_three_answers_and_an_empty_final_one() -> None:
    outcomes, told = listen("triton-grpcstream")
    assert outcomes == [Decoded("", "", 0, [], [])]
    assert [inference.finished for inference in told] == [False, False, False, True]
    assert len({inference.started for inference in told}) == 1
    found: dict[str, list[Any]] = columns(*(inference.outcome for inference in told))
    assert found == FLIGHTS | LATE
    assert [inference.outcome.rows for inference in told if isinstance(inference.outcome, Decoded)] == [
        3,
        1,
        1,
        0,
    ]
