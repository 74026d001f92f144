"""A KServe predictor on KServe's own server: v1, v2 and gRPC. Run with KServe's own flags."""

from __future__ import annotations

import uuid
from typing import Any

import kserve.model_server
import kserve.protocol.grpc.server
import late
import numpy as np
from kserve import InferOutput, InferResponse, Model, ModelServer
from kserve.protocol.rest.server import RESTServer


class Flights(Model):
    """Answers records to v1 and tensors to v2."""

    def __init__(self) -> None:
        super().__init__("flights")
        self.ready = True

    def predict(self, payload: Any, headers: Any = None, **_: Any) -> Any:
        """A dict of KServe v1 or an InferRequest of v2."""
        if isinstance(payload, dict):
            rows = payload["instances"]
            found = late.answer({name: [row[name] for row in rows] for name in late.FEATURES})
            each = zip(*found.values(), strict=True)
            return {"predictions": [dict(zip(found, values, strict=True)) for values in each]}
        columns = {}
        for tensor in payload.inputs:
            values = tensor.as_numpy().reshape(-1).tolist()
            columns[tensor.name] = [v.decode() if isinstance(v, bytes) else v for v in values]
        found = late.answer(columns)
        outputs = []
        for name, datatype in (("late", "INT64"), ("late_probability", "FP64")):
            rows = np.array(found[name], np.int64 if datatype == "INT64" else np.float64).reshape(-1, 1)
            output = InferOutput(name=name, shape=list(rows.shape), datatype=datatype)
            output.set_data_from_numpy(
                rows, binary_data=payload.from_grpc
            )  # tritonclient reads no others there
            outputs.append(output)
        return InferResponse(
            response_id=payload.id or str(uuid.uuid4()),
            model_name="flights",
            model_version="1",
            infer_outputs=outputs,
            requested_outputs=payload.request_outputs,
        )


class LoopbackServer(RESTServer):
    """KServe listens on every interface and has no flag for it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config.host = "127.0.0.1"


class LoopbackGrpc:
    """``grpc.aio`` with every port on the loopback address."""

    def server(self, *args: Any, **kwargs: Any) -> Any:
        made = _aio.server(*args, **kwargs)
        add = made.add_insecure_port
        made.add_insecure_port = lambda address: add(address.replace("[::]", "127.0.0.1"))
        return made


if __name__ == "__main__":
    _aio = kserve.protocol.grpc.server.aio
    kserve.protocol.grpc.server.aio = LoopbackGrpc()
    kserve.model_server.RESTServer = LoopbackServer
    ModelServer().start([Flights()])
