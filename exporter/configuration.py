"""Reading ``modelmeter.yaml``: typed, strict, and told in one sentence when it is wrong.

Promises: an error names the file, the key, what was expected and what was found; unknown keys are
errors, with the nearest known key suggested. Refuses to guess: no coercion between types, no defaults
for misspelled keys.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import re
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import yaml

from exporter import jsonpath
from exporter.mistake import MistakeError
from exporter.schema import ColumnSpec, Configuration, Limits, ModelSpec


class ConfigurationError(MistakeError):
    """What is wrong with a configuration file."""


def load(path: Path) -> Configuration:
    """Read and check the configuration at *path*; raises `ConfigurationError`.

    An empty file is an empty configuration: everything is then inferred from the wire.
    """
    file = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(file, "", "a readable YAML file", "no file of that name") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(file, "", "a readable YAML file in UTF-8", _reason(error)) from None
    return parse(text, file)


def parse(text: str, file: str) -> Configuration:
    """The configuration written in *text*; *file* is named in errors.

    >>> parse("models: [{name: late_arrival}]", "modelmeter.yaml").models[0].name
    'late_arrival'
    """
    try:
        document = yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        key = f"line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise ConfigurationError(file, key, "YAML", error.problem or "something else") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date like 2001-99-99
        raise ConfigurationError(file, "", "YAML", _reason(error)) from None
    except RecursionError:
        raise ConfigurationError(file, "", "YAML", "lists or mappings nested too deep") from None
    if document is None:
        document = {}
    try:
        configuration = msgspec.convert(document, Configuration)
    except msgspec.ValidationError as error:
        raise _explain(error, document, file) from None
    _check(configuration, file)
    try:
        fingerprint(configuration)
    except UnicodeEncodeError as error:
        raise ConfigurationError(file, "", "text that is Unicode", repr(error.object)) from None
    return configuration


def fingerprint(configuration: Configuration) -> str:
    """SHA-256 of the configuration's content, 64 hex digits; equal for equal settings, however written."""
    return hashlib.sha256(msgspec.json.encode(configuration, order="deterministic")).hexdigest()


class _StrictLoader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML's own rule, which PyYAML does not hold: the keys of a mapping are unique."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            try:
                known = key in seen
            except TypeError:
                continue  # an unhashable key: the base class words that error
            if known:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} a second time", key_node.start_mark
                )
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


