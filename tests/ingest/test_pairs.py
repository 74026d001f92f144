"""Pairs: every unit is counted once, however its halves come, and whoever is killed."""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.views import LawView
from sidecar.exchange import Exchange
from sidecar.ingest.event import Event, Half
from sidecar.ingest.pairs import ENTRY_BYTES, Bounds, Pairs
from sidecar.words import DOOR_BYTES, DOOR_UNITS
from tests.memory import shared_memory

SECOND = 1_000_000_000
WALL = 1_000_000.0


def memory() -> mmap.mmap:
    return shared_memory(DOOR_BYTES)


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def monotonic(self) -> int:
        return int(self.seconds * SECOND)

    def wall(self) -> float:
        return WALL + self.seconds


class Door:
    """Pairs with a clock of ours and a recorder that records everything it is given."""

    def __init__(self, shared: mmap.mmap | None = None, first: bool = True, **bounds: float) -> None:
        self.clock = Clock()
        self.memory = shared or memory()
        self.pairs = Pairs(
            self.memory, Bounds(**bounds), self.clock.monotonic, self.clock.wall  # type: ignore[arg-type]
        )  # fmt: skip
        self.lost = self.pairs.attach(first)

    def put(self, *events: Event) -> bool:
        return self.pairs.accept(events)

    def record(self, limit: int = 1 << 30) -> list[Exchange]:
        exchanges = self.pairs.drain(limit)
        self.pairs.books.recorded(len(exchanges))
        return exchanges

    def law(self) -> dict[str, int]:
        return terms(self.pairs.view())

    def events(self) -> dict[str, int]:
        return {result: count for result, count in self.pairs.events().items() if count}


def terms(view: LawView) -> dict[str, int]:
    """The law, terms of 0 left out."""
    parts = {"seen": view.seen, "recorded": view.recorded, "unsettled": view.unsettled, **view.dropped}
    assert view.seen == (
        view.recorded
        + view.sampled_out
        + sum(view.dropped.values())
        + sum(view.undecodable.values())
        + sum(view.unobservable.values())
        + sum(view.ignored.values())
        + view.unsettled
    )
    return {name: count for name, count in parts.items() if count}


def request(number: int, body: bytes = b"{}", **fields: object) -> Event:
    return Event(number, "request", body, path=b"/p", **fields)  # type: ignore[arg-type]


