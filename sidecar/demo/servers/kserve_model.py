"""A KServe predictor: the scikit-learn model, with the same tensors as under MLServer.

Run with KServe's own flags after the model's file; it imports nothing of ours.
"""

from __future__ import annotations

import sys
import uuid
from typing import Any

import joblib
import kserve.model_server  # type: ignore[import-not-found]
import numpy as np
import pandas as pd
from kserve import InferOutput, InferResponse, Model, ModelServer
from kserve.protocol.rest.server import RESTServer  # type: ignore[import-not-found]

NAME, VERSION = "flights", "1"


class Flights(Model):  # type: ignore[misc]
    """Answers class and probability."""

    def __init__(self, path: str) -> None:
        super().__init__(NAME)
        self._path = path
        self.load()

    def load(self) -> bool:
        """Read the model; KServe calls it again after a reload."""
        self._model = joblib.load(self._path)
        self.ready = True
        return True

    def predict(self, payload: Any, headers: dict[str, str] | None = None, **_: Any) -> Any:
        """An InferRequest of KServe v2 → InferResponse."""
        columns = {}
        for tensor in payload.inputs:
            values = tensor.as_numpy().reshape(-1)
            if values.dtype == object:
                values = [value.decode() if isinstance(value, bytes) else value for value in values]
            columns[tensor.name] = values
        probability = self._model.predict_proba(pd.DataFrame(columns)[list(self._model.feature_names_in_)])
        predicted = self._model.classes_[probability.argmax(axis=1)].astype(np.int64).reshape(-1, 1)
        outputs = []
        for name, datatype, rows in (("predict", "INT64", predicted), ("predict_proba", "FP64", probability)):
            output = InferOutput(name=name, shape=list(rows.shape), datatype=datatype)
            output.set_data_from_numpy(rows, binary_data=False)
            outputs.append(output)
        return InferResponse(
            response_id=payload.id or str(uuid.uuid4()),  # KServe's own answer type demands one
            model_name=NAME,
            model_version=VERSION,
            infer_outputs=outputs,
            requested_outputs=payload.request_outputs,
        )


class LoopbackServer(RESTServer):  # type: ignore[misc]
    """KServe listens on every interface and has no flag for it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config.host = "127.0.0.1"


if __name__ == "__main__":
    # KServe reads its flags from sys.argv when it is imported, and passes over what it does not know.
    kserve.model_server.RESTServer = LoopbackServer
    ModelServer().start([Flights(sys.argv[1])])
