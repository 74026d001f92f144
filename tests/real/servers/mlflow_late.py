"""An MLflow model from code. ``python mlflow_late.py FOLDER`` saves it; then ``mlflow models serve`` loads it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import pandas as pd


class Flights(mlflow.pyfunc.PythonModel):
    """A frame of the features → a frame of the predictions."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> pd.DataFrame:
        import late

        if not isinstance(model_input, pd.DataFrame):
            model_input = pd.DataFrame(model_input)
        return pd.DataFrame(late.answer({name: model_input[name].tolist() for name in late.FEATURES}))


if __name__ == "__main__":
    here = Path(__file__)
    mlflow.pyfunc.save_model(
        sys.argv[1], python_model=here, code_paths=[here.with_name("late.py")], pip_requirements=[]
    )
else:
    mlflow.models.set_model(Flights())
