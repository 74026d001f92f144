"""OpenAI's API: tokens and finish reasons of every form of answer, and never a word of what was said."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.schema import Limits
from sidecar.decode import Decoded, Failed, Ignored, Outcome, Routes, Undecodable, decode
from sidecar.decode.openai import ROWS
from tests.decode.build import exchange, gzipped

CHAT = b"/v1/chat/completions"
STREAM = {b"content-type": b"text/event-stream"}
ROUTES = Routes(*ROWS)
SECRET = "the secret of the prompt"
REQUEST = {
    "model": "llama", "messages": [{"role": "system", "content": SECRET}, {"role": "user", "content": [{"type": "text", "text": SECRET}]}],
    "max_tokens": 64, "temperature": 0.7, "stream": False, "user": SECRET, "stop": [SECRET],
}  # fmt: skip
ANSWER = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "llama-3",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": SECRET}, "logprobs": None, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 26, "completion_tokens": 10, "total_tokens": 36, "prompt_tokens_details": None},
}  # fmt: skip


def read(request: Any, answer: Any, target: bytes = CHAT, **others: Any) -> Outcome:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    sent = request if isinstance(request, bytes) else json.dumps(request).encode()
    return decode(exchange(sent, body, target=target, **others), Limits(), ROUTES)


def chunk(*choices: tuple[int, str | None], **others: Any) -> dict[str, Any]:
    made = [
        {"index": index, "delta": {"content": SECRET}, "finish_reason": reason} for index, reason in choices
    ]
    return {"id": "c", "object": "chat.completion.chunk", "model": "llama-3", "choices": made} | others


def stream(*chunks: Any, done: bytes = b"data: [DONE]\n\n") -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks) + done


def columns(tensors: list[Any]) -> dict[str, list[Any]]:
    return {tensor.name: tensor.data for tensor in tensors}


def test_an_answer_tells_its_tokens_and_why_it_ended() -> None:
    outcome = read(REQUEST, ANSWER)
    assert isinstance(outcome, Decoded)
    assert (outcome.model, outcome.version, outcome.rows, outcome.tokens) == ("llama-3", "", 1, (26, 10))
    assert columns(outcome.inputs) == {
        "messages": [2], "max_tokens": [64], "temperature": [0.7], "stream": [False], "prompt_tokens": [26]
    }  # fmt: skip
    assert columns(outcome.outputs) == {"completion_tokens": [10], "finish_reason": ["stop"]}


USAGE = {"prompt_tokens": 26, "completion_tokens": 10, "total_tokens": 36}


@pytest.mark.parametrize(
    ("answer", "tokens"),
    [
        # The usage chunk of the API, of llama.cpp beside a finish reason, of servers that count on in each chunk.
        (stream(chunk((0, None), usage=None), chunk((0, "stop"), usage=None), chunk(usage=USAGE)), (26, 10)),
        (stream(chunk((0, None)), chunk((0, "stop"), usage=USAGE)), (26, 10)),
        (stream(chunk((0, None), usage=USAGE | {"completion_tokens": 1}), chunk((0, "stop"), usage=USAGE)), (26, 10)),
        (stream(chunk((0, None)), chunk((0, "stop"))), None),
        (stream(chunk((0, "stop"), usage=USAGE), done=b""), (26, 10)),
        (stream(chunk((0, "stop"), usage=USAGE), done=b"data: [DONE]"), (26, 10)),
        (b": ping\n\n" + stream(chunk((0, "stop"), usage=USAGE)).replace(b"\n", b"\r\n"), (26, 10)),
    ],
)  # fmt: skip
def test_a_stream_tells_its_tokens_where_the_client_asked(answer: bytes, tokens: Any) -> None:
    outcome = read(REQUEST | {"stream": True}, answer, response_headers=STREAM)
    assert isinstance(outcome, Decoded)
    assert (outcome.model, outcome.tokens) == ("llama-3", tokens)
    expected = {"finish_reason": ["stop"]} | ({} if tokens is None else {"completion_tokens": [10]})
    assert columns(outcome.outputs) == expected
    assert ("prompt_tokens" in columns(outcome.inputs)) == (tokens is not None)


def test_every_choice_has_its_own_reason() -> None:
    answer = stream(chunk((1, None), (0, None)), chunk((1, "length")), chunk((0, "stop")))
    outcome = read(REQUEST | {"n": 2}, answer, response_headers=STREAM)
    assert isinstance(outcome, Decoded)
    assert columns(outcome.outputs) == {"finish_reason": ["stop", "length"]}


@pytest.mark.parametrize(
    ("target", "request_body", "answer", "inputs", "outputs", "tokens"),
    [
        (b"/v1/completions", {"model": "m", "prompt": [SECRET, SECRET], "echo": True},
         {"model": "m", "choices": [{"text": SECRET, "finish_reason": "length", "index": 0}, {"text": "", "index": 1, "finish_reason": "stop"}],
          "usage": USAGE},
         {"prompts": [2], "prompt_tokens": [26]}, {"completion_tokens": [10], "finish_reason": ["length", "stop"]}, (26, 10)),
        (b"/v1/embeddings", {"model": "m", "input": SECRET},
         {"object": "list", "data": [{"embedding": [0.5, 0.25], "index": 0}], "model": "m", "usage": {"prompt_tokens": 8, "total_tokens": 8}},
         {"inputs": [1], "prompt_tokens": [8]}, {}, (8, 0)),
        (b"/v1/responses", {"model": "m", "input": SECRET, "max_output_tokens": 9, "tools": [{"type": "function"}]},
         {"object": "response", "status": "incomplete", "error": None, "model": "m", "output": [{"content": SECRET}],
          "usage": {"input_tokens": 36, "output_tokens": 87, "total_tokens": 123}},
         {"inputs": [1], "max_tokens": [9], "tools": [1], "prompt_tokens": [36]},
         {"completion_tokens": [87], "finish_reason": ["incomplete"]}, (36, 87)),
        (CHAT, {"model": "m", "messages": [], "max_completion_tokens": 5, "max_tokens": None, "top_p": 1},
         {"model": "m", "choices": [{"index": 0, "finish_reason": None}]},
         {"messages": [0], "max_tokens": [5], "top_p": [1.0]}, {}, None),
    ],
)  # fmt: skip
def test_every_endpoint_has_its_columns(
    target: bytes, request_body: Any, answer: Any, inputs: Any, outputs: Any, tokens: Any
) -> None:
    outcome = read(request_body, answer, target)
    assert isinstance(outcome, Decoded)
    assert (columns(outcome.inputs), columns(outcome.outputs), outcome.tokens) == (inputs, outputs, tokens)


def test_a_stream_of_the_responses_api_ends_with_the_whole() -> None:
    response = {"object": "response", "model": "m", "status": "in_progress", "usage": None, "error": None}
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    started = b"event: response.created\n" + stream(
        {"type": "response.created", "response": response},
        {"type": "response.output_text.delta", "delta": SECRET, "item_id": "i"},
        done=b"",
    )
    done = {"type": "response.completed", "response": response | {"status": "completed", "usage": usage}}
    outcome = read(
        {"model": "m", "input": "x"}, started + stream(done), b"/v1/responses", response_headers=STREAM
    )
    assert isinstance(outcome, Decoded)
    assert (outcome.tokens, columns(outcome.outputs)["finish_reason"]) == ((3, 4), ["completed"])
    failed = {"type": "response.failed", "response": response | {"status": "failed", "error": {"code": "x"}}}
    for event in (failed, {"type": "error", "code": "x", "message": SECRET}):
        answer = started + stream(event)
        assert read(REQUEST, answer, b"/v1/responses", response_headers=STREAM) == Failed(
            "llama", "", "in_band"
        )


@pytest.mark.parametrize(
    ("answer", "headers"),
    [
        ({"error": {"message": "no", "type": "BadRequestError", "code": 400}}, {}),
        ({"object": "error", "message": "no", "code": 40303}, {}),
        (stream({"error": {"message": "no"}}), STREAM),
        (stream(chunk((0, None)), {"error": "no", "error_type": "generation"}), STREAM),
        (stream(chunk((0, None)), {"object": "error", "message": "no"}), STREAM),
        (b'error: {"code":400}\n\ndata: [DONE]\n\n', STREAM),
        (b"event: error\ndata: overloaded\n\n", STREAM),
    ],
)
def test_an_error_under_200_is_a_failure_in_band(answer: Any, headers: dict[bytes, bytes]) -> None:
    assert read(REQUEST, answer, response_headers=headers) == Failed("llama", "", "in_band")


def test_a_request_that_was_cut_leaves_what_the_answer_tells() -> None:
    outcome = read(REQUEST, ANSWER, request_body_complete=False)
    assert isinstance(outcome, Decoded)
    assert (outcome.model, outcome.tokens) == ("llama-3", (26, 10))
    assert columns(outcome.inputs) == {"prompt_tokens": [26]}


@pytest.mark.parametrize(
    ("request_body", "answer", "others", "expected"),
    [
        (REQUEST, b"[]", {}, Undecodable("llama", "", "bad_json")),
        (b"[]", ANSWER, {}, Undecodable("llama-3", "", "bad_json")),
        (REQUEST | {"messages": "hi"}, ANSWER, {}, Undecodable("llama-3", "", "bad_json")),
        (REQUEST, ANSWER | {"usage": {"prompt_tokens": -1}}, {}, Undecodable("llama", "", "bad_json")),
        (REQUEST, ANSWER, {"response_body_complete": False}, Undecodable("llama", "", "truncated")),
        (REQUEST, {"choices": []}, {"request_body_complete": False}, Undecodable("", "", "truncated")),
        ({}, {"choices": []}, {}, Undecodable("", "", "bad_json")),
        (REQUEST, stream(chunk(), done=b'data: {"usa'), {"response_headers": STREAM}, Undecodable("llama", "", "bad_json")),
        (REQUEST, ANSWER, {"closed": True}, Failed("llama", "", "closed")),
        (REQUEST, ANSWER, {"status": 429}, Failed("llama", "", "client_error")),
        (REQUEST, b'{"response":' * 100_000, {}, Undecodable("llama", "", "bad_json")),
    ],
)  # fmt: skip
def test_what_can_not_be_read_has_its_reason(
    request_body: Any, answer: Any, others: dict[str, Any], expected: Outcome
) -> None:
    assert read(request_body, answer, **others) == expected


def test_a_parameter_that_is_no_number_is_left_out_and_the_rest_is_read() -> None:
    odd = {
        "model": "llama",
        "messages": [],
        "max_tokens": 100.0,
        "temperature": "secret",
        "n": None,
        "stream": "no",
    }
    outcome = read(odd, ANSWER)
    assert isinstance(outcome, Decoded)
    assert outcome.tokens == (26, 10)
    assert columns(outcome.inputs) == {"messages": [0], "max_tokens": [100.0], "prompt_tokens": [26]}


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({}, None),
        ({"prompt_tokens": 5}, None),
        ({"completion_tokens": 5}, None),
        ({"prompt_tokens": 5, "total_tokens": 4}, None),
        ({"prompt_tokens": 5, "total_tokens": 9}, (5, 4)),
        ({"prompt_tokens": None, "completion_tokens": None}, None),
        (None, None),
    ],
)
def test_tokens_are_told_or_not_known(usage: Any, tokens: Any) -> None:
    outcome = read(REQUEST, ANSWER | {"usage": usage})
    assert isinstance(outcome, Decoded)
    assert outcome.tokens == tokens


@pytest.mark.parametrize(
    ("target", "model"),
    [
        (b"/v1/chat/completions", ""),
        (b"/openai/v1/chat/completions?x=1", ""),
        (b"/gateway/a/v1/completions", ""),
        (b"/v1beta/openai/chat/completions", ""),
        (b"/openai/deployments/gpt-x/chat/completions?api-version=1", "gpt-x"),
        (b"/v1/responses", ""),
        (b"/v1/models", None),
        (b"/v1/chat/completions/x", None),
        (b"/xv1/embeddings", None),
        (b"/completions", None),
    ],
)
def test_paths_with_any_prefix_are_found(target: bytes, model: str | None) -> None:
    expected = Ignored("unknown_dialect") if model is None else Failed(model or "llama", "", "server_error")
    assert read(REQUEST, ANSWER, target, status=500) == expected


def test_a_failure_is_named_by_its_request() -> None:
    assert read(REQUEST, b"", status=500) == Failed("llama", "", "server_error")
    assert read(b"[", b"", status=400) == Failed("", "", "client_error")


def test_content_codings_and_tokens_that_are_no_json_are_read() -> None:
    answer = json.dumps(ANSWER).replace('"logprobs": null', '"logprobs": {"token_logprobs": [-Infinity]}')
    coding = {b"content-encoding": b"gzip"}
    outcome = read(REQUEST, gzipped(answer.encode()), response_headers=coding)
    assert isinstance(outcome, Decoded)
    assert outcome.tokens == (26, 10)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([json.dumps(ANSWER).encode(), stream(chunk((0, "stop")), chunk(usage=USAGE)), json.dumps(REQUEST).encode()]),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=3),
    st.integers(0, 2000),
    st.booleans(),
)  # fmt: skip
def test_no_word_of_what_was_said_comes_out_whatever_was_sent(
    body: bytes, damage: list[tuple[int, int]], cut: int, streamed: bool
) -> None:
    damaged = bytearray(body)
    for position, value in damage:
        damaged[position % len(damaged)] = value
    text = bytes(damaged[: cut or None])
    for request, answer in ((text, json.dumps(ANSWER).encode()), (json.dumps(REQUEST).encode(), text)):
        outcome = read(request, answer, response_headers=STREAM if streamed else {})
        if isinstance(outcome, Decoded):
            assert SECRET not in json.dumps(
                [msgspec.to_builtins(each) for each in (*outcome.inputs, *outcome.outputs)]
            )
