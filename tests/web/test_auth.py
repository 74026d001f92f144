"""Basic authentication: who gets in, and what a verification costs the second time."""

from __future__ import annotations

import base64
from unittest import mock

import bcrypt
import pytest

from exporter.web import auth
from exporter.web.auth import PasswordCheck

#: Cost 4, the least there is: the tests are not about bcrypt.
USERS = {
    "alice": bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode(),
    "jürgen": bcrypt.hashpw("pässwörd:x".encode(), bcrypt.gensalt(4)).decode(),
    "long": bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode(),
}


def basic(credentials: str | bytes, scheme: str = "Basic") -> str:
    content = credentials.encode() if isinstance(credentials, str) else credentials
    return f"{scheme} {base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        (basic("alice:open sesame"), True),
        (basic("alice:open sesame", "bASIC"), True),
        (basic("jürgen:pässwörd:x"), True),
        (basic("long:" + "x" * 72), True),
        (basic("alice:open sesam"), False),
        (basic("alice:"), False),
        (basic("alice"), False),
        (basic("bob:open sesame"), False),
        (basic(":open sesame"), False),
        (basic("long:" + "x" * 73), False),
        (basic(b"alice:open sesame\0more"), False),
        (basic(b"\xff\xfe:x"), False),
        ("", False),
        ("Basic", False),
        ("Basic !!!", False),
        ("Basic é", False),
        ("Bearer abc", False),
    ],
)
def test_only_users_with_their_password_get_in(header: str, allowed: bool) -> None:
    check = PasswordCheck()
    assert [check.allows(USERS, header) for _ in range(2)] == [allowed, allowed]


def test_a_verification_is_paid_for_once() -> None:
    check = PasswordCheck()
    with mock.patch.object(bcrypt, "checkpw", wraps=bcrypt.checkpw) as checked:
        for _ in range(3):
            assert check.allows(USERS, basic("alice:open sesame"))
            assert not check.allows(USERS, basic("alice:wrong"))
        assert checked.call_count == 2


def test_an_unknown_user_costs_a_verification_too() -> None:
    with mock.patch.object(bcrypt, "checkpw", wraps=bcrypt.checkpw) as checked:
        assert not PasswordCheck().allows(USERS, basic("nobody:x"))
        assert checked.call_count == 1


def test_a_changed_hash_is_in_force_at_once() -> None:
    check = PasswordCheck()
    header = basic("alice:open sesame")
    assert check.allows(USERS, header)
    changed = {"alice": bcrypt.hashpw(b"another", bcrypt.gensalt(4)).decode()}
    assert not check.allows(changed, header)
    assert not check.allows({}, header)


def test_what_is_remembered_is_bounded_and_holds_no_password() -> None:
    check = PasswordCheck()
    with mock.patch.object(bcrypt, "checkpw", return_value=False):
        for attempt in range(3 * auth.REMEMBERED):
            check.allows(USERS, basic(f"alice:{attempt}"))
            assert len(check._answers) <= auth.REMEMBERED
    assert check.allows(USERS, basic("alice:open sesame"))
    assert not any(b"open sesame" in digest for digest in check._answers)
