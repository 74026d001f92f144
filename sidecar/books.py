"""Books: every exchange that a tap has seen is accounted for once, in shared memory.

The conservation law, in exchanges (over HTTP a request and its answer)::

    seen = recorded + sampled_out + dropped + undecodable + unobservable + ignored + unsettled

*seen* is what the tap counted (begun in the ring, or shed before it) and `Recorder.EXTRA`. *unsettled* is
what is still under way: in the ring, unanswered, or decoded and not yet in a profile. Each part is one
store to one word of one writer, so that killing the recorder at any instruction leaves the law intact:
what it had not settled is found by the next one and counted as ``dropped{reason="recorder_restart"}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias, get_args

from exporter.views import LawView
from sidecar.decode import IGNORED_REASONS as DECODE_IGNORED
from sidecar.decode import UNDECODABLE_REASONS as DECODE_UNDECODABLE
from sidecar.decode import UNOBSERVABLE_REASONS as DECODE_UNOBSERVABLE
from sidecar.wire import LOSS_REASONS, TUNNEL_REASONS
from sidecar.words import Recorder, Tap, Words

DroppedReason: TypeAlias = Literal[
    "pressure", "ring_full", "recorder_restart", "tap_restart", "fault", "unpaired"
]
DROPPED_REASONS: tuple[DroppedReason, ...] = get_args(DroppedReason)
"""``pressure``: shed where it began, since the ring was filling up. ``ring_full``: the ring filled up
while it was copied. ``recorder_restart``, ``tap_restart``: under way when that process ended (or, after long
pressure, when the tap gave up noting what had closed). ``fault``: a fault of ours; the
connection is forwarded without a copy, or the exchange could not be handled. ``unpaired``: of the events that
came in by `sidecar.ingest`, one without its other half; there ``pressure`` means that the queue was full."""

_WRITTEN_DROPPED = ("ring_full", "recorder_restart", "tap_restart", "fault", "unpaired", "pressure")

UNDECODABLE_REASONS: tuple[str, ...] = (
    *DECODE_UNDECODABLE,
    *(reason for reason in LOSS_REASONS if reason != "gap"),  # a gap is a drop of ours
)
UNOBSERVABLE_REASONS: tuple[str, ...] = (*TUNNEL_REASONS, *DECODE_UNOBSERVABLE)
IGNORED_REASONS: tuple[str, ...] = (*DECODE_IGNORED, "failed", "continuation")
"""Beside the decoders' own: ``failed``, an answer that is a failure holds no prediction; ``continuation``,
bytes of a request under way that looked to the tap like the beginning of another."""


def total(views: Sequence[LawView]) -> LawView:
    """The law over several channels of one protocol, one for each tap."""

    def by_reason(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
        whole: dict[str, int] = {}
        for part in parts:
            for reason, count in part.items():
                whole[reason] = whole.get(reason, 0) + count
        return whole

    return LawView(
        protocol=views[0].protocol,
        seen=sum(view.seen for view in views),
        recorded=sum(view.recorded for view in views),
        sampled_out=sum(view.sampled_out for view in views),
        dropped=by_reason(view.dropped for view in views),
        undecodable=by_reason(view.undecodable for view in views),
        unobservable=by_reason(view.unobservable for view in views),
        ignored=by_reason(view.ignored for view in views),
        unsettled=sum(view.unsettled for view in views),
        in_flight=sum(view.in_flight for view in views),
    )


class Books:
    """The recorder's side of one channel's books."""

    def __init__(self, words: Words, protocol: str) -> None:
        self._words = words
        self._protocol = protocol

    def pipelined(self, count: int) -> None:
        """*count* exchanges were seen beyond those that the tap counted."""
        self._words[Recorder.EXTRA] += count

    def recorded(self, count: int) -> None:
        """*count* exchanges are in the profiles now."""
        self._words[Recorder.RECORDED] += count

    def sampled_out(self) -> None:
        """An exchange was not drawn for recording."""
        self._words[Recorder.SAMPLED_OUT] += 1

    def dropped(self, reason: DroppedReason, count: int = 1) -> None:
        """*count* exchanges were lost by our own fault or choice."""
        self._words[Recorder.DROPPED + _WRITTEN_DROPPED.index(reason)] += count

    def undecodable(self, reason: str, count: int = 1) -> None:
        """*count* exchanges could not be read."""
        self._words[Recorder.UNDECODABLE + UNDECODABLE_REASONS.index(reason)] += count

    def unobservable(self, reason: str, count: int = 1) -> None:
        """*count* exchanges can not be read from here."""
        self._words[Recorder.UNOBSERVABLE + UNOBSERVABLE_REASONS.index(reason)] += count

    def ignored(self, reason: str, count: int = 1) -> None:
        """*count* exchanges are not predictions."""
        self._words[Recorder.IGNORED + IGNORED_REASONS.index(reason)] += count

    def settled(self) -> int:
        """Exchanges for which the recorder has said what became of them."""
        return sum(self._words[Recorder.RECORDED : Recorder.END])

    def begun(self) -> int:
        """Exchanges that the tap began in the ring, pipelined ones included."""
        return self._words[Tap.COPIED] + self._words[Recorder.EXTRA]

    def view(self, in_flight: int) -> LawView:
        """The law as it stands; the parts are read before the whole, so that nothing is ever negative."""
        words = self._words
        parts = list(words[Recorder.RECORDED : Recorder.END])
        pressure, fault = words[Tap.DROPPED_PRESSURE], words[Tap.DROPPED_FAULT]
        begun = self.begun()

        def part(first: int, reasons: tuple[str, ...]) -> dict[str, int]:
            at = first - Recorder.RECORDED
            return dict(zip(reasons, parts[at : at + len(reasons)], strict=True))

        written = part(Recorder.DROPPED, _WRITTEN_DROPPED)
        dropped: dict[str, int] = {reason: written[reason] for reason in DROPPED_REASONS}
        dropped["pressure"] += pressure
        dropped["fault"] += fault
        return LawView(
            protocol=self._protocol,
            seen=begun + pressure + fault,
            recorded=parts[0],
            sampled_out=parts[1],
            dropped=dropped,
            undecodable=part(Recorder.UNDECODABLE, UNDECODABLE_REASONS),
            unobservable=part(Recorder.UNOBSERVABLE, UNOBSERVABLE_REASONS),
            ignored=part(Recorder.IGNORED, IGNORED_REASONS),
            unsettled=begun - sum(parts),
            in_flight=in_flight,
        )
