"""Writes profile.bin, by whylogs itself (it is in requirements/bench.txt): python make_profile.py FILE."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import whylogs


def main(path: str) -> None:
    """1,500 rows of a seed."""
    rng = np.random.default_rng(7)
    n = 1_500
    frame = pd.DataFrame(
        {
            "age": np.where(rng.random(n) < 0.05, np.nan, rng.normal(40, 12, n)),
            "visits": rng.poisson(2.0, n),
            "carrier": rng.choice(["UA", "AA", "DL", None], n, p=[0.5, 0.3, 0.15, 0.05]),
            "member": rng.random(n) < 0.3,
            "mixed": [1.5 if i % 3 else "x" for i in range(n)],
            "name": [f"row {i}" for i in range(n)],
            "empty": [None] * n,
        }
    )
    whylogs.log(frame).view().write(path)
    for column in frame:
        print(column, frame[column].isna().sum(), frame[column].value_counts().head(3).to_dict())


if __name__ == "__main__":
    main(sys.argv[1])