def response(number: int, body: bytes = b"[]", **fields: object) -> Event:
    return Event(number, "response", body, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", [(request, response), (response, request)])
def test_two_halves_are_an_exchange_in_either_order(order: tuple[type, type]) -> None:
    door = Door()
    for half in order:
        assert door.record() == []
        assert door.put(half(7))
    [exchange] = door.record()
    assert (exchange.protocol, exchange.method, exchange.target) == ("ingest", b"POST", b"/p")
    assert (exchange.request_body, exchange.response_body, exchange.status) == (b"{}", b"[]", 200)
    assert (exchange.request_bytes, exchange.response_bytes, exchange.closed) == (2, 2, False)
    assert door.law() == {"seen": 1, "recorded": 1}
    assert door.pairs.waiting == 0


def test_headers_and_ends_are_told_on() -> None:
    door = Door()
    door.put(
        request(1, content_type=b"application/json", coding=b"gzip", json_length=b"3", complete=False),
        response(1, status=0),
    )
    [exchange] = door.record()
    assert dict(exchange.request_headers) == {
        b"content-type": b"application/json",
        b"content-encoding": b"gzip",
        b"inference-header-content-length": b"3",
    }
    assert dict(exchange.response_headers) == {}
    assert (exchange.request_body_complete, exchange.response_body_complete) == (False, True)
    assert exchange.closed


def test_the_loggers_times_give_the_duration_and_the_moment() -> None:
    door = Door()
    now = door.clock.wall()
    door.put(request(1, time=now - 30.0), response(1, time=now - 29.5))
    door.clock.seconds += 10
    [exchange] = door.record()
    assert exchange.started == pytest.approx(970 * SECOND)
    assert exchange.ended - exchange.started == pytest.approx(SECOND / 2)


@pytest.mark.parametrize("off", [-3600.0, 3600.0])
def test_a_loggers_clock_that_is_wrong_moves_no_row_and_no_duration(off: float) -> None:
    door = Door()
    now = door.clock.wall() + off
    door.put(request(1, time=now))
    door.clock.seconds += 1
    door.put(response(1, time=now + 0.25))
    door.clock.seconds += 1
    [exchange] = door.record()
    assert exchange.started == 1000 * SECOND
    assert exchange.ended - exchange.started == pytest.approx(SECOND / 4)


def test_a_clock_that_was_set_between_two_halves_makes_no_duration_of_years() -> None:
    door = Door()
    door.put(request(1, time=door.clock.wall()))
    door.clock.seconds += 2
    door.put(response(1, time=door.clock.wall() + 86_400.0 * 36_500))
    [exchange] = door.record()
    assert exchange.ended - exchange.started == pytest.approx(2 * SECOND)


def test_without_times_those_of_arrival_count_and_no_duration_is_negative() -> None:
    door = Door()
    door.put(request(1), request(2, time=WALL + 1000), response(2, time=WALL + 999))
    door.clock.seconds += 2
    door.put(response(1))
    durations = [exchange.ended - exchange.started for exchange in door.record()]
    assert durations == [0, 2 * SECOND]


def test_what_stays_alone_is_unpaired_after_its_time_and_its_other_half_comes_too_late() -> None:
    door = Door(seconds=120)
    door.put(request(1))
    door.put(response(2))
    door.clock.seconds += 120
    door.pairs.expire()
    assert door.law() == {"seen": 2, "unsettled": 2}
    assert door.pairs.view().in_flight == 1
    door.clock.seconds += 1
    door.pairs.expire()
    assert door.law() == {"seen": 2, "unpaired": 2}
    assert door.put(response(1), request(2))
    assert door.record() == []
    assert door.law() == {"seen": 2, "unpaired": 2}
    assert door.events() == {"accepted": 2, "duplicate": 2}
    assert door.pairs.waiting == 0


def test_a_half_that_comes_twice_counts_once_and_the_first_is_kept() -> None:
    door = Door()
    door.put(request(1, b"first"))
    door.put(request(1, b"second"))
    door.put(response(1), response(1))
    door.put(response(1))
    [exchange] = door.record()
    door.put(request(1), response(1))
    assert exchange.request_body == b"first"
    assert door.law() == {"seen": 1, "recorded": 1}
    assert door.events() == {"accepted": 2, "duplicate": 5}


def test_the_oldest_half_gives_way_when_too_many_wait() -> None:
    door = Door(entries=3)
    door.put(*(request(number) for number in range(1, 6)))
    door.put(*(response(number) for number in range(1, 6)))
    assert [exchange.request_bytes for exchange in door.record()] == [2, 2, 2]
    assert door.law() == {"seen": 5, "recorded": 3, "unpaired": 2}


def test_the_oldest_half_gives_way_when_too_much_waits() -> None:
    door = Door(bytes=22_000)
    door.put(*(request(number, bytes(4000)) for number in range(1, 5)))
    assert door.law() == {"seen": 4, "unpaired": 2, "unsettled": 2}
    assert door.pairs.waiting <= 11_000


def test_a_full_queue_refuses_all_of_a_request_until_the_recorder_takes_some() -> None:
    door = Door(entries=2)
    assert door.put(request(1), response(1), request(2), response(2))
    assert not door.put(request(3), response(3))
    assert door.law() == {"seen": 3, "unsettled": 3}
    assert door.events() == {"accepted": 4, "refused": 2}
    assert len(door.record()) == 2
    assert door.put(request(3), response(3))
    assert len(door.record()) == 1
    assert door.law() == {"seen": 3, "recorded": 3}


def test_what_is_refused_and_not_sent_again_is_dropped_for_pressure() -> None:
    door = Door(bytes=2 * (6 * ENTRY_BYTES), seconds=120)
    assert door.put(request(1), response(1))
    assert door.put(request(2))
    assert not door.put(response(2, bytes(2000)))
    assert not door.put(request(3), response(3, bytes(3000)))
    door.clock.seconds += 121
    door.pairs.expire()
    door.record()
    assert door.law() == {"seen": 3, "recorded": 1, "pressure": 2}


def test_a_request_larger_than_the_bounds_is_taken_by_an_empty_queue() -> None:
    door = Door(entries=2)
    events = [half(number) for number in range(1, 6) for half in (request, response)]
    assert door.put(*events)
    assert not door.put(request(9), response(9))
    assert len(door.record()) == 5


def test_a_recorder_that_is_killed_leaves_exact_books_and_knows_its_units() -> None:
    door = Door()
    door.put(request(1), response(1), request(2), request(3), response(3), request(4))
    taken = door.pairs.drain(1)
    door.pairs.books.recorded(len(taken))
    door.pairs.drain(1)  # taken, and not in the books when it is killed
    after = Door(door.memory, first=False)
    assert after.lost == 3
    assert after.law() == {"seen": 4, "recorded": 1, "recorder_restart": 3}
    after.put(response(2), response(4), request(5), response(5), request(1))
    assert len(after.record()) == 1
    assert after.law() == {"seen": 5, "recorded": 2, "recorder_restart": 3}
    assert after.events() == {"accepted": 8, "duplicate": 3}


def test_what_is_remembered_is_bounded() -> None:
    door = Door()
    for number in range(1, DOOR_UNITS + 11):
        door.put(request(number), response(number))
        if number % 5000 == 0:
            door.record()
    door.record()
    assert len(door.pairs._counted) == DOOR_UNITS
    assert len(Door(door.memory, first=False).pairs._counted) == DOOR_UNITS
    door.put(request(11), request(1))
    assert door.law() == {"seen": DOOR_UNITS + 11, "recorded": DOOR_UNITS + 10, "unsettled": 1}


HALVES: tuple[Half, Half] = ("request", "response")
SENT = st.tuples(st.integers(1, 12), st.sampled_from(HALVES))
STEPS = st.one_of(
    st.lists(SENT, min_size=1, max_size=5),  # sent together; lost where it is not there at all
    st.sampled_from(["record", "wait", "kill"]),
)


def replay(steps: Iterable[object], door: Door) -> tuple[Door, Counter[str], set[int]]:
    """Take *steps*; returns the last door, what became of the events, and the units whose halves came."""
    told: Counter[str] = Counter()
    known = set()
    for step in steps:
        if step == "record":
            door.record(2)
        elif step == "wait":
            door.clock.seconds += 70
            door.pairs.expire()
        elif step == "kill":
            fresh = Door(door.memory, first=False, entries=4, bytes=30 * ENTRY_BYTES, seconds=120)
            fresh.clock.seconds = door.clock.seconds
            door = fresh
        else:
            assert isinstance(step, list)
            known |= {number for number, _ in step}
            events = [Event(number, half, b"x" * 10 * number) for number, half in step]
            told["taken" if door.put(*events) else "refused"] += len(events)
        law = door.law()
        assert law.get("seen", 0) == len(known)
        assert all(count >= 0 for count in law.values())
    return door, told, known


@settings(max_examples=400)
@given(st.lists(STEPS, max_size=40))
def test_whatever_comes_in_whatever_order_every_unit_is_counted_once(steps: list[object]) -> None:
    door, told, known = replay(steps, Door(entries=4, bytes=30 * ENTRY_BYTES, seconds=120))
    door.record()
    door.clock.seconds += 200
    door.pairs.expire()
    law = door.law()
    assert law.get("seen", 0) == len(known)
    assert law.get("unsettled", 0) == 0
    events = door.events()
    assert events.get("refused", 0) == told["refused"]
    assert events.get("accepted", 0) + events.get("duplicate", 0) == told["taken"]
    assert door.pairs.waiting == 0
