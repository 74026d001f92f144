"""A custom runtime of MLServer; copied into the model's folder beside ``late.py``."""

from __future__ import annotations

import late
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Flights(MLModel):
    """Tensors of shape [n, 1], REST and gRPC."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One column per input."""
        columns = {}
        for tensor in payload.inputs:
            if tensor.datatype == "BYTES":
                columns[tensor.name] = StringCodec.decode_input(tensor)
            else:
                columns[tensor.name] = NumpyCodec.decode_input(tensor).reshape(-1).tolist()
        found = late.answer(columns)
        return InferenceResponse(
            id=payload.id,
            model_name=self.name,
            model_version=self.version,
            outputs=[
                ResponseOutput(name=name, shape=[len(found[name]), 1], datatype=datatype, data=found[name])
                for name, datatype in (("late", "INT64"), ("late_probability", "FP64"))
            ],
        )
