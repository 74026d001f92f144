"""Coverage: the conservation law of exchanges, term by term."""

from __future__ import annotations

from collections.abc import Iterable

from exporter import metrics
from exporter.collectors.scrape import Scrape
from exporter.metrics import Family


def collect(scrape: Scrape) -> Iterable[Family]:
    """The families of the conservation law, and the requests in flight."""
    seen = metrics.EXCHANGES_SEEN.family()
    recorded = metrics.EXCHANGES_RECORDED.family()
    sampled_out = metrics.EXCHANGES_SAMPLED_OUT.family()
    dropped = metrics.EXCHANGES_DROPPED.family()
    undecodable = metrics.EXCHANGES_UNDECODABLE.family()
    unobservable = metrics.EXCHANGES_UNOBSERVABLE.family()
    ignored = metrics.EXCHANGES_IGNORED.family()
    unsettled = metrics.EXCHANGES_UNSETTLED.family()
    in_flight = metrics.REQUESTS_IN_FLIGHT.family()
    for law in scrape.view.law:
        seen.add(law.seen, law.protocol)
        recorded.add(law.recorded, law.protocol)
        sampled_out.add(law.sampled_out, law.protocol)
        unsettled.add(law.unsettled, law.protocol)
        in_flight.add(law.in_flight, law.protocol)
        for family, reasons in (
            (dropped, law.dropped),
            (undecodable, law.undecodable),
            (unobservable, law.unobservable),
            (ignored, law.ignored),
        ):
            for reason, count in reasons.items():
                family.add(count, law.protocol, reason)
    return seen, recorded, sampled_out, dropped, undecodable, unobservable, ignored, unsettled, in_flight
