"""docs/detection.md: the part between the markers is what a run has found."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from bench.detection.comparators import RULES
from bench.processes import BenchError
from bench.tables import Table
from bench.tools import ROOT

FILE: Final = ROOT / "docs" / "detection.md"
BEGIN: Final = "<!-- Written by `python -m bench.detection --write-docs`: begin -->"
END: Final = "<!-- Written by `python -m bench.detection --write-docs`: end -->"

#: What issue 5 wants of the median column of an event stream.
GOALS: Final = {
    "shift": ("1 σ", 1.0),
    "scale": ("× 1.6", 1.6),
    "flood": ("20 %", 0.2),
    "null_surge": ("5 %", 0.05),
}
KINDS: Final = ("event", "context", "sensor")
LEVELS: Final = ("gross", "medium", "small", "limit")

Case = Mapping[str, Any]


def percent(part: float, whole: float, digits: int = 3) -> str:
    """*part* of *whole* in percent, ``–`` of nothing.

    >>> percent(1, 1000), percent(0, 0)
    ('0.100 %', '–')
    """
    return f"{100 * part / whole:.{digits}f} %" if whole else "–"


def false_of(total: Mapping[str, int], window: str) -> str:
    """Windows that drifted, and their share."""
    false = total.get(f"{window} false", 0)
    return f"{false} ({percent(false, total.get(f'{window} judged', 0))})"


def share(cases: Iterable[Case], key: str = "day", of: str = "days") -> str:
    """Mean over pairs of column and fault of their share of days."""
    shares = [case[key] / case[of] for case in cases if case[of]]
    return f"{np.mean(shares):.3f}" if shares else "–"


def named(cases: Sequence[Case], key: str = "named") -> str:
    """Days with the right name, of those found; *key* ``named_last`` for the end of the day."""
    found = sum(case["day"] for case in cases)
    return f"{sum(case[key] for case in cases) / found:.3f}" if found else "–"


def delay(cases: Sequence[Case]) -> str:
    """Median over pairs of the median hours from onset to verdict."""
    delays = [case["delay"] for case in cases if case["delay"] is not None]
    return f"{np.median(delays):.0f} h" if delays else "–"


def above(case: Case) -> bool:
    """Whether the fault is at least as strong as the limit that the baseline prints."""
    size, limit = case["size"], case["blind_below"]
    return size is not None and limit is not None and size >= limit * (1 - 1e-9)


def tables(found: Mapping[str, Any]) -> list[Table]:
    """Every table of the report."""
    design = found["design"]
    made = [
        summary(found),
        natural(design, "False windows by stream (raw: nothing excluded)"),
        alarms(design, "Which columns alarmed, by the first detector"),
        levels(design, "Faults found, by kind of stream and strength"),
        faults(design, "event", "Event streams, fault by fault"),
        printed(design),
        kept_promise(design),
        rules(design),
    ]
    if design.get("peers"):
        made.append(packages(design))
    if design.get("ablations"):
        made.append(ablations(design))
    made.append(confusion(design))
    made.append(misses(design))
    if found.get("holdout"):
        held = found["holdout"]
        made += [
            natural(held, "Hold-out: false windows by stream"),
            alarms(held, "Hold-out: which columns alarmed"),
            levels(held, "Hold-out: faults found"),
            faults(held, "event", "Hold-out: event streams, fault by fault"),
            rules(held, "Hold-out: the same windows by rule"),
        ]
    return made


def totals(part: Mapping[str, Any]) -> Counter[str]:
    """Windows of all streams added up."""
    total: Counter[str] = Counter()
    for stream in part["streams"].values():
        total.update(stream["totals"])
        total["pages"] += stream["pages"]
        total["column pages"] += stream["column_pages"]
    return total


def medians(part: Mapping[str, Any], kind: str = "event") -> dict[str, tuple[float, int, int]]:
    """By fault: the median of *blind below* over columns (None counts as infinite), columns, those
    without.
    """
    values: dict[str, list[float]] = defaultdict(list)
    for stream in part["streams"].values():
        if stream["kind"] == kind:
            for limits in stream["blind_below"].values():
                for fault, limit in limits.items():
                    values[fault].append(math.inf if limit is None else limit)
    return {
        fault: (float(np.median(these)), len(these), sum(math.isinf(value) for value in these))
        for fault, these in values.items()
    }


def summary(found: Mapping[str, Any]) -> Table:
    """The few figures that are asked for first."""
    rows = []
    for title, part in (("design streams", found["design"]), ("hold-out", found.get("holdout"))):
        if not part:
            continue
        total = totals(part)
        cases = part["cases"]
        event = [case for case in cases if case["kind"] == "event"]
        strong = [case for case in event if above(case)]
        windows = total["1h judged"] + total["1d judged"]
        rows += [
            (
                f"false column-windows, raw, {title}",
                percent(total["1h false"] + total["1d false"], windows),
                "0.1 %",
            ),
            (
                f"… hours; days, {title}",
                "; ".join(
                    percent(total[f"{window} false"], total[f"{window} judged"]) for window in ("1h", "1d")
                ),
                "",
            ),
            (
                f"pages (incidents over columns once); by column, {title}",
                f"{total['pages']}; {total['column pages']}",
                "",
            ),
            (f"tickets, column-windows, {title}", f"{total['1h tickets'] + total['1d tickets']:,}", ""),
            (
                f"gross faults of event streams found within a day, {title}",
                share([c for c in event if c["level"] == "gross"]),
                "",
            ),
            (
                f"event faults at or above *blind below*: found; right name first; at the day's end, {title}",
                "; ".join(
                    percent(sum(c[key] for c in strong), sum(c["days"] for c in strong), 1)
                    for key in ("day", "named", "named_last")
                ),
                "95 %",
            ),
        ]
        for fault, (median, columns, none) in medians(part).items():
            if fault in GOALS:
                rows.append(
                    (
                        f"blind below, {fault}, median event column, {title}",
                        f"{median:.3g} ({none} of {columns} columns: no limit found)",
                        f"≤ {GOALS[fault][0]}",
                    )
                )
    return Table("In one look", ("", "found", "wanted"), rows)


def natural(part: Mapping[str, Any], title: str) -> Table:
    """False windows, tickets and pages."""
    rows = []
    for name, stream in part["streams"].items():
        total = stream["totals"]
        rows.append(
            (
                name,
                stream["kind"],
                str(len(stream["columns"])),
                f"{stream['live_days']:.0f}",
                f"{total.get('1h judged', 0):,}",
                false_of(total, "1h"),
                f"{total.get('1d judged', 0):,}",
                false_of(total, "1d"),
                f"{total.get('1h tickets', 0)} + {total.get('1d tickets', 0)}",
                f"{stream['pages']} ({stream['column_pages']})",
            )
        )
    total = totals(part)
    rows.append(
        (
            "all",
            "",
            str(sum(len(stream["columns"]) for stream in part["streams"].values())),
            "",
            f"{total['1h judged']:,}",
            false_of(total, "1h"),
            f"{total['1d judged']:,}",
            false_of(total, "1d"),
            f"{total['1h tickets']} + {total['1d tickets']}",
            f"{total['pages']} ({total['column pages']})",
        )
    )
    header = (
        "stream",
        "kind",
        "columns",
        "days",
        "hours judged",
        "false",
        "days judged",
        "false",
        "tickets h + d",
        "pages (columns)",
    )
    return Table(title, header, rows)


def alarms(part: Mapping[str, Any], title: str) -> Table:
    """Each column with an alarm."""
    rows = []
    for name, stream in part["streams"].items():
        for column, one in stream["columns"].items():
            for window in ("1h", "1d"):
                figures = one.get(window)
                if figures and (figures["false"] or figures["tickets"]):
                    fired = ", ".join(
                        f"{detector} {count}" for detector, count in figures["first_detector"].items()
                    )
                    rows.append(
                        (
                            f"{name}, {column}",
                            window,
                            f"{figures['false']} of {figures['judged']:,}",
                            str(figures["tickets"]),
                            fired or "–",
                        )
                    )
    return Table(title, ("column", "window", "drifted", "tickets", "first detector"), rows)


def levels(part: Mapping[str, Any], title: str) -> Table:
    """By kind and level."""
    rows = []
    for kind in KINDS:
        for level in LEVELS:
            cases = [case for case in part["cases"] if case["kind"] == kind and case["level"] == level]
            if cases:
                all_found = sum(case["day"] >= 0.95 * case["days"] for case in cases)
                name = "at *blind below*" if level == "limit" else level
                rows.append(
                    (
                        f"{kind}, {name}",
                        str(len(cases)),
                        share(cases, "hour"),
                        share(cases),
                        percent(all_found, len(cases), 0),
                        delay(cases),
                        named(cases),
                        named(cases, "named_last"),
                    )
                )
    header = (
        "",
        "pairs",
        "first hour",
        "within a day",
        "pairs found ≥ 95 %",
        "median delay",
        "right name first",
        "at the day's end",
    )
    return Table(title, header, rows, "A pair is a column and a fault at one strength; means are over pairs.")


def faults(part: Mapping[str, Any], kind: str, title: str) -> Table:
    """By fault and strength."""
    groups: dict[str, list[Case]] = defaultdict(list)
    for case in part["cases"]:
        if case["kind"] == kind and case["level"] != "limit":
            groups[f"{case['fault']} {case['strength']}".strip()].append(case)
    rows = []
    for name, cases in sorted(groups.items()):
        wrong: Counter[str] = Counter()
        for case in cases:
            wrong.update({given: count for given, count in case["names"].items() if given != case["fault"]})
        usual = wrong.most_common(1)
        rows.append(
            (
                name,
                str(len(cases)),
                share(cases, "hour"),
                share(cases),
                delay(cases),
                named(cases),
                named(cases, "named_last"),
                f"{usual[0][0]} ({usual[0][1]})" if usual else "–",
            )
        )
    header = (
        "fault",
        "columns",
        "first hour",
        "within a day",
        "median delay",
        "right name first",
        "at the day's end",
        "other name",
    )
    return Table(title, header, rows)


def printed(part: Mapping[str, Any]) -> Table:
    """Medians of the printed limits."""
    rows = []
    by_kind = {kind: medians(part, kind) for kind in KINDS}
    for fault in sorted({fault for one in by_kind.values() for fault in one}):
        cells = []
        for kind in KINDS:
            found = by_kind[kind].get(fault)
            cells.append("–" if found is None else f"{found[0]:.3g} ({found[2]} of {found[1]})")
        rows.append((fault, GOALS[fault][0] if fault in GOALS else "", *cells))
    note = "In brackets: columns at which not even the strongest step of the ladder is found."
    return Table("*Blind below*, median over columns", ("fault", "wanted", *KINDS), rows, note)


def kept_promise(part: Mapping[str, Any]) -> Table:
    """Is what lies above the printed limit found, and named?"""
    rows = []
    cases = [case for case in part["cases"] if above(case)]
    groups: list[tuple[str, Callable[[Case], bool]]] = [
        *((kind, lambda case, kind=kind: case["kind"] == kind) for kind in KINDS),
        *(
            (f"event, {fault}", lambda case, fault=fault: case["kind"] == "event" and case["fault"] == fault)
            for fault in sorted({case["fault"] for case in cases})
        ),
    ]
    for name, belongs in groups:
        these = [case for case in cases if belongs(case)]
        exact = [case for case in these if case["level"] == "limit"]
        days = sum(case["days"] for case in these)
        at_limit = sum(case["days"] for case in exact)
        if days:
            rows.append(
                (
                    name,
                    str(len(these)),
                    percent(sum(case["day"] for case in these), days, 1),
                    percent(sum(case["named"] for case in these), days, 1),
                    percent(sum(case["named_last"] for case in these), days, 1),
                    percent(sum(case["day"] for case in exact), at_limit, 1),
                )
            )
    header = (
        "",
        "pairs",
        "found",
        "found, right name first",
        "found, right name at the day's end",
        "found exactly at the limit",
    )
    return Table("Faults at or above the printed *blind below*, of all days", header, rows)


def rules(part: Mapping[str, Any], title: str = "The same windows by the rules of other tools") -> Table:
    """Comparators beside ours."""
    total = totals(part)
    cases = part["cases"]

    def columns(key: str | None) -> list[str]:
        cells = []
        for kind, level in (("event", "gross"), ("event", "medium"), ("context", "gross")):
            these = [case for case in cases if case["kind"] == kind and case["level"] == level]
            shares = [
                (case["day"] if key is None else case["rules"].get(key, 0)) / case["days"] for case in these
            ]
            cells.append(f"{np.mean(shares):.3f}" if shares else "–")
        return cells

    rows = [
        (
            rule.name,
            percent(total[f"1h {rule.name} false"], total[f"1h {rule.name} judged"], 2),
            percent(total[f"1d {rule.name} false"], total[f"1d {rule.name} judged"], 2),
            *columns(rule.name),
        )
        for rule in RULES
    ]
    rows.append(
        (
            "**modelmeter** (raw)",
            percent(total["1h false"], total["1h judged"], 2),
            percent(total["1d false"], total["1d judged"], 2),
            *columns(None),
        )
    )
    header = ("rule", "false hours", "false days", "gross, event", "medium, event", "gross, context")
    note = "A rule that marks most clean windows also marks most faulted ones; that is no detection."
    return Table(title, header, rows, note)


def packages(part: Mapping[str, Any]) -> Table:
    """Evidently, alibi-detect and river on the subset."""
    total: dict[str, Counter[str]] = defaultdict(Counter)
    for stream in part["peers"].values():
        for figures in stream.values():
            for peer, one in figures.items():
                for window in ("1h", "1d"):
                    total[peer][f"{window} false"] += one["false"][window]
                    total[peer][window] += one["windows"][window]
                total[peer]["found"] += one["found"]
                total[peer]["faulted"] += one["faulted"]
    rows = [
        (
            peer,
            percent(one["1h false"], one["1h"], 2),
            percent(one["1d false"], one["1d"], 2),
            percent(one["found"], one["faulted"], 1),
            str(one["faulted"]),
        )
        for peer, one in total.items()
    ]
    from bench.detection.peers import COLUMNS, FAULTS, RIVER

    for title, chosen in (("Evidently's and alibi-detect's", COLUMNS), ("river's", RIVER)):
        false: Counter[str] = Counter()
        for name, columns in chosen.items():
            for column in columns:
                one = part["streams"].get(name, {"columns": {}})["columns"].get(column, {})
                for window in ("1h", "1d"):
                    figures = one.get(window)
                    if figures:
                        false[f"{window} false"] += figures["false"]
                        false[window] += figures["judged"]
        same = [
            case
            for case in part["cases"]
            if case["column"] in chosen.get(case["stream"], ())
            and f"{case['fault']} {case['strength']}".strip() in FAULTS
        ]
        days = sum(case["days"] for case in same)
        rows.append(
            (
                f"**modelmeter**, on {title} columns",
                percent(false["1h false"], false["1h"], 2),
                percent(false["1d false"], false["1d"], 2),
                percent(sum(case["day"] for case in same), days, 1),
                str(days),
            )
        )
    header = ("package", "false hours", "false days", "found", "of")
    return Table("The packages themselves, on a subset", header, rows)


def ablations(part: Mapping[str, Any]) -> Table:
    """What each part buys."""
    rows = []
    for name, one in part["ablations"].items():
        windows, false, found, faulted = one["windows"], one["false"], one["found"], one["faulted"]

        def of(key: str, found: Any = found, faulted: Any = faulted) -> str:
            return f"{found.get(key, 0) / faulted[key]:.3f}" if faulted.get(key) else "–"

        rows.append(
            (
                name,
                percent(false.get("1h", 0), windows.get("1h", 0)),
                percent(false.get("1d", 0), windows.get("1d", 0)),
                *(
                    of(key)
                    for key in ("gross event", "medium event", "small event", "gross context", "gross sensor")
                ),
            )
        )
    header = (
        "",
        "false hours",
        "false days",
        "gross event",
        "medium",
        "small",
        "gross context",
        "gross sensor",
    )
    return Table("Ablations (share of faulted days found, not the mean over pairs)", header, rows)


def confusion(part: Mapping[str, Any]) -> Table:
    """Rows: what was injected, gross and medium, event streams; what it was called."""
    given: dict[str, Counter[str]] = defaultdict(Counter)
    for case in part["cases"]:
        if case["kind"] == "event" and case["level"] in ("gross", "medium"):
            given[case["fault"]].update(case["names"])
    rows = []
    for fault, names in sorted(given.items()):
        whole = sum(names.values())
        told = ", ".join(f"{name} {100 * count / whole:.0f} %" for name, count in names.most_common(5))
        rows.append((fault, str(whole), told))
    return Table(
        "What faults are called (event streams, gross and medium)", ("injected", "found", "names"), rows
    )


def misses(part: Mapping[str, Any]) -> Table:
    """Pairs of gross faults of event streams that are found on less than half of the days."""
    missed: dict[str, list[str]] = defaultdict(list)
    for case in part["cases"]:
        if case["kind"] == "event" and case["level"] == "gross" and case["day"] < 0.5 * case["days"]:
            stated = ""
            if case["size"] is not None and case["blind_below"] is not None:
                stated = " (NOT stated)" if above(case) else " (stated)"
            name = f"{case['fault']} {case['strength']}".strip()
            missed[name].append(f"{case['stream']} {case['column']}{stated}")
    rows = [(fault, "; ".join(columns)) for fault, columns in sorted(missed.items())]
    note = '"stated": the baseline says that it is blind to a fault of this strength.'
    return Table(
        "Gross faults of event streams found on fewer than half of the days", ("fault", "columns"), rows, note
    )


def between(text: str, content: str) -> str:
    """*text* with *content* between the markers; `BenchError` when they are missing.

    >>> between(f"a{BEGIN}old{END}b", "new") == f"a{BEGIN}\\n\\nnew\\n\\n{END}b"
    True
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"docs/{FILE.name}: the markers {BEGIN!r} and {END!r} are missing")
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{after}"


def render(found: Mapping[str, Any]) -> str:
    """All tables as Markdown."""
    how = "a short run (`--quick`)" if found["quick"] else "a full run"
    days = f"each fault on up to {found['days']} days, {found['minutes']} minutes"
    head = f"Taken on {found['taken']} by {how}: {days}."
    return "\n\n".join([head, *(table.markdown() for table in tables(found))])


def write(found: Mapping[str, Any]) -> None:
    """Put the results into the documentation."""
    FILE.write_text(between(FILE.read_text(), render(found)))
