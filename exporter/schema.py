"""The configuration's typed structures: models, columns, limits.

One declaration: the loader (`exporter.configuration`), the documentation table and the JSON schema are
derived from the types, defaults and ``meta`` descriptions below.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from exporter.rows import Role

Kind: TypeAlias = Literal["numeric", "categorical", "boolean", "text", "embedding"]

Name = Annotated[str, Meta(min_length=1, max_length=200)]


class ColumnSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One monitored (or expressly unmonitored) column of a model."""

    name: Annotated[Name, Meta(description="Value of the label `column`.")]
    kind: Annotated[
        Kind | None, Meta(description="Inferred from the baseline, else from the wire, when left out.")
    ] = None
    tensor: Annotated[
        str | None, Meta(description="Tensor (or JSON field) that holds it; its own name when left out.")
    ] = None
    index: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(
            description="Position in the tensor's row, counted from 0, when the tensor has several columns."
        ),
    ] = None
    path: Annotated[
        str | None,
        Meta(
            description="JSON path to its values, as `$.rows[*].age`, in the request (predictions: in the "
            "answer) to the model's `path`. It is made of `$`, `.name`, `['name']`, `[0]`, `[-1]` and `[*]`."
        ),
    ] = None
    range: Annotated[
        tuple[float, float] | None,
        Meta(description="Declared limits, low then high; outside is counted, not dropped."),
    ] = None
    categories: Annotated[
        tuple[str, ...] | None, Meta(description="Declared categories; they become bin labels in this order.")
    ] = None
    monitored: Annotated[bool, Meta(description="false: passed and ignored, no series.")] = True


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model behind the sidecar."""

    name: Annotated[Name, Meta(description="The model's name on the wire.")]
    path: Annotated[
        str | None,
        Meta(
            description="Request path that is this model's, where the wire does not name it, as `/predict`; "
            "whole, percent-encoded, without the query."
        ),
    ] = None
    baseline: Annotated[
        str | None, Meta(description="Baseline file, relative to the configuration file.")
    ] = None
    columns: Annotated[tuple[ColumnSpec, ...], Meta(description="Features.")] = ()
    predictions: Annotated[tuple[ColumnSpec, ...], Meta(description="Predictions.")] = ()
    slices: Annotated[
        tuple[Name, ...],
        Meta(
            description="Categorical features by whose most frequent values rows, predictions and verdicts "
            "are also told apart."
        ),
    ] = ()
    slice_values: Annotated[
        Annotated[int, Meta(ge=1, le=100)],
        Meta(description="Values of each slice that are followed; the rest is `other`."),
    ] = 10
    only_declared: Annotated[
        bool, Meta(description="true: columns that are neither declared nor in the baseline are ignored.")
    ] = False

    def specs(self, role: Role) -> tuple[ColumnSpec, ...]:
        """The declared columns of *role*."""
        return self.columns if role == "feature" else self.predictions


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What bounds memory and copying."""

    body_bytes: Annotated[
        Annotated[int, Meta(ge=0, le=1 << 30)],
        Meta(description="Bytes of each message copied to the recorder; the rest is forwarded only."),
    ] = 262_144
    large_sampling: Annotated[
        Annotated[float, Meta(ge=0, le=1)],
        Meta(description="Share of exchanges copied up to `large_body_bytes` instead of `body_bytes`."),
    ] = 0.01
    large_body_bytes: Annotated[
        Annotated[int, Meta(ge=0, le=1 << 30)],
        Meta(
            description="Limit of that share, and of server-sent events; at most an eighth of `ring_bytes`."
        ),
    ] = 1_048_576
    ring_bytes: Annotated[
        Annotated[int, Meta(ge=1_048_576, le=1 << 30)],
        Meta(description="Size of the copy channel of each tap, a power of two."),
    ] = 8_388_608
    header_bytes: Annotated[
        Annotated[int, Meta(ge=1024, le=65_536)],
        Meta(description="Longest message head that is read; longer ones are undecodable."),
    ] = 65_536
    inflated_bytes: Annotated[
        Annotated[int, Meta(ge=0, le=1 << 30)], Meta(description="Largest decompressed body that is decoded.")
    ] = 16_777_216
    columns: Annotated[
        Annotated[int, Meta(ge=1)],
        Meta(description="Most columns followed per model version; further ones are counted."),
    ] = 500
    models: Annotated[
        Annotated[int, Meta(ge=1)],
        Meta(description="Most model versions followed; further ones are counted as `other`."),
    ] = 50


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole of ``modelmeter.yaml``."""

    models: Annotated[
        tuple[ModelSpec, ...], Meta(description="Models; others are still followed, by inference.")
    ] = ()
    timezone: Annotated[str, Meta(description="IANA time zone in which hours and days begin.")] = "UTC"
    page_budget: Annotated[
        Annotated[float, Meta(gt=0, le=1_000_000)],
        Meta(description="False pages per month and model that are acceptable."),
    ] = 1.0
    change_detectors: Annotated[
        tuple[Literal["ADWIN", "Page-Hinkley"], ...],
        Meta(
            description="Detectors of the library river that watch predictions hour by hour as well, and can "
            "make a ticket; they need `modelmeter[river]` and 180 MB."
        ),
    ] = ()
    sampling: Annotated[
        Annotated[float, Meta(ge=0, le=1)],
        Meta(description="Share of exchanges whose bodies are copied and recorded."),
    ] = 1.0
    recorder_cpu: Annotated[
        # An idle recorder polls with 0.012 processors; below that nothing would be recorded.
        Annotated[float, Meta(ge=0.02, le=64)] | None,
        Meta(description="Processors the recorder may use; less than `sampling` is recorded to stay below."),
    ] = None
    series_budget: Annotated[
        Annotated[int, Meta(ge=100)],
        Meta(description="Most series on /metrics; above it whole things are shed in a stated order."),
    ] = 10_000
    limits: Annotated[Limits, Meta(description="What bounds memory and copying.")] = Limits()

    def model(self, name: str) -> ModelSpec | None:
        """The specification of model *name*, or None when it is not declared."""
        for spec in self.models:
            if spec.name == name:
                return spec
        return None
