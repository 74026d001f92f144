"""``model.py`` of Triton's Python back end; copied into the model repository beside ``late.py``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

sys.path.insert(0, str(Path(__file__).parent))
import late


class TritonPythonModel:
    """Tensors of shape [n, 1]."""

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        columns = {}
        for name in late.FEATURES:
            values = pb_utils.get_input_tensor_by_name(request, name).as_numpy().reshape(-1).tolist()
            columns[name] = [v.decode() if isinstance(v, bytes) else v for v in values]
        found = late.answer(columns)
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("late", np.array(found["late"], np.int64).reshape(-1, 1)),
                pb_utils.Tensor("late_probability", np.array(found["late_probability"]).reshape(-1, 1)),
            ]
        )
