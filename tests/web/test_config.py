"""The web configuration file: what the exporter-toolkit accepts, and one sentence for every mistake."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from exporter.configuration import ConfigurationError
from exporter.web.config import TlsConfig, WebConfig, load, parse

FILE = Path("folder") / "web.yml"
HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"


def test_an_empty_file_means_plain_http_for_everybody() -> None:
    assert parse("", FILE) == WebConfig(tls=None, headers={}, users={})
    assert parse("http_server_config:\nbasic_auth_users:\n", FILE) == WebConfig()


def test_every_key_that_prometheus_documents_and_we_have_is_read() -> None:
    text = f"""
tls_server_config:
  cert_file: server.crt
  key_file: /etc/tls/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: clients.pem
  client_allowed_sans: [prometheus.example]
  min_version: TLS13
  max_version: TLS13
  prefer_server_cipher_suites: true
http_server_config:
  http2: true
  headers:
    X-Frame-Options: deny
    Strict-Transport-Security: max-age=31536000
    X-Content-Type-Options: ""
basic_auth_users:
  alice: {HASH}
"""
    assert parse(text, FILE) == WebConfig(
        tls=TlsConfig(
            cert_file=Path("folder/server.crt"),
            key_file=Path("/etc/tls/server.key"),
            client_ca_file=Path("folder/clients.pem"),
            client_auth=ssl.CERT_REQUIRED,
            client_allowed_sans=("prometheus.example",),
            minimum=ssl.TLSVersion.TLSv1_3,
            maximum=ssl.TLSVersion.TLSv1_3,
        ),
        headers={"X-Frame-Options": "deny", "Strict-Transport-Security": "max-age=31536000"},
        users={"alice": HASH},
    )


TLS = "tls_server_config: {cert_file: a, key_file: b, "

MISTAKES = {
    "[1, 2]": ": expected a mapping, found a list",
    "tls_sever_config: {}": ": tls_sever_config: expected one of tls_server_config, http_server_config, "
    "basic_auth_users, found an unknown key (did you mean tls_server_config?)",
    "1: 2": ": expected keys that are texts, found 1",
    "a: [": ": expected YAML, found ",
    "tls_server_config: yes": ": tls_server_config: expected a mapping, found true or false",
    "tls_server_config: {cert_file: a}": ": tls_server_config.key_file: expected the path of a PEM file, found nothing",
    "tls_server_config: {}": ": tls_server_config.cert_file: expected the path of a PEM file, found nothing",
    "tls_server_config: {cert_file: 3, key_file: b}": ": tls_server_config.cert_file: expected a text, found a number",
    TLS
    + "cert: PEM}": ": tls_server_config.cert: expected cert_file, since Python reads certificates from files only, "
    "found cert",
    TLS
    + "cipher_suites: []}": ": tls_server_config.cipher_suites: expected no such key: the suites are OpenSSL's "
    "defaults for min_version, found cipher_suites",
    TLS
    + "min_version: TLS10}": ": tls_server_config.min_version: expected one of TLS12, TLS13, found 'TLS10'",
    TLS
    + "min_version: TLS13, max_version: TLS12}": ": tls_server_config.max_version: expected a version from "
    "min_version up, found an earlier one",
    TLS
    + "client_auth_type: RequireAnyClientCert}": ": tls_server_config.client_auth_type: expected one of NoClientCert, "
    "VerifyClientCertIfGiven, RequireAndVerifyClientCert, found 'RequireAnyClientCert'",
    TLS
    + "client_auth_type: RequireAndVerifyClientCert}": ": tls_server_config.client_ca_file: expected an authority "
    "exactly when client_auth_type asks for certificates, found no authority",
    TLS
    + "client_ca_file: c}": ": tls_server_config.client_ca_file: expected an authority exactly when client_auth_type "
    "asks for certificates, found client_auth_type NoClientCert",
    TLS + "client_allowed_sans: [x]}": ": tls_server_config.client_allowed_sans: expected client_auth_type "
    "RequireAndVerifyClientCert, so that there is a certificate to match, found another client_auth_type",
    TLS
    + "client_allowed_sans: x}": ": tls_server_config.client_allowed_sans: expected a list of texts, found a text",
    "http_server_config: {http2: 3}": ": http_server_config.http2: expected true or false, found 3",
    "http_server_config: {headers: {Server: x}}": ": http_server_config.headers.Server: expected one of "
    "Content-Security-Policy, Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection, "
    "found an unknown key",
    "http_server_config: {headers: {X-Frame-Options: maybe}}": ": http_server_config.headers.X-Frame-Options: expected "
    "one of deny, sameorigin, found 'maybe'",
    "http_server_config: {headers: {X-XSS-Protection: 1}}": ": http_server_config.headers.X-XSS-Protection: expected a "
    "text of one line, found a number",
    'http_server_config: {headers: {X-XSS-Protection: "1\\n2"}}': ": http_server_config.headers.X-XSS-Protection: "
    "expected a text of one line, found a text",
    "rate_limit: {burst: 3}": ": rate_limit: expected no such key: set a limit in front of the sidecar, found rate_limit",
    "basic_auth_users: {alice: secret}": ": basic_auth_users.alice: expected a bcrypt hash, as `htpasswd -nBC 10 user` "
    "prints it, found something else (not shown here)",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_in_one_sentence(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, FILE)
    message = str(caught.value)
    expected = f"folder/web.yml{MISTAKES[text]}"
    assert message.startswith(expected) if text == "a: [" else message == expected
    assert "\n" not in message


def test_a_password_in_plain_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse("basic_auth_users: {alice: hunter2}", FILE)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"none\.yml: expected a readable YAML file in UTF-8, found No such file"
    ):
        load(tmp_path / "none.yml")


def test_tokens_are_read_only_where_they_are_asked_for() -> None:
    text = f"bearer_tokens: {{logger: {'a' * 64}}}"
    assert parse(text, Path("web.yml"), tokens=True).tokens == {"logger": "a" * 64}
    assert parse(text, Path("web.yml"), tokens=True).authenticates
    with pytest.raises(ConfigurationError, match="an unknown key"):
        parse(text, Path("web.yml"))


def test_a_token_that_is_no_hash_is_told_without_showing_it() -> None:
    with pytest.raises(ConfigurationError, match=r"bearer_tokens\.logger: expected the SHA-256") as caught:
        parse("bearer_tokens: {logger: s3cr3t}", Path("web.yml"), tokens=True)
    assert "s3cr3t" not in str(caught.value)


def test_authentication_is_by_password_token_or_required_certificate() -> None:
    def authenticates(**fields: object) -> bool:
        return WebConfig(**fields).authenticates  # type: ignore[arg-type]

    def tls(mode: ssl.VerifyMode) -> TlsConfig:
        return TlsConfig(Path("a"), Path("b"), client_auth=mode)

    assert not authenticates()
    assert not authenticates(tls=tls(ssl.CERT_OPTIONAL))
    assert authenticates(tls=tls(ssl.CERT_REQUIRED))
    assert authenticates(users={"a": "b"})
