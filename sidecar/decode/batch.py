"""Batcher: rows of many exchanges put behind one another, so that everything later works on arrays.

Promises: no Python statement per value; rows of one `Rows` have one model version, one role, one layout and
one five-minute slot. Memory: `add` says when a batch is due, at `ROWS_DUE` rows or `BYTES_DUE` bytes (one
exchange may overshoot by its own size); what is remembered between batches is bounded by `limits.models`,
`limits.columns`, names of at most `LONGEST_NAME` characters, and `_KNOWN_LAYOUTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final, TypeAlias

from exporter.rows import Role, Rows, Values
from exporter.schema import Configuration
from sidecar.decode.columns import Column, Field, Naming, values_of
from sidecar.decode.outcome import Decoded
from sidecar.decode.tensor import Tensor

ROWS_DUE: Final = 4_096
BYTES_DUE: Final = 4_194_304
"""Due when pending rows or bytes reach these: the sketches are at full speed from 1,000 rows on, and lists of
Python floats take 32 bytes a value."""

LONGEST_NAME: Final = 200
"""Characters of a model's or column's name; longer ones are refused, as they are in the configuration."""

SLOT_SECONDS: Final = 300

_KNOWN_LAYOUTS = 1_024
_LONGEST_LAYOUT = 256
# Layouts (names, datatypes, shapes of an exchange) whose plan is kept, and the most tensors of such a one.

_MOST_TENSORS = 4_096
# Tensors of one role that are looked at, at 3 µs each; a row of objects may have 100,000 keys.

_VALUE_BYTES = 48
# A Python float and its place in a list take 32 bytes, a short text 56.

_UNKNOWN = "unknown"

Known: TypeAlias = Callable[[str], Collection[tuple[Role, str]]]
"""Columns that a model's baseline has."""


@dataclass(slots=True)
class _Group:
    """Pending rows of one layout and slot."""

    model: str
    version: str
    role: Role
    slot: int
    time: float
    fields: tuple[Field, ...]
    parts: list[list[Any]]
    slice_fields: tuple[Field, ...]
    slice_parts: list[list[Any]]
    rows: int = 0
    exchanges: int = 0


@dataclass(slots=True)
class _Part:
    """Those tensors of a layout that share a role and a number of rows."""

    role: Role
    indexes: tuple[int, ...]
    fields: tuple[Field, ...]
    rows: int
    bytes: int
    key: tuple[object, ...]
    slice_indexes: tuple[int, ...] = ()
    """Of predictions: the inputs that hold the slices of the same rows."""
    slice_fields: tuple[Field, ...] = ()
    group: _Group | None = None


@dataclass(slots=True)
class _Plan:
    """What is done with exchanges of one layout."""

    inputs: list[_Part]
    outputs: list[_Part]


