"""Which baseline judges which model, checked against what the configuration declares."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from exporter.baseline import Baseline, BaselineError
from exporter.configuration import ConfigurationError
from exporter.rows import Role
from exporter.schema import Configuration

_ROLES: tuple[Role, ...] = ("feature", "prediction")


def load_baselines(
    configuration: Configuration, directory: Path, file: str = "modelmeter.yaml"
) -> dict[str, Baseline]:
    """The baseline of each model that has one; paths are relative to *directory*, the configuration's.

    *file* is the configuration's name, for errors. Raises `BaselineError` for a file that can not be used,
    and `ConfigurationError` where a column is declared to be of another kind than the baseline's.
    """
    baselines: dict[str, Baseline] = {}
    for at, model in enumerate(configuration.models):
        if model.baseline is None:
            continue
        path = directory / model.baseline
        baseline = baselines[model.name] = Baseline.load(path)
        if baseline.model not in ("", model.name):
            raise BaselineError(str(path), "model", repr(model.name), repr(baseline.model))
        for role in _ROLES:
            for number, spec in enumerate(model.specs(role)):
                column = baseline.columns.get((role, spec.name))
                if column is not None and spec.kind is not None and spec.kind != column.kind:
                    key = f"models[{at}].{'columns' if role == 'feature' else 'predictions'}[{number}].kind"
                    expected = f"{column.kind!r}, as in the baseline {model.baseline}"
                    raise ConfigurationError(file, key, expected, repr(spec.kind))
    return baselines


def mismatches(configuration: Configuration, baselines: Mapping[str, Baseline]) -> list[str]:
    """What is declared and unknown to the model's baseline: a sentence each, with the nearest name it has."""
    found = []
    for model in configuration.models:
        baseline = baselines.get(model.name)
        if baseline is None:
            continue
        for role in _ROLES:
            known = [name for known_role, name in baseline.columns if known_role == role]
            for spec in model.specs(role):
                if spec.monitored and spec.name not in known:
                    near = difflib.get_close_matches(spec.name, known, n=1)
                    hint = f"; did you mean {near[0]!r}?" if near else ""
                    found.append(f"{model.name}: {role} {spec.name!r} is not in {model.baseline}{hint}")
    return found
