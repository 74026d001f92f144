"""Web configuration: the file of ``--web.config.file``, as Prometheus' exporters read it.

Promises: what is accepted here means what the exporter-toolkit of Prometheus means by it. An error names
the file, the key, what was expected and what was found, never a password or its hash.
Refuses: keys of the toolkit that Python's ``ssl`` can not honour (a security setting that is read and not
obeyed is worse than an error), TLS below 1.2, and passwords that are not bcrypt hashes.
Format: github.com/prometheus/exporter-toolkit, docs/web-configuration.md.
"""

from __future__ import annotations

import difflib
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from exporter.configuration import ConfigurationError

CLIENT_AUTH: Mapping[str, ssl.VerifyMode] = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}

VERSIONS: Mapping[str, ssl.TLSVersion] = {
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}

#: The headers that the toolkit lets be set, with their values where there are only so many.
HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}

#: Keys of the toolkit that are refused, and what to do instead.
REFUSED: Mapping[str, str] = {
    "tls_server_config.cert": "cert_file, since Python reads certificates from files only",
    "tls_server_config.key": "key_file, since Python reads keys from files only",
    "tls_server_config.client_ca": "client_ca_file",
    "tls_server_config.cipher_suites": "no such key: the suites are OpenSSL's defaults for min_version",
    "tls_server_config.curve_preferences": "no such key: the curves are OpenSSL's defaults",
    "rate_limit": "no such key: set a limit in front of the sidecar",
}

_BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """The key ``tls_server_config``; paths are relative to the web configuration's folder in the file."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None
    client_auth: ssl.VerifyMode = ssl.CERT_NONE
    client_allowed_sans: tuple[str, ...] = ()
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read, whose change means a reload."""
        return tuple(p for p in (self.cert_file, self.key_file, self.client_ca_file) if p is not None)


@dataclass(frozen=True, slots=True)
class WebConfig:
    """The whole file; empty means plain HTTP for everybody."""

    tls: TlsConfig | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)
    """User → bcrypt hash."""
    tokens: Mapping[str, str] = field(default_factory=dict)
    """Name → SHA-256 of a bearer token, in hex; only where they are asked for."""

    @property
    def authenticates(self) -> bool:
        """Whether a client must show who it is: by password, token or certificate."""
        required = self.tls is not None and self.tls.client_auth is ssl.CERT_REQUIRED
        return bool(self.users or self.tokens or required)


def load(path: Path, *, tokens: bool = False) -> WebConfig:
    """Read and check the file at *path*; raises `exporter.configuration.ConfigurationError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), "", "a readable YAML file in UTF-8", _reason(error)) from None
    return parse(text, path, tokens=tokens)


def parse(text: str, path: Path, *, tokens: bool = False) -> WebConfig:
    """The web configuration written in *text*, the content of the file at *path*.

    With *tokens* there may be ``bearer_tokens`` too, which the toolkit does not have.

    >>> parse("http_server_config: {headers: {X-Frame-Options: deny}}", Path("web.yml")).headers
    {'X-Frame-Options': 'deny'}
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(str(path), "", "YAML", " ".join(str(error).split())) from None
    reader = _Reader(path)
    known = ("tls_server_config", "http_server_config", "basic_auth_users")
    top = reader.mapping(document, "", (*known, "bearer_tokens") if tokens else known)
    return WebConfig(
        tls=reader.tls(top["tls_server_config"]) if "tls_server_config" in top else None,
        headers=reader.headers(top.get("http_server_config")),
        users=reader.users(top.get("basic_auth_users")),
        tokens=reader.tokens(top.get("bearer_tokens")),
    )