class Batcher:
    """Collects decoded exchanges into `Rows`.

    *known* tells a model's baseline columns, for models with `only_declared`.

    >>> batcher = Batcher(Configuration())
    >>> batcher.add(Decoded("m", "1", 1, [Tensor("x", (1, 2), "FP32", [1.5, 2.5])], []), 1000.0)
    False
    >>> batcher.flush()[0].columns
    {'x[0]': array([1.5]), 'x[1]': array([2.5])}
    """

    def __init__(
        self,
        configuration: Configuration,
        known: Known | None = None,
        *,
        rows_due: int = ROWS_DUE,
        bytes_due: int = BYTES_DUE,
    ) -> None:
        self._configuration = configuration
        self._known = known
        self._rows_due = rows_due
        self._bytes_due = bytes_due
        # Per process
        self._followed: dict[tuple[str, str], dict[tuple[Role, str], None]] = {}
        self._refused: set[tuple[str, str]] = set()
        self._namings: dict[tuple[str, Role], Naming] = {}
        self._plans: dict[tuple[object, ...], _Plan] = {}
        self.columns_refused = 0
        """Columns not followed (`limits.columns`, or a name too long), once per layout that has them."""
        self.models_refused = 0
        """Model versions not followed (`limits.models`, or a name too long)."""
        # Per batch
        self._groups: dict[tuple[object, ...], _Group] = {}
        self.pending_rows = 0
        self.pending_bytes = 0

    def follow(self, model: str, version: str, role: Role, column: str) -> None:
        """Take a column that is known from before for one that is followed: it counts towards the limits."""
        followed = self._followed.setdefault((model, version), dict.fromkeys(self._promised(model)))
        followed[role, column] = None

    def add(self, decoded: Decoded, time: float) -> bool:
        """Take the rows of an exchange seen at *time*, Unix seconds; True when `flush` is due."""
        inputs = decoded.inputs
        outputs = decoded.outputs
        layout: list[object] = [decoded.model, decoded.version, len(inputs)]
        for tensor in inputs:
            layout += (tensor.name, tensor.datatype, tensor.shape, tensor.data.__class__)
        for tensor in outputs:
            layout += (tensor.name, tensor.datatype, tensor.shape, tensor.data.__class__)
        key = tuple(layout)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plan(decoded)
            if len(inputs) + len(outputs) <= _LONGEST_LAYOUT and self._short(decoded):
                if len(self._plans) >= _KNOWN_LAYOUTS:
                    self._plans.clear()
                self._plans[key] = plan
        slot = int(time // SLOT_SECONDS)
        for part in plan.inputs:
            self._append(part, inputs, decoded, slot, time)
        for part in plan.outputs:
            self._append(part, outputs, decoded, slot, time)
            if part.slice_indexes:
                self._append_slices(part, inputs)
        return self.pending_rows >= self._rows_due or self.pending_bytes >= self._bytes_due

    def flush(self) -> list[Rows]:
        """Everything taken since the last time, in order of arrival of each layout's first row."""
        batches = []
        for group in self._groups.values():
            columns: dict[str, Values] = {}
            for field, parts in zip(group.fields, group.parts, strict=True):
                columns.update(values_of(field, parts, group.rows))
            slices: dict[str, Values] = {}
            for field, parts in zip(group.slice_fields, group.slice_parts, strict=True):
                slices.update(values_of(field, parts, group.rows))
            group.slot = -1  # plans that still point here see that it is over
            group.parts, group.slice_parts = [], []
            batches.append(
                Rows(
                    group.model,
                    group.version,
                    group.role,
                    group.time,
                    group.rows,
                    columns,
                    group.exchanges,
                    slices,
                )
            )
        self._groups.clear()
        self.pending_rows = 0
        self.pending_bytes = 0
        return batches

    def _append(self, part: _Part, tensors: list[Tensor], decoded: Decoded, slot: int, time: float) -> None:
        group = part.group
        if group is None or group.slot != slot:
            group = part.group = self._group(part, decoded, slot, time)
        group.rows += part.rows
        group.exchanges += 1
        self.pending_rows += part.rows
        self.pending_bytes += part.bytes
        for field, parts, index in zip(part.fields, group.parts, part.indexes, strict=True):
            if field.raw:
                parts.append(tensors[index].data)
            else:
                parts += tensors[index].data

    def _append_slices(self, part: _Part, inputs: list[Tensor]) -> None:
        """The slices of the rows that were just appended."""
        assert part.group is not None
        for field, parts, index in zip(
            part.slice_fields, part.group.slice_parts, part.slice_indexes, strict=True
        ):
            if field.raw:
                parts.append(inputs[index].data)
            else:
                parts += inputs[index].data

    def _group(self, part: _Part, decoded: Decoded, slot: int, time: float) -> _Group:
        key = (slot, *part.key)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(
                decoded.model,
                decoded.version or _UNKNOWN,
                part.role,
                slot,
                time,
                part.fields,
                [[] for _ in part.fields],
                part.slice_fields,
                [[] for _ in part.slice_fields],
            )
        return group

    def _short(self, decoded: Decoded) -> bool:
        return all(len(tensor.name) <= LONGEST_NAME for tensor in chain(decoded.inputs, decoded.outputs))

    def _plan(self, decoded: Decoded) -> _Plan:
        key = (decoded.model, decoded.version or _UNKNOWN)
        followed = self._followed.get(key)
        if followed is None:
            if len(self._followed) >= self._configuration.limits.models or max(map(len, key)) > LONGEST_NAME:
                self._refuse_model(key)
                return _Plan([], [])
            followed = self._followed[key] = dict.fromkeys(self._promised(key[0]))
        return _Plan(
            self._parts(key, "feature", decoded.inputs, followed),
            [
                self._sliced(key[0], part, decoded.inputs)
                for part in self._parts(key, "prediction", decoded.outputs, followed)
            ],
        )

    def _sliced(self, model: str, part: _Part, inputs: list[Tensor]) -> _Part:
        """*part* of the predictions with the slices of its rows, as far as *inputs* hold them.

        Only where requests and answers have the same number of rows is it known which belong together.
        """
        spec = self._configuration.model(model)
        if spec is None or not spec.slices:
            return part
        naming = self._naming(model, "feature")
        wanted = set(spec.slices)
        found: list[tuple[int, Field]] = []
        size = part.bytes
        for index, tensor in enumerate(inputs[:_MOST_TENSORS]):
            if tensor.rows != part.rows:
                continue
            whole = naming.field(tensor)
            columns = tuple(column for column in whole.columns if column.name in wanted)
            if columns and not whole.embedding:
                wanted -= {column.name for column in columns}
                found.append((index, replace(whole, columns=columns)))
                size += len(tensor.data) * (1 if whole.raw else _VALUE_BYTES)
        fields = tuple(field for _, field in found)
        indexes = tuple(index for index, _ in found)
        names = tuple(inputs[index].name for index in indexes)
        key = (*part.key, names, fields)
        return replace(part, bytes=size, key=key, slice_indexes=indexes, slice_fields=fields)

    def _refuse_model(self, key: tuple[str, str]) -> None:
        remembered = (key[0][:LONGEST_NAME], key[1][:LONGEST_NAME])
        if remembered not in self._refused:
            self.models_refused += 1
            if len(self._refused) < _KNOWN_LAYOUTS:
                self._refused.add(remembered)

    def _parts(
        self,
        model: tuple[str, str],
        role: Role,
        tensors: list[Tensor],
        followed: dict[tuple[Role, str], None],
    ) -> list[_Part]:
        """The tensors of one role by their number of rows; those without a followed column are left out."""
        naming = self._naming(model[0], role)
        declared = self._declared(model[0])
        taken: set[str] = set()
        by_rows: dict[int, list[tuple[int, Field]]] = {}
        self.columns_refused += max(0, len(tensors) - _MOST_TENSORS)
        for index, tensor in enumerate(tensors[:_MOST_TENSORS]):
            field = naming.field(tensor)
            columns = []
            for column in field.columns:
                if declared is not None and not column.declared and (role, column.name) not in declared:
                    continue
                if column.name in taken or not self._follow(role, column, followed):
                    self.columns_refused += 1
                    continue
                taken.add(column.name)
                columns.append(column)
            if columns and tensor.rows:
                field = Field(field.datatype, field.raw, field.width, field.embedding, tuple(columns))
                by_rows.setdefault(tensor.rows, []).append((index, field))
        parts = []
        for rows, pairs in by_rows.items():
            fields = tuple(field for _, field in pairs)
            size = sum(
                len(tensors[index].data) * (1 if field.raw else _VALUE_BYTES) for index, field in pairs
            )
            names = tuple(tensors[index].name for index, _ in pairs)
            key = (*model, role, names, fields)
            parts.append(_Part(role, tuple(index for index, _ in pairs), fields, rows, size, key))
        return parts

    def _follow(self, role: Role, column: Column, followed: dict[tuple[Role, str], None]) -> bool:
        key = (role, column.name)
        if key in followed:
            return True
        if len(followed) >= self._configuration.limits.columns or len(column.name) > LONGEST_NAME:
            return False
        followed[key] = None
        return True

    def _promised(self, model: str) -> Iterable[tuple[Role, str]]:
        """Columns declared or in the baseline: whatever else a client invents first, these are followed."""
        spec = self._configuration.model(model)
        roles: tuple[Role, ...] = ("feature", "prediction")
        if spec is not None:
            yield from ((role, declared.name) for role in roles for declared in spec.specs(role))
        if self._known is not None:
            yield from self._known(model)

    def _naming(self, model: str, role: Role) -> Naming:
        naming = self._namings.get((model, role))
        if naming is None:
            spec = self._configuration.model(model)
            naming = self._namings[model, role] = Naming(() if spec is None else spec.specs(role))
        return naming

    def _declared(self, model: str) -> Collection[tuple[Role, str]] | None:
        """The columns to which the model is limited beside those declared; None when it is not."""
        spec = self._configuration.model(model)
        if spec is None or not spec.only_declared:
            return None
        return () if self._known is None else self._known(model)
