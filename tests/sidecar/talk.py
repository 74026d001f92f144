"""An HTTP/2 conversation by the `h2` library on both ends, as the pieces that pass a tap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RemoteSettingsChanged, StreamEnded
from h2.settings import SettingCodes

CLIENT, SERVER = 0, 1

Piece = tuple[int, bytes]


@dataclass
class Stream:
    """What was said on one stream."""

    target: bytes
    request: bytes = b""
    answer: bytes = b""
    asked: bool = False
    """The client has ended its side."""
    answered: bool = False
    reset: bool = False


@dataclass
class Talk:
    """Two ends and the pieces that passed between them, cut as TCP may cut them."""

    random: Random
    grpc: bool = True
    streams: dict[int, Stream] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self.server = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self.client.initiate_connection()
        self.server.initiate_connection()
        self.deliver()

    def deliver(self) -> None:
        """Hand over what either end has to send until both are silent."""
        while True:
            sent = ((CLIENT, self.client.data_to_send()), (SERVER, self.server.data_to_send()))
            if not any(data for _, data in sent):
                return
            for direction, data in sent:
                if data:
                    self._pass(direction, data)
                    receiver = self.server if direction == CLIENT else self.client
                    self._acknowledge(receiver, receiver.receive_data(data))

    def _pass(self, direction: int, data: bytes) -> None:
        first = not any(known == direction for known, _ in self.pieces)
        while data:
            most = len(data) if self.random.random() < 0.6 else self.random.randint(1, len(data))
            cut = max(most, 3) if first and direction == CLIENT else most
            self.pieces.append((direction, data[:cut]))
            data, first = data[cut:], False

    def _acknowledge(self, receiver: H2Connection, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, DataReceived) and event.flow_controlled_length:
                receiver.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded | RemoteSettingsChanged):
                continue

    def begin(self) -> int:
        """A client begins a stream."""
        number = self.client.get_next_available_stream_id()
        target = b"/inference.GRPCInferenceService/ModelInfer%d" % number
        headers = [
            (b":method", b"POST"), (b":scheme", b"http"), (b":path", target), (b":authority", b"here"),
            (b"content-type", b"application/grpc" if self.grpc else b"application/json"),
            (b"x-%d" % self.random.randint(0, 3), b"v" * self.random.choice([1, 9, 200])),
        ]  # fmt: skip
        self.streams[number] = Stream(target)
        self.client.send_headers(number, headers)
        return number

    def ask(self, number: int, data: bytes, *, end: bool) -> None:
        """More of a request's body."""
        stream = self.streams[number]
        stream.request += data
        stream.asked = end
        padding = self.random.choice([None, None, 0, 7])
        for piece in self._frames(self.client, number, data):
            self.client.send_data(number, piece, pad_length=padding)
        if end:
            self.client.end_stream(number)

    def answer(self, number: int, data: bytes) -> None:
        """A whole answer: head, body, trailers."""
        stream = self.streams[number]
        stream.answer, stream.answered = data, True
        kind = b"application/grpc" if self.grpc else b"application/json"
        self.server.send_headers(number, [(b":status", b"200"), (b"content-type", kind)])
        for piece in self._frames(self.server, number, data):
            self.server.send_data(number, piece)
        self.server.send_headers(number, [(b"grpc-status", b"0"), (b"t", b"%d" % number)], end_stream=True)

    def _frames(self, end: H2Connection, number: int, data: bytes) -> Iterator[bytes]:
        """*data* in frames, each as long as the other end takes at the moment."""
        while data:
            room = min(end.local_flow_control_window(number), end.max_outbound_frame_size) - 8
            if room <= 0:
                self.deliver()
                continue
            yield data[:room]
            data = data[room:]

    def reset(self, number: int, *, by_client: bool) -> None:
        """Either end gives the stream up."""
        self.streams[number].reset = True
        (self.client if by_client else self.server).reset_stream(number)

    def resize(self, size: int, *, by_client: bool) -> None:
        """Either end grants the other's encoder another table."""
        self.deliver()  # h2 applies a new size too early where blocks are on their way
        end = self.client if by_client else self.server
        end.update_settings({SettingCodes.HEADER_TABLE_SIZE: size})
        self.deliver()

    def go(self, streams: int, longest: int) -> Talk:
        """Begin *streams* streams and do whatever clients and servers do, in any order."""
        random, open_streams = self.random, list[int]()
        unchanged = [True, False]  # h2's encoder errs where a size changes twice
        left = streams
        while left or open_streams:
            act = random.random()
            if left and (not open_streams or act < 0.35):
                open_streams.append(self.begin())
                left -= 1
            else:
                number = random.choice(open_streams)
                stream = self.streams[number]
                if act > 0.97:
                    self.deliver()
                    self.reset(number, by_client=random.random() < 0.5)
                    open_streams.remove(number)
                elif not stream.asked:
                    self.ask(number, random.randbytes(random.randint(0, longest)), end=random.random() < 0.7)
                elif not stream.answered:
                    self.deliver()
                    self.answer(number, random.randbytes(random.randint(0, longest)))
                    open_streams.remove(number)
            if random.random() < 0.02 and unchanged:
                self.resize(random.choice([0, 200, 8192]), by_client=unchanged.pop())
            if random.random() < 0.5:
                self.deliver()
        self.deliver()
        return self
