"""Messages of ModelStreamInfer: which answer is whose, when an inference is over, what is remembered."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.schema import Limits
from sidecar.decode import (
    Decoded,
    Failed,
    Ignored,
    Inference,
    Undecodable,
    Unobservable,
    finish,
    is_stream,
)
from sidecar.decode.stream import HELD, HELD_BYTES, MOST_OPEN
from sidecar.exchange import Exchange
from tests.decode.build import gzipped, raw
from tests.decode.grpc_build import INFER, STREAM, Talk, columns, oip, request, tensor_in

LIMITS = Limits()
NOTHING = Decoded("m", "1", 0, [], [])


def talk(**others: Any) -> Talk:
    return Talk(LIMITS, **others)


def rows(told: list[Inference]) -> list[dict[str, list[Any]]]:
    return [columns(inference.outcome) for inference in told]


def test_one_request_and_its_answer() -> None:
    stream = talk()
    assert stream.ask("1", 1.5) == []
    [inference] = stream.reply("1", 2.5, final=True)
    assert columns(inference.outcome) == {"x": [1.5], "y": [2.5]}
    assert (inference.started, inference.ended, inference.finished) == (1, 2, True)
    assert inference.request_bytes > 5 < inference.response_bytes
    assert finish(stream.end()) == (Decoded("", "", 0, [], []), [])


def test_answers_come_in_any_order() -> None:
    stream = talk()
    for number in range(4):
        stream.ask(str(number), float(number))
    for number in (2, 0, 3, 1):
        [inference] = stream.reply(str(number), number + 0.5, final=True)
        assert columns(inference.outcome) == {"x": [float(number)], "y": [number + 0.5]}
        assert (inference.started, inference.finished) == (number + 1, True)
    assert finish(stream.end()) == (Decoded("", "", 0, [], []), [])


def test_without_ids_they_come_in_the_order_of_the_requests() -> None:
    stream = talk()
    for number in range(3):
        stream.ask("", float(number))
    told = [inference for number in range(3) for inference in stream.reply("", number + 0.5, final=True)]
    assert rows(told) == [{"x": [float(number)], "y": [number + 0.5]} for number in range(3)]
    assert [inference.started for inference in told] == [1, 2, 3]


def test_of_several_answers_the_first_tells_the_inputs_and_the_last_ends_it() -> None:
    stream = talk()
    stream.ask("a", 1.0)
    told = (
        stream.reply("a", 1.5, final=False)
        + stream.reply("a", 2.5, final=False)
        + stream.reply("a", final=True)
    )
    assert rows(told) == [{"x": [1.0], "y": [1.5]}, {"y": [2.5]}, {}]
    assert [(inference.finished, inference.ended) for inference in told] == [
        (False, 2),
        (False, 3),
        (True, 4),
    ]
    assert told[0].response_bytes < told[1].response_bytes < told[2].response_bytes
    assert finish(stream.end())[1] == []


def test_a_request_may_have_no_answer_but_the_final_one() -> None:
    stream = talk()
    stream.ask("a")
    [inference] = stream.reply("a", final=True)
    assert (columns(inference.outcome), inference.finished) == ({"x": [1.0]}, True)


def test_an_answer_that_does_not_say_is_the_last() -> None:
    stream = talk()
    stream.ask("a")
    assert [inference.finished for inference in stream.reply("a", 2.0)] == [True]
    [further] = stream.reply("a", 3.0)  # of a server that sends several all the same
    assert (columns(further.outcome), further.finished) == ({"y": [3.0]}, False)


def test_an_id_that_is_used_again_ends_what_had_its_answers() -> None:
    stream = talk()
    stream.ask("")
    stream.reply("", 1.5, final=False)
    [over] = stream.ask("")
    assert (over.outcome, over.started, over.ended, over.finished) == (NOTHING, 1, 2, True)
    [next_one] = stream.reply("", 2.5, final=False)
    assert next_one.started == 3
    outcome, told = finish(stream.end())
    assert [(each.outcome, each.started, each.ended) for each in told] == [(NOTHING, 3, 4)]
    assert isinstance(outcome, Decoded)


def test_an_error_message_is_a_failure_though_the_call_ends_well() -> None:
    stream = talk()
    stream.ask("a")
    stream.ask("b")
    [failed] = stream.reply("b", error="no")
    assert (failed.outcome, failed.started, failed.finished) == (Failed("m", "1", "in_band"), 2, True)
    [fine] = stream.reply("a", 1.0, final=True)
    assert isinstance(fine.outcome, Decoded)
    assert finish(stream.end())[1] == []


@pytest.mark.parametrize(
    ("status", "others", "reason"),
    [
        (b"14", {}, "server_error"),
        (b"3", {}, "client_error"),
        (b"1", {}, "closed"),
        (b"0", {"closed": True}, "closed"),
    ],
)
def test_what_is_open_when_a_stream_fails_has_failed(status: bytes, others: Any, reason: Any) -> None:
    stream = talk()
    stream.ask("a")
    stream.ask("b")
    stream.reply("b", 1.0, final=False)
    outcome, told = finish(stream.end(status, **others))
    assert [inference.outcome for inference in told] == [Failed("m", "", reason), Failed("m", "1", reason)]
    assert outcome == Decoded("", "", 0, [], [])
    alone = talk()
    alone.ask("a")
    assert finish(alone.end(status, **others))[0] == Failed("", "", reason)


def test_what_is_open_when_a_stream_ends_well_had_no_answers() -> None:
    stream = talk()
    stream.ask("a", 4.0)
    outcome, told = finish(stream.end())
    assert rows(told) == [{"x": [4.0]}]
    assert [inference.finished for inference in told] == [True]
    assert outcome == Decoded("", "", 0, [], [])


def test_a_stream_whose_end_is_not_known_says_so() -> None:
    stream = talk()
    stream.ask("a")
    outcome, told = finish(stream.end(headers_known=False))
    assert outcome == Unobservable("", "", "header_state_lost")
    assert [inference.outcome for inference in told] == [Unobservable("m", "", "header_state_lost")]


def test_a_stream_without_requests_is_no_inference() -> None:
    assert finish(talk().end()) == (Ignored("not_inference"), [])
    assert finish(talk().end(b"13")) == (Failed("", "", "server_error"), [])


def test_messages_are_inflated() -> None:
    stream = talk(request_headers={b"grpc-encoding": b"gzip"})
    body = request([tensor_in("x", "FP32", [1])], [raw("FP32", [1.5])], id="a")
    stream.say(0, gzipped(body), compressed=True)
    assert rows(stream.reply("a", 2.5)) == [{"x": [1.5], "y": [2.5]}]
    stream.say(0, b"\xff", compressed=True)
    [broken] = stream.reply("b", 2.5)
    assert broken.outcome == Undecodable("m", "1", "bad_encoding")


def test_requests_and_answers_that_were_cut_are_counted() -> None:
    stream = talk()
    stream.ask("a", complete=False)
    stream.ask("b")
    [inference] = stream.reply("a", 1.0, final=True)
    assert (inference.outcome, inference.started) == (Undecodable("m", "1", "truncated"), 1)
    [inference] = stream.say(1, b"", complete=False)  # just one request can be meant
    assert (inference.outcome, inference.started) == (Undecodable("m", "", "truncated"), 2)
    assert finish(stream.end())[0] == Undecodable("", "", "truncated")


def test_an_answer_that_was_cut_among_several_requests_is_not_guessed() -> None:
    stream = talk()
    stream.ask("a")
    stream.ask("b")
    assert stream.say(1, b"", complete=False) == []
    assert len(stream.reply("b", 1.0, final=True)) == 1
    _, told = finish(stream.end())
    assert [inference.outcome for inference in told] == [Undecodable("m", "", "truncated")]


def test_an_answer_that_lies_is_undecodable_and_ends_its_request() -> None:
    stream = talk()
    stream.ask("a")
    lie = oip.ModelStreamInferResponse(infer_response=oip.ModelInferResponse(id="a", model_name="m"))
    lie.infer_response.outputs.add(name="y", datatype="FP32", shape=[2**31])
    [inference] = stream.say(1, lie.SerializeToString())
    assert (inference.outcome, inference.finished) == (Undecodable("m", "", "bad_tensor"), True)


def test_answers_to_nobody_tell_their_rows_and_are_no_inferences() -> None:
    stream = talk()
    [inference] = stream.reply("z", 1.0)
    assert (columns(inference.outcome), inference.finished) == ({"y": [1.0]}, False)
    assert stream.reply("z", error="no") == []
    assert stream.reply("z", final=True) == []


def test_open_requests_of_a_stream_are_bounded_and_the_oldest_answered_one_gives_way() -> None:
    stream = talk()
    for number in range(MOST_OPEN):
        assert stream.ask(str(number)) == []
    stream.reply("7", 1.0, final=False)
    [over] = stream.ask("next")
    assert (over.outcome, over.started) == (NOTHING, 8)
    [over] = stream.ask("after")
    assert (over.outcome, over.started) == (Undecodable("m", "", "too_large"), 1)
    assert len(stream.exchange.state.open) == MOST_OPEN
    assert len(finish(stream.end())[1]) == MOST_OPEN


def test_what_all_streams_remember_is_bounded_and_given_back() -> None:
    gc.collect()
    before = HELD.bytes
    body = request([tensor_in("x", "UINT8", [200_000])], [bytes(200_000)])
    streams = [talk() for _ in range(100)]
    told = [inference for stream in streams for _ in range(2) for inference in stream.say(0, body)]
    assert HELD_BYTES - 300_000 < HELD.bytes <= HELD_BYTES
    assert told == []
    reasons = []
    for stream in streams:
        for _ in range(2):
            [inference] = stream.reply("", 1.0, final=True)
            reasons.append(type(inference.outcome))
    assert set(reasons) == {Decoded, Undecodable}
    assert HELD.bytes == before
    for stream in streams:
        stream.say(0, body)
    finish(streams[0].end())
    del streams, stream  # connections that were lost, and never finished
    gc.collect()
    assert HELD.bytes == before


def test_long_ids_count() -> None:
    stream = talk()
    told = [inference for number in range(200) for inference in stream.ask(f"{number}" + "x" * 200_000)]
    assert HELD.bytes <= HELD_BYTES
    assert len(told) + len(finish(stream.end())[1]) == 200


def test_only_the_stream_of_inferences_is_one() -> None:
    assert (is_stream(STREAM), is_stream(INFER), is_stream(b"")) == (True, False, False)


acts = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(["", "a", "b"])),
    st.tuples(st.just("reply"), st.sampled_from(["", "a", "b", "c"]), st.sampled_from([None, True, False])),
    st.tuples(st.just("error"), st.sampled_from(["", "a"])),
    st.tuples(st.just("cut"), st.sampled_from([0, 1])),
    st.tuples(st.just("bytes"), st.sampled_from([0, 1]), st.binary(max_size=30)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(acts, max_size=30), st.sampled_from([b"0", b"13"]))
def test_every_request_is_one_finished_inference_whatever_comes(
    script: list[tuple[Any, ...]], status: bytes
) -> None:
    stream = talk()
    asked, told = 0, []
    for act, *rest in script:
        asked += act == "ask" or (act in ("cut", "bytes") and rest[0] == 0)
        if act == "ask":
            told += stream.ask(rest[0])
        elif act == "reply":
            told += stream.reply(rest[0], 1.0, final=rest[1])
        elif act == "error":
            told += stream.reply(rest[0], error="no")
        elif act == "cut":
            told += stream.say(rest[0], b"", complete=False)
        else:
            told += stream.say(rest[0], rest[1])
    outcome, rest_of_it = finish(stream.end(status))
    finished = [inference for inference in told + rest_of_it if inference.finished]
    assert len(finished) == asked
    assert all(inference.started <= inference.ended for inference in finished)
    inputs = [i for i in told + rest_of_it if isinstance(i.outcome, Decoded) and i.outcome.inputs]
    assert len(inputs) <= asked
    assert isinstance(outcome, Decoded | Failed | Undecodable | Ignored)


def test_garbage_as_state_is_none() -> None:
    assert (
        finish(Exchange("grpc", b"POST", STREAM, state="?", status=200, trailers={b"grpc-status": b"0"}))[1]
        == []
    )
