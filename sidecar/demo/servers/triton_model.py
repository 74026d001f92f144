"""``model.py`` of Triton's Python back end: the scikit-learn model, with the same tensors as under MLServer.

Copied into the model repository; it runs inside Triton, where `triton_python_backend_utils` is, and
imports nothing of ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]


class TritonPythonModel:
    """One instance; Triton calls it from one thread."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model that lies beside this file."""
        version = Path(args["model_repository"]) / args["model_version"]
        self._model = joblib.load(version / "model.joblib")
        self._inputs = [str(name) for name in self._model.feature_names_in_]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer every request of a dynamic batch with one call of the model."""
        frames = [self._frame(request) for request in requests]
        probability = self._model.predict_proba(pd.concat(frames, ignore_index=True))
        predicted = self._model.classes_[probability.argmax(axis=1)].astype(np.int64)
        ends = np.cumsum([len(frame) for frame in frames])[:-1]
        return [
            pb_utils.InferenceResponse(
                [
                    pb_utils.Tensor("predict", classes.reshape(-1, 1)),
                    pb_utils.Tensor("predict_proba", rows),
                ]
            )
            for classes, rows in zip(np.split(predicted, ends), np.split(probability, ends), strict=True)
        ]

    def _frame(self, request: Any) -> pd.DataFrame:
        columns = {}
        for name in self._inputs:
            values = pb_utils.get_input_tensor_by_name(request, name).as_numpy().reshape(-1)
            if values.dtype == object:
                values = [value.decode("utf-8", "replace") for value in values]
            columns[name] = values
        return pd.DataFrame(columns)
