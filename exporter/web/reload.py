"""Reload: the web configuration and its certificates, read again when a file changed.

Promises: a change is in force for the next connection (certificates) or request (users, headers), without
a restart and without a signal, however the file was replaced: the check is of inode, size and time, so it
sees a Kubernetes secret's swapped link too. A change for the worse (a typing error, a key that does not fit
its certificate, a file half written) is logged and counted once, and what was in force stays so.
"""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

from exporter.configuration import ConfigurationError
from exporter.errors import ErrorCounts
from exporter.web.config import TlsConfig, WebConfig, load


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and the TLS context built of it."""

    config: WebConfig
    context: ssl.SSLContext | None


class Reloading:
    """The configuration at *path* as it stands now; plain HTTP for everybody without a path.

    Raises `exporter.configuration.ConfigurationError` when what is there at the start is wrong.
    """

    def __init__(self, path: Path | None, errors: ErrorCounts, *, tokens: bool = False) -> None:
        self._path = path
        self._tokens = tokens
        self._errors = errors
        self._lock = threading.Lock()
        self._stamp: tuple[object, ...] = ()
        self._loaded = Loaded(WebConfig(), None)
        if path is not None:
            self._loaded = _load(path, tokens)
            self._stamp = self._look(self._loaded)

    def current(self) -> Loaded:
        """What is in force; three or four calls of stat when nothing changed, 10 µs."""
        if self._path is None:
            return self._loaded
        with self._lock:
            stamp = self._look(self._loaded)
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._loaded = self._accept(_load(self._path, self._tokens))
                except ConfigurationError as error:
                    self._errors.add("web_config", "%s; what was read before stays in force", error)
                self._stamp = self._look(self._loaded)
            return self._loaded

    def _accept(self, loaded: Loaded) -> Loaded:
        # The port would change its protocol under the feet of those who have it in their bookmarks.
        if (loaded.context is None) != (self._loaded.context is None):
            raise ConfigurationError(
                str(self._path), "tls_server_config", "TLS as at the start", "TLS switched on or off"
            )
        return loaded

    def _look(self, loaded: Loaded) -> tuple[object, ...]:
        assert self._path is not None
        files = (self._path, *(loaded.config.tls.files if loaded.config.tls else ()))
        return tuple(_identity(path) for path in files)


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _load(path: Path, tokens: bool) -> Loaded:
    config = load(path, tokens=tokens)
    return Loaded(config, context(config.tls, str(path)) if config.tls else None)


def context(config: TlsConfig, file: str) -> ssl.SSLContext:
    """The TLS context of *config*; *file* is named in the `ConfigurationError` when its files do not fit."""
    built = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    built.minimum_version = config.minimum
    built.maximum_version = config.maximum
    try:
        built.load_cert_chain(config.cert_file, config.key_file)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigurationError(
            file, "tls_server_config.cert_file", "a PEM certificate and the key that fits it", _reason(error)
        ) from None
    if config.client_ca_file is not None:
        try:
            built.load_verify_locations(cafile=config.client_ca_file)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                file, "tls_server_config.client_ca_file", "PEM certificates", _reason(error)
            ) from None
        built.verify_mode = config.client_auth
    return built


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no readable PEM").lower().replace("_", " ")
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
