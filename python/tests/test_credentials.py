"""Credentials: what makes no sense is refused at once, and no secret is shown."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import evener
import pytest


def test_secrets_are_not_shown() -> None:
    given = evener.Credentials(user="reader", password="hunter2", token="0123-4567", ca_file="/ca.pem", tls=True)
    for shown in (repr(given), str(given), f"{[given]}"):
        assert "hunter2" not in shown and "0123-4567" not in shown
    assert repr(given) == "Credentials(user='reader', password=***, token=***, tls=True, ca_file='/ca.pem')"
    assert repr(evener.Credentials()) == "Credentials()"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"user": "reader"}, "user needs password"),
        ({"password": "x"}, "needs user"),
        ({"user": "reader", "password": "x", "password_file": "/f"}, "both password and password_file"),
        ({"token": "x", "token_file": "/f"}, "both token and token_file"),
        ({"cert_file": "/c.pem"}, "cert_file and key_file go together"),
        ({"key_file": "/k.pem"}, "cert_file and key_file go together"),
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(evener.ConfigError, match=why):
        evener.Credentials(**given)


def test_it_is_a_value() -> None:
    given = evener.Credentials(token="x", tls=True)
    assert given == evener.Credentials(token="x", tls=True)
    assert {given: 1}[evener.Credentials(token="x", tls=True)] == 1
    assert dataclasses.replace(given, token="y") != given
    assert pickle.loads(pickle.dumps(given)) == given
    with pytest.raises(dataclasses.FrozenInstanceError):
        given.token = "z"  # type: ignore[misc]
