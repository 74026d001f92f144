"""Authentication: HTTP basic authentication against bcrypt hashes, each verification paid for once.

Promises: an unknown user costs the same time as a wrong password, so that names can not be guessed by the
clock; at most one bcrypt at a time, so that a flood of wrong passwords can not take the recorder's cores; no
password is kept, only keyed digests of what was verified.
Source of all three: exporter-toolkit of Prometheus, web/handler.go.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import threading
from collections.abc import Mapping

#: Verified combinations that are remembered: some Prometheus servers, some people, their typing errors.
REMEMBERED = 100

#: The hash that an unknown user's password is compared with (of random bytes nobody knows; cost 10).
_NOBODY = b"$2b$10$cgDZIYwg8XeJkPgPfXVOP.2KworfZcFxDddCK43.bK7PE.rQQ8E0C"


class PasswordCheck:
    """Says whether an ``Authorization`` header is that of a user; remembers the last `REMEMBERED` answers."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._answers: dict[bytes, bool] = {}
        self._bcrypt = threading.Lock()

    def allows(self, users: Mapping[str, str], authorization: str) -> bool:
        """Whether *authorization* names one of *users* (name → bcrypt hash) and its password."""
        user, password = _credentials(authorization)
        if user is None:
            return False
        hashed = users.get(user)
        digest = hashlib.blake2b(key=self._key)
        for part in (user, hashed or ""):
            digest.update(hashlib.sha256(part.encode("utf-8", "surrogateescape")).digest())
        digest.update(hashlib.sha256(password).digest())
        answer = self._answers.get(digest.digest())
        if answer is None:
            matches = self._matches(password, hashed.encode() if hashed else _NOBODY)
            answer = matches and hashed is not None
            if len(self._answers) >= REMEMBERED:
                self._answers.clear()
            self._answers[digest.digest()] = answer
        return answer

    def _matches(self, password: bytes, hashed: bytes) -> bool:
        import bcrypt  # 0.4 MB that only who has users pays for

        # bcrypt reads 72 bytes; the library refuses to hash or check more, so nobody has such a password.
        with self._bcrypt:
            return bcrypt.checkpw(password[:72], hashed) and len(password) <= 72


def bears_token(tokens: Mapping[str, str], authorization: str) -> bool:
    """Whether *authorization* carries one of *tokens* (name → SHA-256 in hex), as in RFC 6750.

    A token is random and long, unlike a password, so a fast hash keeps it: nobody guesses 128 bits.

    >>> bears_token({"logger": hashlib.sha256(b"secret").hexdigest()}, "Bearer secret")
    True
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return False
    digest = hashlib.sha256(token.strip().encode("latin-1", "replace")).hexdigest()
    # All are compared, so that the time tells nothing about which one fits.
    return sum(hmac.compare_digest(digest, known) for known in tokens.values()) > 0


def _credentials(authorization: str) -> tuple[str | None, bytes]:
    """User and password of a header, (None, b"") when it is not one of basic authentication (RFC 7617)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None, b""
    try:
        # WSGI hands headers over as Latin-1; base64 is ASCII in any case.
        decoded = base64.b64decode(encoded.strip().encode("latin-1"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None, b""
    user, colon, password = decoded.partition(b":")
    return (user.decode("utf-8", "surrogateescape"), password) if colon else (None, b"")
