"""Settling: one exchange is traffic, rows and books, and the three agree."""

from __future__ import annotations

import json

from exporter.rows import Rows
from exporter.schema import Configuration
from exporter.traffic import Traffic
from sidecar.books import Books
from sidecar.decode import make_routes
from sidecar.decode.batch import Batcher
from sidecar.exchange import Exchange, Message
from sidecar.settle import Settler
from sidecar.words import PAGE, words
from tests.decode.grpc_build import STREAM, oip
from tests.memory import shared_memory

V1 = b"/v1/models/m:predict"
V2 = b"/v2/models/m/infer"


def tensors(field: str, **others: str) -> bytes:
    return json.dumps(
        {**others, field: [{"name": "x", "shape": [2, 1], "datatype": "FP32", "data": [1.0, 2.0]}]}
    ).encode()


def v2(version: str) -> Exchange:
    answer = tensors("outputs", model_name="m", model_version=version)
    return Exchange(
        "http", b"POST", V2, request_body=tensors("inputs"), status=200, response_body=answer, ended=1
    )


def v1(status: int = 200) -> Exchange:
    return Exchange(
        "http", b"POST", V1, request_body=b'{"instances": [{"x": 1.0}]}', status=status,
        response_body=b'{"predictions": [0.5]}', ended=1,
    )  # fmt: skip


def chat(*, usage: bool = True) -> Exchange:
    answer = {"model": "chat", "choices": [{"finish_reason": "stop"}]}
    if usage:
        answer["usage"] = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return Exchange(
        "http", b"POST", b"/v1/chat/completions", request_body=b'{"model": "chat", "messages": []}', status=200,
        response_body=json.dumps(answer).encode(), ended=1,
    )  # fmt: skip


def streamed_inference() -> tuple[Message, Message]:
    """A request and its answer on a stream that has not ended."""
    request = oip.ModelInferRequest(model_name="m", raw_input_contents=[b"\0\0\x80?"])
    request.inputs.add(name="x", datatype="FP32", shape=[1, 1])
    answer = oip.ModelInferResponse(model_name="m", model_version="1", raw_output_contents=[b"\0\0\x80?"])
    answer.outputs.add(name="y", datatype="FP32", shape=[1, 1])
    told = oip.ModelStreamInferResponse(infer_response=answer)
    stream = Exchange("grpc", b"POST", STREAM, streamed=True)
    return (
        Message(stream, 0, request.SerializeToString(), 1),
        Message(stream, 1, told.SerializeToString(), 2),
    )


class Bench:
    def __init__(self) -> None:
        configuration = Configuration()
        self.traffic = Traffic(10)
        self.batcher = Batcher(configuration)
        self.books = Books(words(shared_memory(PAGE)), "http")
        self.settler = Settler(
            configuration, make_routes(configuration), self.traffic, self.batcher, (1.7e9, 1e-9), self.flush
        )
        self.rows: list[Rows] = []

    def flush(self) -> None:
        self.rows += self.batcher.flush()
        self.settler.settled()

    def settle(self, *exchanges: Exchange, heads_only: bool = False) -> None:
        for exchange in exchanges:
            self.settler.exchange(exchange, heads_only, self.books)

    def requests(self) -> dict[tuple[str, str], tuple[int, int]]:
        return {
            (view.model, view.version): (view.requests, sum(view.failures.values()))
            for view in self.traffic.views()
        }

    def recorded(self) -> set[tuple[str, str, str, int]]:
        return {(rows.model, rows.version, rows.role, rows.count) for rows in self.rows}


def test_what_is_decoded_is_in_the_books_when_its_rows_are_out_of_the_batch() -> None:
    bench = Bench()
    bench.settle(v2("3"))
    assert (bench.settler.pending, bench.books.settled()) == (True, 0)
    bench.flush()
    assert (bench.settler.pending, bench.books.settled()) == (False, 1)
    assert bench.recorded() == {("m", "3", "feature", 2), ("m", "3", "prediction", 2)}


def test_rows_of_a_stream_under_way_wait_for_no_exchange_to_end() -> None:
    bench = Bench()
    asked, told = streamed_inference()
    bench.settler.message(asked)
    assert not bench.settler.pending
    bench.settler.message(told)
    assert (bench.settler.pending, bench.books.settled()) == (True, 0)
    bench.flush()
    assert (bench.settler.pending, bench.books.settled()) == (False, 0)
    assert bench.recorded() == {("m", "1", "feature", 1), ("m", "1", "prediction", 1)}


def test_rows_without_a_version_have_the_one_under_which_their_request_counts() -> None:
    bench = Bench()
    bench.settle(v2("3"), v1())
    bench.flush()
    assert bench.requests() == {("m", "3"): (2, 0)}
    assert {version for _, version, _, _ in bench.recorded()} == {"3"}
    other = Bench()
    other.settle(v1())
    other.flush()
    assert other.requests() == {("m", "unknown"): (1, 0)}
    assert {version for _, version, _, _ in other.recorded()} == {"unknown"}


def test_of_what_is_not_drawn_the_traffic_is_the_same_and_nothing_is_recorded() -> None:
    drawn, not_drawn = Bench(), Bench()
    exchanges = [v1(), v1(500), v1(404)]
    drawn.settle(*exchanges)
    not_drawn.settle(*exchanges, heads_only=True)
    not_drawn.flush()
    assert not_drawn.requests() == drawn.requests() == {("m", "unknown"): (3, 2)}
    assert not_drawn.recorded() == set()
    view = not_drawn.books.view(0)
    assert (view.sampled_out, view.recorded, view.ignored["failed"]) == (3, 0, 0)


def test_tokens_are_counted_where_the_answer_tells_them() -> None:
    bench = Bench()
    bench.settle(chat(), chat(usage=False), chat())
    [view] = bench.traffic.views()
    assert (view.model, view.requests, view.tokens) == ("chat", 3, {"prompt": 14, "completion": 6})


def test_a_call_of_unknown_kind_is_traffic_of_nobody() -> None:
    bench = Bench()
    bench.settle(Exchange("http", b"POST", b"/whatever", status=200, ended=1))
    assert bench.requests() == {("unknown", "unknown"): (1, 0)}
    assert bench.books.view(0).ignored["unknown_dialect"] == 1


def test_a_batch_of_which_a_column_was_lost_counts_as_lost() -> None:
    bench = Bench()
    bench.settle(v2("3"), v2("3"))
    bench.batcher.flush()
    bench.settler.settled(whole=False)
    view = bench.books.view(0)
    assert (view.recorded, view.dropped["fault"]) == (0, 2)
