"""Certificates for the tests, made on the spot by the openssl program: no key lies in the repository."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path

    def copy_to(self, folder: Path) -> None:
        """As ``tls.crt`` and ``tls.key``, the names in a Kubernetes secret."""
        (folder / "tls.key").write_bytes(self.key.read_bytes())
        (folder / "tls.crt").write_bytes(self.certificate.read_bytes())


class Authority:
    """Signs certificates; clients that trust `certificate` trust those."""

    def __init__(self, openssl: str, folder: Path) -> None:
        self._openssl = openssl
        self._folder = folder
        self.certificate = folder / "authority.pem"
        self._key = folder / "authority.key"
        self._run(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=test authority", "-keyout", self._key, "-out", self.certificate,
        )  # fmt: skip

    def sign(self, name: str, alternative: str = "IP:127.0.0.1") -> Pair:
        """A certificate for *name*, valid for *alternative*."""
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        request = self._folder / f"{name}.csr"
        extensions = self._folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternative}\n")
        self._run(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
            "-keyout", pair.key, "-out", request,
        )  # fmt: skip
        self._run(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
            "-days", "2", "-extfile", extensions, "-out", pair.certificate,
        )  # fmt: skip
        return pair

    def _run(self, *arguments: str | Path) -> None:
        subprocess.run([self._openssl, *map(str, arguments)], check=True, capture_output=True, timeout=30)