class _Reader:
    """Checks the parts of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def error(self, key: str, expected: str, found: str) -> ConfigurationError:
        return ConfigurationError(str(self._path), key, expected, found)

    def mapping(self, value: object, key: str, known: tuple[str, ...] | None) -> dict[str, Any]:
        """*value* as mapping of texts, its keys among *known* unless that is None; nothing is empty."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.error(key, "a mapping", _kind(value))
        for name in value:
            if not isinstance(name, str):
                raise self.error(key, "keys that are texts", repr(name))
            if known is None or name in known:
                continue
            path = f"{key}.{name}" if key else name
            if path in REFUSED:
                raise self.error(path, REFUSED[path], name)
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise self.error(path, f"one of {', '.join(known)}", f"an unknown key{hint}")
        return value

    def text(self, value: object, key: str) -> str:
        if not isinstance(value, str) or not value:
            raise self.error(key, "a text", _kind(value))
        return value

    def choice(self, value: object, key: str, choices: Mapping[str, Any]) -> Any:
        if not isinstance(value, str) or value not in choices:
            raise self.error(key, f"one of {', '.join(choices)}", repr(value))
        return choices[value]

    def tls(self, value: object) -> TlsConfig:
        key = "tls_server_config"
        part = self.mapping(
            value,
            key,
            (
                "cert_file", "key_file", "client_ca_file", "client_auth_type", "client_allowed_sans",
                "min_version", "max_version", "prefer_server_cipher_suites",
            ),
        )  # fmt: skip
        for name in ("cert_file", "key_file"):
            if name not in part:
                raise self.error(f"{key}.{name}", "the path of a PEM file", "nothing")
        # prefer_server_cipher_suites is read for the sake of files that have it: Go ignores it since 1.17.
        folder = self._path.parent
        authority = part.get("client_ca_file")
        sans = part.get("client_allowed_sans") or []
        if not isinstance(sans, list) or not all(isinstance(san, str) for san in sans):
            raise self.error(f"{key}.client_allowed_sans", "a list of texts", _kind(sans))
        config = TlsConfig(
            cert_file=folder / self.text(part["cert_file"], f"{key}.cert_file"),
            key_file=folder / self.text(part["key_file"], f"{key}.key_file"),
            client_ca_file=None
            if authority is None
            else folder / self.text(authority, f"{key}.client_ca_file"),
            client_auth=self.choice(
                part.get("client_auth_type", "NoClientCert"), f"{key}.client_auth_type", CLIENT_AUTH
            ),
            client_allowed_sans=tuple(sans),
            minimum=self.choice(part.get("min_version", "TLS12"), f"{key}.min_version", VERSIONS),
            maximum=self.choice(part.get("max_version", "TLS13"), f"{key}.max_version", VERSIONS),
        )
        if config.minimum > config.maximum:
            raise self.error(f"{key}.max_version", "a version from min_version up", "an earlier one")
        if (config.client_auth is ssl.CERT_NONE) != (config.client_ca_file is None):
            raise self.error(
                f"{key}.client_ca_file",
                "an authority exactly when client_auth_type asks for certificates",
                "no authority" if config.client_ca_file is None else "client_auth_type NoClientCert",
            )
        if config.client_allowed_sans and config.client_auth is not ssl.CERT_REQUIRED:
            raise self.error(
                f"{key}.client_allowed_sans",
                "client_auth_type RequireAndVerifyClientCert, so that there is a certificate to match",
                "another client_auth_type",
            )
        return config

    def headers(self, value: object) -> dict[str, str]:
        key = "http_server_config"
        part = self.mapping(value, key, ("http2", "headers"))
        # We answer in HTTP/1.1, which is what every client offers beside HTTP/2: either value is obeyed.
        if not isinstance(part.get("http2", True), bool):
            raise self.error(f"{key}.http2", "true or false", repr(part["http2"]))
        headers = self.mapping(part.get("headers"), f"{key}.headers", tuple(HEADERS))
        for name, content in headers.items():
            at = f"{key}.headers.{name}"
            if content and HEADERS[name] and content not in HEADERS[name]:
                raise self.error(at, f"one of {', '.join(HEADERS[name])}", repr(content))
            if not isinstance(content, str | None) or "\n" in (content or ""):
                raise self.error(at, "a text of one line", _kind(content))
        return {name: content for name, content in headers.items() if content}

    def users(self, value: object) -> dict[str, str]:
        users = self.mapping(value, "basic_auth_users", None)
        for name, hashed in users.items():
            if not isinstance(hashed, str) or not _BCRYPT.fullmatch(hashed):
                raise self.error(
                    f"basic_auth_users.{name}",
                    "a bcrypt hash, as `htpasswd -nBC 10 user` prints it",
                    "something else (not shown here)",
                )
        return users

    def tokens(self, value: object) -> dict[str, str]:
        tokens = self.mapping(value, "bearer_tokens", None)
        for name, hashed in tokens.items():
            if not isinstance(hashed, str) or not _SHA256.fullmatch(hashed):
                raise self.error(
                    f"bearer_tokens.{name}",
                    "the SHA-256 of a token in hex, as `printf %s TOKEN | sha256sum` prints it",
                    "something else (not shown here)",
                )
        return tokens


def _kind(value: object) -> str:
    """What *value* is, without saying it: it may be a secret in the wrong place."""
    names = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
