"""Mapped: servers that speak JSON of their own (BentoML, LitServe, Ray Serve, FastAPI), read as configured.

    models:
      - name: late_arrival
        path: /predict
        columns: [{name: age, path: "$.rows[*].age"}]
        predictions: [{name: late, path: "$.late[*]"}]

`models[].path` is the request's path, whole. A path of a column is read in the request, that of a
prediction in the answer (`sidecar.decode.jsonpath`): one value for each row, so all columns of one body
must agree in how many there are, else it is ``bad_json``. Columns without a path are not looked for where
others have one. Where none has, of columns or of predictions, that body is read by its form
(`sidecar.decode.freeform`); a list that is a column's value is as many columns as it has elements, as
everywhere.

CSV and JSON lines are read as everywhere; paths apply to a document of JSON, so not to CSV, and to JSON
lines as to the list of all lines: ``$[*].age``.
"""

from __future__ import annotations

from collections.abc import Sequence

from exporter.jsonpath import parse
from exporter.schema import ColumnSpec, Limits, ModelSpec
from sidecar.decode import bodies, freeform
from sidecar.decode.bodies import ANY, FEATURES, PREDICTIONS
from sidecar.decode.content import read_json
from sidecar.decode.jsonpath import compiled
from sidecar.decode.kserve_v1 import tensor
from sidecar.decode.outcome import DecodeError, Outcome
from sidecar.decode.route import Dialect, Place
from sidecar.decode.tensor import Tensor
from sidecar.exchange import Exchange


def has_paths(spec: ModelSpec) -> bool:
    """Whether *spec* says of any column where it stands."""
    return any(column.path is not None for column in (*spec.columns, *spec.predictions))


def dialect(spec: ModelSpec, *, headerless: bool = False) -> Dialect:
    """The reader of the bodies of *spec*'s path; *headerless*: it declares columns of CSV by position."""
    inputs = _Mapping(spec.columns)
    outputs = _Mapping(spec.predictions)
    header = False if headerless else None

    def read_request(text: bytes, limits: Limits) -> list[Tensor]:
        document = read_json(ANY, text, limits)
        return inputs.tensors(document) if inputs else freeform.tensors(FEATURES, document)

    def read_answer(text: bytes, limits: Limits, asked: int | None) -> list[Tensor]:
        document = read_json(ANY, text, limits)
        return outputs.tensors(document) if outputs else freeform.tensors(PREDICTIONS, document, asked)

    def decode(exchange: Exchange, place: Place, limits: Limits) -> Outcome:
        return bodies.read(exchange, place, limits, read_request, read_answer, header=header)

    return decode


class _Mapping:
    """The paths of one role; false when there are none."""

    def __init__(self, specs: Sequence[ColumnSpec]) -> None:
        declared = [(spec, spec.path) for spec in specs if spec.path is not None]
        self._declared = bool(declared)
        self._columns = [(spec.name, compiled(parse(path))) for spec, path in declared if spec.monitored]

    def __bool__(self) -> bool:
        return self._declared

    def tensors(self, document: object) -> list[Tensor]:
        made = [tensor(name, read(document)) for name, read in self._columns]
        if len({each.rows for each in made}) > 1:
            raise DecodeError("bad_json", "columns differ in their number of rows")
        return made
