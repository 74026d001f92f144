"""What the demo says was found, and when it calls that a success."""

from typing import Any

import pytest

from sidecar.demo.report import Finding, Outcome, Watch, clock_time, tell

FAULT = 1383850800.0  # Thu 14:00 in New York
END = FAULT + 10 * 3600


def status(now: float, *columns: dict[str, Any]) -> dict[str, Any]:
    """What the sidecar's JSON says, as far as it is read; the last column is a prediction."""
    model = {"features": columns[:-1], "predictions": columns[-1:]}
    return {"now": now, "clock_rate": 3600.0, "rows": 9, "models": [model]}


def column(name: str, state: str, since: float | None = None, sentence: str = "") -> dict[str, Any]:
    verdicts = [{"state": "ok", "start": FAULT - 86400}, {"state": state, "start": FAULT}]
    return {"column": name, "state": state, "since": since, "sentence": sentence, "verdicts": verdicts}


def finding(column: str, found: float) -> Finding:
    return Finding(column, found, found - 600, "median 1.61 × that of the baseline")


def watch(*findings: Finding) -> Watch:
    return Watch({found.column: found for found in findings})


def test_only_columns_called_drifted_are_findings() -> None:
    seen = Watch()
    states = ("ok", "ticket", "insufficient", "learning", "drifted")
    seen.see(status(FAULT, *(column(state, state) for state in states)))
    assert (set(seen.findings), seen.rows) == ({"drifted"}, 9)


def test_a_finding_keeps_its_first_moment_and_the_last_words_while_it_drifted() -> None:
    seen = Watch()
    seen.see(status(FAULT + 3600, column("distance", "drifted", FAULT + 300, "first")))
    seen.see(status(FAULT + 7200, column("distance", "drifted", FAULT, "sharper")))
    seen.see(status(FAULT + 9999, column("distance", "ok", None, "usual")))
    assert seen.findings == {"distance": Finding("distance", FAULT + 3600, FAULT, "sharper")}


def test_without_an_onset_a_column_drifted_since_its_window_began() -> None:
    seen = Watch()
    seen.see(status(FAULT + 3600, column("distance", "drifted")))
    assert str(seen.findings["distance"]) == "distance: drifted since Thu 14:00"


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (
            watch(finding("distance", FAULT + 4200)),
            Outcome(
                True,
                (
                    "distance: drifted since Thu 15:00, median 1.61 × that of the baseline",
                    "  sent in kilometres from Thu 14:00 on; the verdict came at Thu 15:10",
                    "before the fault: no other column was called drifted",
                    "after it, beside the distance: no other column was called drifted",
                ),
            ),
        ),
        (
            watch(finding("distance", FAULT + 4200), finding("dest", FAULT - 60), finding("late", FAULT)),
            Outcome(
                True,
                (
                    "distance: drifted since Thu 15:00, median 1.61 × that of the baseline",
                    "  sent in kilometres from Thu 14:00 on; the verdict came at Thu 15:10",
                    "before the fault: dest: drifted since Thu 13:49, median 1.61 × that of the baseline",
                    "after it, beside the distance: late: drifted since Thu 13:50, median 1.61 × that of the baseline",
                ),
            ),
        ),
        (
            watch(finding("distance", FAULT - 1)),
            Outcome(
                False,
                (
                    "distance: called drifted at Thu 13:59, before the fault of Thu 14:00",
                    "before the fault: no other column was called drifted",
                    "after it, beside the distance: no other column was called drifted",
                ),
            ),
        ),
        (
            watch(),
            Outcome(
                False,
                (
                    "distance: not found; it was sent in kilometres from Thu 14:00 to Fri 00:00",
                    "before the fault: no other column was called drifted",
                    "after it, beside the distance: no other column was called drifted",
                ),
            ),
        ),
    ],
    ids=["found", "found with others", "too early", "not found"],
)
def test_success_is_the_faulted_column_found_after_the_fault_began(seen: Watch, expected: Outcome) -> None:
    assert tell(seen, FAULT, END) == expected


def test_times_are_those_at_the_airports() -> None:
    assert clock_time(0.0) == "Wed 19:00"  # 31 December 1969
