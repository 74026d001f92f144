"""tritonclient's way to ask the flights' model: JSON, binary tensors, and mixes of the two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import tritonclient.http

from sidecar.demo.columns import CATEGORIES, FEATURES
from sidecar.demo.flights import Flight
from sidecar.demo.servers import MODEL, ServerName

Mode: TypeAlias = Literal["json", "binary", "binary_in", "binary_out", "mixed"]
MODES: tuple[Mode, ...] = get_args(Mode)
"""What is binary: nothing, everything, requests, answers, every second tensor of both."""

MODES_OF: dict[ServerName, tuple[Mode, ...]] = {
    "triton": MODES,
    "mlserver": ("json", "binary_out"),  # refuses binary requests, and answers in JSON whatever is asked
    "kserve": (
        "binary",
        "binary_in",
        "mixed",
    ),  # refuses JSON without a Content-Type, which tritonclient omits
}
"""What each server takes from tritonclient 2.73."""


def infer(
    client: tritonclient.http.InferenceServerClient, flights: Sequence[Flight], mode: Mode
) -> dict[str, list[Any]]:
    """Ask about *flights* in one request; output → rows."""
    inputs = []
    for i, name in enumerate(FEATURES):
        text = name in CATEGORIES
        tensor = tritonclient.http.InferInput(name, [len(flights), 1], "BYTES" if text else "FP64")
        values = np.array([getattr(flight, name) for flight in flights], dtype=object if text else np.float64)
        binary = mode in ("binary", "binary_in") or (mode == "mixed" and i % 2 == 0)
        tensor.set_data_from_numpy(values.reshape(-1, 1), binary_data=binary)
        inputs.append(tensor)
    outputs = [
        tritonclient.http.InferRequestedOutput(
            name, binary_data=mode in ("binary", "binary_out") or (mode == "mixed" and i == 0)
        )
        for i, name in enumerate(("predict", "predict_proba"))
    ]
    answer = client.infer(MODEL, inputs, outputs=outputs)
    return {name: answer.as_numpy(name).tolist() for name in ("predict", "predict_proba")}
