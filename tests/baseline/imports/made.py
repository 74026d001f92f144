"""Files of SageMaker Model Monitor, made for tests in the documented form."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

RNG = np.random.default_rng(5)
AGES = np.sort(RNG.normal(40, 12, 4096))


def statistics() -> dict[str, Any]:
    """In the documented form: a sketch of two levels, buckets alone, texts, and a feature without anything."""
    edges = np.linspace(0, 10, 11)
    return {
        "version": 0.0,
        "dataset": {"item_count": 4200.0},
        "features": [
            {
                "name": "age",
                "inferred_type": "Fractional",
                "numerical_statistics": {
                    "common": {"num_present": 4096.0, "num_missing": 104.0},
                    "mean": float(AGES.mean()),
                    "sum": float(AGES.sum()),
                    "std_dev": float(AGES.std()),
                    "min": float(AGES[0]),
                    "max": float(AGES[-1]),
                    "distribution": {
                        "kll": {
                            "buckets": [{"lower_bound": 0.0, "upper_bound": 1.0, "count": 3}],
                            "sketch": {
                                "parameters": {"c": 0.64, "k": 2048.0},
                                # Level 0: the lower half, each row; level 1: of the upper half every second.
                                "data": [AGES[:2048].tolist(), AGES[2049::2].tolist()],
                            },
                        }
                    },
                },
            },
            {
                "name": "visits",
                "inferred_type": "Integral",
                "numerical_statistics": {
                    "common": {"num_present": 4200, "num_missing": 0},
                    "mean": 4.5,
                    "std_dev": "NaN",
                    "min": 0,
                    "max": 10,
                    "distribution": {
                        "kll": {
                            "buckets": [
                                {"lower_bound": low, "upper_bound": high, "count": 420.0}
                                for low, high in pairwise(edges)
                            ]
                        }
                    },
                },
            },
            {
                "name": "carrier",
                "inferred_type": "String",
                "string_statistics": {
                    "common": {"num_present": 4000, "num_missing": 200},
                    "distinct_count": 3,
                    "distribution": {
                        "categorical": {
                            "buckets": [
                                {"value": "UA", "count": 2400},
                                {"value": "AA", "count": 1200},
                                {"value": "DL", "count": 400},
                            ]
                        }
                    },
                },
            },
            {"name": "note", "inferred_type": "Unknown"},
        ],
    }


def constraints(**config: Any) -> dict[str, Any]:
    return {
        "version": 0.0,
        "features": [
            {"name": "age", "inferred_type": "Fractional", "completeness": 0.97},
            {
                "name": "visits",
                "inferred_type": "Integral",
                "completeness": 1.0,
                "num_constraints": {"is_non_negative": True},
            },
            {
                "name": "carrier",
                "inferred_type": "String",
                "completeness": 0.9,
                "string_constraints": {"domains": ["UA", "AA", "DL"]},
            },
        ],
        "monitoring_config": {"evaluate_constraints": "Enabled", **config},
    }


def written(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
