"""One table, asked by every client of every real server through the sidecar: the same answers, the same bytes,
and the same profile."""

from __future__ import annotations

import pytest

from sidecar.demo.process import Processes
from tests.e2e.conftest import Serving
from tests.real import golden, sidecar
from tests.real.clients import DIALECTS, MODEL, expected
from tests.real.golden import PARTS, ROWS, Golden
from tests.real.relay import Relay, same
from tests.real.servers.late import PREDICTIONS
from tests.real.sidecar import labels

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("server", "name"), [pytest.param(each.server, name, id=name) for name, each in DIALECTS.items()]
)
def test_one_table_gives_the_same_answers_bytes_and_profile(
    server: str, name: str, serving: Serving, table: Golden, processes: Processes
) -> None:
    dialect = DIALECTS[name]
    upstream = serving(server).ports[dialect.protocol]
    with dialect.open(upstream) as ask:
        direct = [answer for part in PARTS for answer in ask(part)]

    with Relay(upstream) as behind:
        wrapped = sidecar.start(
            processes,
            behind.port,
            configuration=table.configuration(paths=server == "litserve"),
            protocol=dialect.protocol,
        )
        with Relay(wrapped.port) as before:
            with dialect.open(before.port) as ask:
                answers = [answer for part in PARTS for answer in ask(part)]
                same(before, behind)
            inferences = len(ROWS) if dialect.one else len(PARTS)
            exchanges = 1 if dialect.stream else inferences
            others = dialect.more * len(PARTS)
            samples = wrapped.at_rest(seen=exchanges + others)

    assert answers == direct == expected(ROWS)
    of = {"protocol": dialect.protocol}
    assert sidecar.books(samples) == {
        ("seen", ""): exchanges + others,
        ("recorded", ""): exchanges,
        **({("ignored", "not_inference"): others} if others else {}),
    }
    model = {"model": MODEL, "version": dialect.version or "unknown"}
    rows = {labels(**model): len(ROWS)} if dialect.seen else {}  # rows are those of the features
    assert sidecar.family(samples, "modelmeter_rows_recorded_total") == rows
    assert sidecar.family(samples, "modelmeter_requests_total") == {labels(**model, **of): inferences}
    assert sum(sidecar.family(samples, "modelmeter_internal_errors_total").values()) == 0
    wanted = table.counts()
    if not dialect.seen:
        wanted = {key: count if key[0] in PREDICTIONS else 0 for key, count in wanted.items()}
    assert golden.counted(samples) == wanted
