"""OpenAI's API, as vLLM, TGI, llama.cpp, Triton and KServe's Hugging Face server speak it: tokens, traffic.

**No text of a prompt or of a completion is recorded**, nor its length, tools, images or embeddings: they are
read over and forgotten here. What is recorded of one request:

| role | columns |
|---|---|
| feature | `prompt_tokens`; how many `messages`, `prompts` or `inputs`, and `tools` |
| feature | `max_tokens`, `temperature`, `top_p`, `n`, `stream`, as asked for |
| prediction | `completion_tokens`; `finish_reason`, one row per choice |

A parameter that a request does not give has no row: the server's default is not on the wire. Where only
the request was cut, what its answer tells is recorded without the request's columns, as leaving long prompts
out would make all look short.

Tokens are what the answer's ``usage`` says, of a stream the last one in it. Without (a stream whose client
did not ask for ``stream_options.include_usage``) they are not known, and chunks are not counted instead:
one may hold several tokens, or none.

The model is the one that the answer names, else the one that the request names. An ``error`` object is a
failure, also in a stream under status 200; so are vLLM's ``"object": "error"``, llama.cpp's field ``error``,
and ``response.failed`` of the Responses API.

Sources: platform.openai.com/docs/api-reference (chat, completions, embeddings, responses, and their streaming
events); vllm-project/vllm ``entrypoints/openai``; kubeai-project/kubeai issue 283 (usage in every chunk).
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

from exporter.schema import Limits
from sidecar.decode.content import read_json, request_content, response_content
from sidecar.decode.outcome import Decoded, DecodeError, Failed, Outcome, Undecodable
from sidecar.decode.route import Place, Route
from sidecar.decode.sse import event_stream, streamed
from sidecar.decode.tensor import Tensor
from sidecar.exchange import Exchange

Tokens = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class _Passed(msgspec.Struct, gc=False):
    """An object that is counted and not kept."""


class _Request(msgspec.Struct, gc=False):
    model: str | None = None
    messages: list[_Passed] | None = None
    tools: list[_Passed] | None = None
    prompt: Any = None
    input: Any = None
    # Servers take 100.0 and "0.7" for numbers; what is none here is left out, and the rest is read.
    max_tokens: Any = None
    max_completion_tokens: Any = None
    max_output_tokens: Any = None
    temperature: Any = None
    top_p: Any = None
    n: Any = None
    stream: Any = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: Tokens | None = None
    completion_tokens: Tokens | None = None
    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    total_tokens: Tokens | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int | None = None
    finish_reason: str | None = None


class _Answer(msgspec.Struct, gc=False):
    """A whole answer, or a chunk of a stream."""

    model: str | None = None
    object: str | None = None
    type: str | None = None
    status: Any = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


class _Event(_Answer, gc=False):
    """As `_Answer`; of the Responses API's stream, which wraps the answer."""

    response: _Answer | None = None


_REQUEST = msgspec.json.Decoder(_Request)
_EVENT = msgspec.json.Decoder(_Event)
_DONE = b"[DONE]"
_FAILURES = frozenset({"error", "response.failed"})
_UNFINISHED = frozenset({"queued", "in_progress"})


class _Told(msgspec.Struct, gc=False):
    """What an answer, or all chunks of one together, told."""

    model: str = ""
    usage: _Usage | None = None
    finished: dict[int, str] = {}
    """Choice → why it ended."""

    def take(self, answer: _Answer) -> bool:
        """Take what *answer* tells; False when it is an error."""
        if answer.error is not None or answer.object == "error" or answer.type in _FAILURES:
            return False
        self.model = answer.model or self.model
        if answer.usage is not None:
            self.usage = answer.usage  # some servers send one with each chunk, each counting further
        if answer.object == "response" and type(answer.status) is str:
            if answer.status == "failed":
                return False
            if answer.status not in _UNFINISHED:
                self.finished[0] = answer.status
        for choice in answer.choices or ():
            if choice.finish_reason:
                self.finished[choice.index or 0] = choice.finish_reason
        return True


