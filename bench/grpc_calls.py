"""gRPC: what standing between a client and a server costs, ours beside HAProxy and Envoy.

As `bench.passthrough`, over HTTP/2: unary ModelInfer calls of one tensor of 20 FP32 values, before nghttpd,
and ModelStreamInfer, before a server of ours. In the table of streams a "request" is a message with its
answer; what was recorded is told in rows, as a stream is one exchange in the books.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench import constant
from bench.clients import Paced, Streams
from bench.dialects import SERVICE
from bench.h2 import H2Load
from bench.load import FEATURES, training_rows
from bench.passthrough import others
from bench.processes import park
from bench.servers import nghttpd, streams
from bench.servers.sidecar import Sidecar, small_model, write_configuration
from bench.tables import Report, Table
from bench.turns import HEADER, Subject, ours, percent, rounds, row

REFERENCE = "Envoy h2"

STREAM_RATE = 20_000.0
"""Messages a second on all streams that everybody passes on, and that one recorder reads."""

STREAM_HEADER = (*HEADER[:3], "messages/s", *HEADER[4:8], "rows recorded", "streams dropped")


def request(rows: int, seed: int = 1) -> bytes:
    """A ModelInferRequest of *rows* rows of 20 numbers, as a gRPC message."""
    from tritonclient.grpc import service_pb2

    infer = service_pb2.ModelInferRequest(model_name="bench")
    tensor = infer.inputs.add()
    tensor.name, tensor.datatype = "input", "FP32"
    tensor.shape.extend([rows, FEATURES])
    flat = [value for values in training_rows(rows, seed=seed) for value in values]
    infer.raw_input_contents.append(struct.pack(f"<{len(flat)}f", *flat))
    return nghttpd.message(infer.SerializeToString())


def subjects_before(
    upstream: int, name: str, directory: Path, models: list[dict[str, object]], stack: ExitStack
) -> tuple[list[Subject], Subject, list[str]]:
    """The server *name* itself, the others and ours before it; the reference; what cannot be had."""
    skipped: list[str] = []
    directory.mkdir(exist_ok=True)
    subjects = [Subject(f"{name}, direct", upstream, {})]
    subjects += others(directory, upstream, stack, skipped, h2=True)
    for title, settings, flags in (
        ("modelmeter, all recorded", {}, ()),
        ("… recorder at nice 0", {}, ("--recorder-nice", "0")),
        ("… 1 in 10 sampled", {"sampling": 0.1}, ()),
    ):
        file = write_configuration(directory, f"grpc-{len(subjects)}", {"models": models, **settings})
        sidecar = Sidecar(f"grpc {len(subjects)}", directory, upstream, file, flags, "grpc")
        stack.callback(sidecar.end)
        park(list(sidecar.pids.values()))
        subjects.append(ours(title, sidecar))
    reference = next((subject for subject in subjects if subject.name == REFERENCE), subjects[1])
    return subjects, reference, skipped


def stream_line(subject: Subject, line: tuple[str, ...]) -> tuple[str, ...]:
    """A line of the table of streams, from one of calls."""
    books = [sample.books for sample in subject.samples if sample.books]
    if not books:
        return *line[:8], "", ""
    messages = sum(sample.requests for sample in subject.samples)
    rows = sum(sample.rows for sample in subject.samples)
    dropped, seen = sum(one.dropped for one in books), sum(one.seen for one in books)
    return *line[:8], percent(rows, messages), percent(dropped, seen)


def run(*, quick: bool, say: Callable[[str], None]) -> Report:
    """Measure it all: about eleven minutes, *quick* about two."""
    count, seconds = (2, 1.0) if quick else (5, 2.0)
    tables, data = [], {}
    with tempfile.TemporaryDirectory(prefix="modelmeter-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        models = [small_model(directory)]
        server, upstream = nghttpd.start(directory)
        stack.enter_context(server)
        subjects, reference, skipped = subjects_before(
            upstream, "nghttpd", directory / "calls", models, stack
        )
        small, batch = directory / "small.bin", directory / "batch.bin"
        small.write_bytes(request(1))
        batch.write_bytes(request(1000))
        path, kind = f"/{SERVICE}/ModelInfer", "application/grpc"
        headline = H2Load("gRPC, 32 connections, 1 call at a time each", path, small, kind, 32)
        for what in (
            H2Load("gRPC, 1 connection, 1 call at a time", path, small, kind, 1),
            headline,
            H2Load("gRPC, 512 connections, 1 call at a time each", path, small, kind, 512),
            H2Load("gRPC, 4 connections, 16 calls at a time each", path, small, kind, 4, 16),
            H2Load("gRPC, 1,000 rows (80 kB), 8 connections", path, batch, kind, 8),
        ):
            rounds(subjects, what, count if what is headline or not quick else 1, seconds, say)
            rows = [row(subject, reference) for subject in subjects]
            data[what.title] = [figures for figures, _ in rows]
            tables.append(Table(f"{what.title} ({reference.name} = 1)", HEADER, [line for _, line in rows]))
        rate = min(constant.half(data[headline.title], subjects[1].name), constant.FASTEST)
        title = f"gRPC, 32 connections, {rate:,.0f} calls/s: half of what {subjects[1].name} can"
        calls = [request(1, seed) for seed in range(256)]
        found, table = constant.table(
            subjects, Paced(title, calls, 32, rate, path), 1 if quick else count, seconds, say
        )
        data["constant"] = found
        tables.append(table)

        server, upstream = streams.start(directory)
        stack.enter_context(server)
        subjects, reference, _ = subjects_before(upstream, "server", directory / "streams", models, stack)
        for key, streamed, pace in (
            ("streams", "gRPC streams (8 connections of 4), 4 messages at a time on each", None),
            (
                "streams, constant",
                f"gRPC streams (8 connections of 4), {STREAM_RATE:,.0f} messages/s",
                STREAM_RATE,
            ),
        ):
            path = f"/{SERVICE}/ModelStreamInfer"
            stream = Streams(streamed, streams.REQUESTS, len(streams.ANSWER), path, pace)
            rounds(subjects, stream, 1 if quick else count, seconds, say)
            rows = [row(subject, reference) for subject in subjects]
            data[key] = [
                figures | {"rows": sum(sample.rows for sample in subject.samples)}
                for (figures, _), subject in zip(rows, subjects, strict=True)
            ]
            lines = [stream_line(subject, line) for subject, (_, line) in zip(subjects, rows, strict=True)]
            tables.append(Table(f"{streamed} ({reference.name} = 1)", STREAM_HEADER, lines))
    return Report("grpc", tables, {"loads": data, "skipped": skipped})
