"""``model.py`` of a decoupled model of Triton: as many answers as the request asks for.

Input ``answers`` INT32 [1] and ``x`` FP64 [1]; answer i has ``y`` FP64 [1] = x + i. A negative number
gives that many answers and then an error.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """0 to n answers for each request."""

    def execute(self, requests: list[Any]) -> None:
        """Send them."""
        for request in requests:
            count = int(pb_utils.get_input_tensor_by_name(request, "answers").as_numpy().reshape(-1)[0])
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy().astype(np.float64)
            sender = request.get_response_sender()
            for i in range(abs(count)):
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("y", x + i)]))
            if count < 0:
                error = pb_utils.TritonError("the steps are broken")
                sender.send(pb_utils.InferenceResponse(error=error))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