def decode(exchange: Exchange, place: Place, limits: Limits) -> Outcome:
    """A successful answer of ``/v1/chat/completions`` and the like; raises DecodeError."""
    told = _answer(exchange, limits)
    request = None
    try:
        request = read_json(_REQUEST, request_content(exchange, limits), limits)
    except DecodeError as fault:
        if told is None or not told.model:
            raise
        if fault.reason != "truncated":
            return Undecodable(told.model, place.version, fault.reason)  # under the name that the answer told
    model = place.model if request is None else request.model or place.model
    if told is None:
        return Failed(model, place.version, "in_band")
    model = told.model or model
    if not model:
        raise DecodeError("bad_json", "expected `model` in the answer or the request, got none")
    tokens = _tokens(told.usage)
    inputs = [] if request is None else _asked(request)
    outputs = []
    if tokens is not None:
        inputs.append(Tensor("prompt_tokens", (1,), "", [tokens[0]]))
        if not exchange.target.partition(b"?")[0].endswith(b"/embeddings"):
            outputs.append(Tensor("completion_tokens", (1,), "", [tokens[1]]))
    if told.finished:
        reasons = [reason for _, reason in sorted(told.finished.items())]
        outputs.append(Tensor("finish_reason", (len(reasons),), "", reasons))
    return Decoded(model, place.version, 1, inputs, outputs, tokens=tokens)


def name(exchange: Exchange, limits: Limits) -> tuple[str, str]:
    """The model that the request names, for failures, whose answers name none; raises DecodeError."""
    return read_json(_REQUEST, request_content(exchange, limits), limits).model or "", ""


def _answer(exchange: Exchange, limits: Limits) -> _Told | None:
    """What the answer tells; None for an error."""
    told = _Told(finished={})
    if not streamed(exchange):
        return told if told.take(read_json(_EVENT, response_content(exchange, limits), limits)) else None
    for event in event_stream(exchange, limits):
        if event.name == b"error":
            return None
        if event.data == _DONE:
            continue
        chunk = read_json(_EVENT, event.data, limits)
        if not told.take(chunk) or (chunk.response is not None and not told.take(chunk.response)):
            return None
    return told


def _tokens(usage: _Usage | None) -> tuple[int, int] | None:
    """Tokens of prompt and completion, or None where *usage* does not tell both."""
    if usage is None:
        return None
    prompt = usage.input_tokens if usage.prompt_tokens is None else usage.prompt_tokens
    completion = usage.output_tokens if usage.completion_tokens is None else usage.completion_tokens
    if prompt is None:
        return None
    if completion is None:  # embeddings have none, and a total that says so
        if usage.total_tokens is None or usage.total_tokens < prompt:
            return None
        completion = usage.total_tokens - prompt
    return prompt, completion


def _asked(request: _Request) -> list[Tensor]:
    """The request's columns."""
    limit = request.max_completion_tokens
    if limit is None:
        limit = request.max_output_tokens if request.max_tokens is None else request.max_tokens
    values = {
        "messages": None if request.messages is None else len(request.messages),
        "prompts": _count(request.prompt),
        "inputs": _count(request.input),
        "tools": None if request.tools is None else len(request.tools),
        "max_tokens": _number(limit),
        "temperature": _number(request.temperature),
        "top_p": _number(request.top_p),
        "n": _number(request.n),
        "stream": request.stream if type(request.stream) is bool else None,
    }
    return [Tensor(name, (1,), "", [value]) for name, value in values.items() if value is not None]


def _number(value: Any) -> int | float | None:
    """*value* when it is a number; no text of a request comes out of here."""
    return value if type(value) in (int, float) else None


def _count(texts: Any) -> int | None:
    """How many texts: one, a list of them, or one as a list of token numbers.

    >>> [_count(texts) for texts in (None, "hello", ["hello", "you"], [15339, 499], [[15339], [499]])]
    [None, 1, 2, 1, 2]
    """
    if texts is None:
        return None
    if type(texts) is not list or (texts and type(texts[0]) in (int, float)):
        return 1
    return len(texts)


ROWS = (
    # Any prefix: /openai/v1/… of KServe, /v1beta/openai/…, a gateway's own; and Azure's, which names a model.
    Route(
        re.compile(
            rb"(?:^|/)(?:v1|openai(?:/deployments/(?P<model>[^/]+))?)"
            rb"/(?:chat/completions|completions|embeddings|responses)\Z"
        ),
        None,
        decode,
        name,
    ),
)
"""Its rows of the table of dialects."""
