"""TLS files: those of ``--listen-tls.config.file`` and ``--upstream-tls.config.file``, read and tried.

Promises: what is accepted here means what Prometheus means by it (``tls_server_config`` of the
exporter-toolkit, ``tls_config`` of a scrape), and every file named has been read once. An error names file,
key, what was expected and what was found. The tap gets plain values (`sidecar.plan`): it parses nothing.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import yaml

from exporter.configuration import ConfigurationError
from exporter.web.config import VERSIONS, load
from sidecar.plan import ServerTls, UpstreamTls
from sidecar.tls import build, reason

UPSTREAM_KEYS = (
    *("ca_file", "cert_file", "key_file", "server_name", "insecure_skip_verify"),
    *("min_version", "max_version"),
)


def load_listen(path: Path) -> ServerTls:
    """The ``tls_server_config`` in the file at *path*; raises `ConfigurationError`."""
    config = load(path)
    if config.tls is None:
        raise ConfigurationError(str(path), "tls_server_config", "cert_file and key_file", "nothing")
    for key, found in (("http_server_config", config.headers), ("basic_auth_users", config.users)):
        if found:
            raise ConfigurationError(
                str(path), key, "tls_server_config alone, since what passes here is not answered here", key
            )
    tls = ServerTls(
        cert_file=str(config.tls.cert_file.absolute()),
        key_file=str(config.tls.key_file.absolute()),
        client_ca_file=_absolute(config.tls.client_ca_file),
        client_auth=int(config.tls.client_auth),
        client_allowed_sans=config.tls.client_allowed_sans,
        minimum=int(config.tls.minimum),
        maximum=int(config.tls.maximum),
    )
    _try(path, "tls_server_config", tls)
    return tls


def load_upstream(path: Path) -> UpstreamTls:
    """The ``tls_config`` in the file at *path*; raises `ConfigurationError`."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        found = (error.strerror if isinstance(error, OSError) else None) or "other bytes"
        raise ConfigurationError(str(path), "", "a readable YAML file in UTF-8", found.lower()) from None
    except yaml.YAMLError as error:
        raise ConfigurationError(str(path), "", "YAML", " ".join(str(error).split())) from None
    if not isinstance(document, dict) or set(document) != {"tls_config"}:
        raise ConfigurationError(str(path), "", "the key tls_config alone", "something else")
    part = document["tls_config"] or {}
    if not isinstance(part, dict):
        raise ConfigurationError(str(path), "tls_config", "a mapping", "something else")
    for key in part:
        if key not in UPSTREAM_KEYS:
            raise ConfigurationError(
                str(path), f"tls_config.{key}", f"one of {', '.join(UPSTREAM_KEYS)}", "an unknown key"
            )
    skip = part.get("insecure_skip_verify", False)
    if not isinstance(skip, bool):
        raise ConfigurationError(str(path), "tls_config.insecure_skip_verify", "true or false", repr(skip))
    tls = UpstreamTls(
        ca_file=_file(path, part, "ca_file"),
        cert_file=_file(path, part, "cert_file"),
        key_file=_file(path, part, "key_file"),
        server_name=_text(path, part, "server_name"),
        insecure_skip_verify=skip,
        minimum=_version(path, part, "min_version", "TLS12"),
        maximum=_version(path, part, "max_version", "TLS13"),
    )
    if (tls.cert_file is None) != (tls.key_file is None):
        missing = "key_file" if tls.key_file is None else "cert_file"
        raise ConfigurationError(
            str(path), f"tls_config.{missing}", "cert_file and key_file together", "one of them"
        )
    if tls.minimum > tls.maximum:
        raise ConfigurationError(
            str(path), "tls_config.max_version", "a version from min_version up", "an earlier one"
        )
    _try(path, "tls_config", tls)
    return tls


def _try(path: Path, key: str, tls: ServerTls | UpstreamTls) -> None:
    try:
        build(tls, "http")
    except (OSError, ValueError) as error:
        expected = "PEM files that can be read, and a key that fits its certificate"
        raise ConfigurationError(str(path), key, expected, reason(error).lower()) from None


def _text(path: Path, part: dict[str, Any], key: str) -> str | None:
    value = part.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigurationError(str(path), f"tls_config.{key}", "a text", "something else")
    return value


def _file(path: Path, part: dict[str, Any], key: str) -> str | None:
    """Relative to the folder of the file that names it, as in Prometheus."""
    text = _text(path, part, key)
    return None if text is None else str((path.parent / text).absolute())


def _version(path: Path, part: dict[str, Any], key: str, default: str) -> int:
    value = part.get(key, default)
    if not isinstance(value, str) or value not in VERSIONS:
        raise ConfigurationError(str(path), f"tls_config.{key}", f"one of {', '.join(VERSIONS)}", repr(value))
    version: ssl.TLSVersion = VERSIONS[value]
    return int(version)


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())