_PATH = re.compile(r" - at (?:`key` in )?`\$(?P<path>[^`]*)`$")
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<name>.*)`")
_MISSING_FIELD = re.compile(r"Object missing required field `(?P<name>.*)`")
_EXPECTED = re.compile(r"Expected (?P<expected>.*?)(?:, got (?P<found>.*))?$")
_INVALID_ENUM = re.compile(r"Invalid enum value (?P<found>.*)$")

_PLAIN = {
    "`int`": "a whole number",
    "`float`": "a number",
    "`str`": "a text",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "a mapping",
    "`null`": "nothing",
}


def _explain(error: msgspec.ValidationError, document: object, file: str) -> ConfigurationError:
    """Our sentence for msgspec's: the same path, plain words, and the value that was found."""
    message = str(error)
    path = ""
    if match := _PATH.search(message):
        path = match["path"].lstrip(".")
        message = message[: match.start()]
    if match := _UNKNOWN_FIELD.match(message):
        known = _fields_at(path)
        nearest = difflib.get_close_matches(match["name"], known, n=1)
        hint = f"{nearest[0]!r}" if nearest else "one of " + ", ".join(sorted(known))
        return ConfigurationError(file, _join(path, match["name"]), hint, "an unknown key")
    if match := _MISSING_FIELD.match(message):
        return ConfigurationError(file, _join(path, match["name"]), "a value", "nothing")
    value = _lookup(document, path)
    if match := _INVALID_ENUM.match(message):
        allowed = "one of numeric, categorical, boolean, text, embedding"
        return ConfigurationError(file, path, allowed, match["found"])
    if match := _EXPECTED.match(message):
        expected = match["expected"]
        # `str | null`: a key that may be left out
        expected = expected.replace(" | null`", "`").replace(" | ", "` or `")
        for code, plain in _PLAIN.items():
            expected = expected.replace(code, plain)
        return ConfigurationError(file, path, expected, _show(value))
    return ConfigurationError(file, path, message, _show(value))


def _fields_at(path: str) -> tuple[str, ...]:
    """The keys that are known at *path*, judged by its last named step."""
    last = re.sub(r"\[[^\]]*\]", "", path).split(".")[-1]
    struct: Any = {"": Configuration, "models": ModelSpec, "limits": Limits}.get(last, ColumnSpec)
    return tuple(field.encode_name for field in msgspec.structs.fields(struct))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _lookup(document: object, path: str) -> object:
    """The value at a path like ``models[0].columns[3].range``; the innermost that exists."""
    value = document
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+|\.\.\.)\]", path):
        try:
            value = value[name] if name else value[int(index)]  # type: ignore[index]
        except (KeyError, IndexError, TypeError, ValueError):
            return value
    return value


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _check(configuration: Configuration, file: str) -> None:
    """What types cannot say."""
    try:
        ZoneInfo(configuration.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        found = repr(configuration.timezone)
        raise ConfigurationError(
            file, "timezone", "an IANA time zone such as UTC or Europe/Berlin", found
        ) from None
    if configuration.change_detectors and importlib.util.find_spec("river") is None:
        found = f"{', '.join(configuration.change_detectors)}, and no river"
        raise ConfigurationError(file, "change_detectors", "river (pip install 'modelmeter[river]')", found)
    ring = configuration.limits.ring_bytes
    if ring & (ring - 1):
        raise ConfigurationError(file, "limits.ring_bytes", "a power of two", str(ring))
    names: set[str] = set()
    paths: set[str] = set()
    for i, model in enumerate(configuration.models):
        if model.name in names:
            raise ConfigurationError(
                file, f"models[{i}].name", "a name of its own", f"{model.name!r} a second time"
            )
        names.add(model.name)
        if model.path is not None:
            if not model.path.startswith("/") or "?" in model.path:
                raise ConfigurationError(
                    file, f"models[{i}].path", "a path such as /predict, without a query", repr(model.path)
                )
            if model.path in paths:
                raise ConfigurationError(
                    file, f"models[{i}].path", "a path of its own", f"{model.path!r} a second time"
                )
            paths.add(model.path)
        for role, specs in (("columns", model.columns), ("predictions", model.predictions)):
            _check_columns(specs, f"models[{i}].{role}", file)
            _check_paths(model, specs, f"models[{i}].{role}", file)


def _check_paths(model: ModelSpec, specs: tuple[ColumnSpec, ...], path: str, file: str) -> None:
    for j, spec in enumerate(specs):
        if spec.path is None:
            continue
        here = f"{path}[{j}].path"
        for key, value in (("tensor", spec.tensor), ("index", spec.index)):
            if value is not None:
                expected = f"either a path or {'a tensor' if key == 'tensor' else 'an index'}"
                raise ConfigurationError(file, here, expected, f"{spec.path!r} beside {key} {value!r}")
        try:
            jsonpath.parse(spec.path)
        except ValueError as error:
            expected = "a JSON path of $, .name, ['name'], [0] and [*]"
            raise ConfigurationError(file, here, expected, f"{error} in {spec.path!r}") from None
        if model.path is None:
            raise ConfigurationError(file, here, "a path of the model beside it", f"none for {model.name!r}")


def _check_columns(specs: tuple[ColumnSpec, ...], path: str, file: str) -> None:
    names: set[str] = set()
    places: set[tuple[str, int | None]] = set()
    for j, spec in enumerate(specs):
        here = f"{path}[{j}]"
        if spec.name in names:
            raise ConfigurationError(
                file, f"{here}.name", "a name of its own", f"{spec.name!r} a second time"
            )
        names.add(spec.name)
        place = (spec.tensor or spec.name, spec.index)
        if place in places:
            raise ConfigurationError(
                file, f"{here}.tensor", "a place no other column reads", f"{place[0]!r} a second time"
            )
        places.add(place)
        if spec.range is not None and not spec.range[0] <= spec.range[1]:
            raise ConfigurationError(
                file, f"{here}.range", "two numbers, low then high", _show(list(spec.range))
            )
        if spec.categories is not None and len(set(spec.categories)) != len(spec.categories):
            raise ConfigurationError(
                file, f"{here}.categories", "each category once", _show(list(spec.categories))
            )
        if spec.categories is not None and spec.kind in ("numeric", "embedding", "text"):
            raise ConfigurationError(
                file,
                f"{here}.categories",
                f"no categories for a {spec.kind} column",
                _show(list(spec.categories)),
            )
        if spec.range is not None and spec.kind in ("categorical", "boolean"):
            raise ConfigurationError(
                file, f"{here}.range", f"no range for a {spec.kind} column", _show(list(spec.range))
            )
